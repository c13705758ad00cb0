"""The Hugging Face hub and its cache: which snapshots lie here, and how to fetch one without hanging.

Endpoint, offline mode, cache folder, key and proxies are the hub client's own: `HF_ENDPOINT`,
`HF_HUB_OFFLINE`, `HF_HOME`, `HF_TOKEN`, `HTTPS_PROXY`.
"""

import errno
import fcntl
import hashlib
import queue
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.errors import ModelUnavailableError

WHISPER_REPOS = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""faster-whisper's names (`faster_whisper.utils._MODELS`, 1.2.1). A copy, for importing them would load PyAV,
ONNX Runtime and CTranslate2 into the parent (0.5 s); a test compares the two."""

MODEL_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]
"""What faster-whisper's own `download_model` fetches."""

_REMEDY = (
    "Start where the hub can be reached, set HF_ENDPOINT to a mirror of it, "
    "or name a local folder: gateway serve --model ./folder"
)

SHA256 = re.compile(r"[0-9a-f]{64}")
"""What the cache calls files that the hub keeps in Git LFS or Xet: their checksums."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models come from.

    Attributes:
        endpoint: None takes the hub client's: `HF_ENDPOINT`, or the public hub.
        cache_dir: None takes the hub client's: below `HF_HOME`.
        answer_within: Seconds in which the hub must have answered, name resolution included.
    """

    endpoint: str | None = None
    cache_dir: Path | None = None
    answer_within: float = 5.0

    def root(self, repo: str) -> Path:
        """Where the cache keeps ``repo``; it may not exist yet."""
        return self.cache / f"models--{repo.replace('/', '--')}"

    def snapshots(self, repo: str) -> list[Path]:
        """Returns the cached snapshots of ``repo``, the one that ``main`` means first, whole or not."""
        root = self.root(repo)
        main = root / "refs" / "main"
        current = main.read_text().strip() if main.is_file() else ""
        return sorted(
            (root / "snapshots").glob("*/"),
            key=lambda folder: (folder.name != current, -folder.stat().st_mtime, folder.name),
        )

    def download(self, repo: str) -> Path:
        """Fetches the newest snapshot into the cache; what is there already is not fetched again.

        Raises:
            ModelUnavailableError: Offline, no answer in time, unknown, no CTranslate2 model, or broken off.
        """
        # 0.3 s that a start without the hub need not wait.
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # loaded lazily, documented  # noqa: PLC0415

        if not sys.stderr.isatty():
            disable_progress_bars()
        revision = self.check(repo)
        try:
            if _fetch_weights(self.root(repo), repo, revision, self.endpoint):
                disable_progress_bars()  # for what is left, which is small
            folder = snapshot_download(
                repo, endpoint=self.endpoint, cache_dir=self.cache_dir, allow_patterns=MODEL_FILES
            )
        except Exception as error:  # the hub client raises requests', httpx's or httpx2's, by its version
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ModelUnavailableError(
                    f"{repo} does not fit into the cache {self.cache}: {error.strerror}. Make room, or point "
                    "HF_HOME to another disk, and start again to go on from there"
                ) from error
            raise ModelUnavailableError(
                f"The download of {repo} from {self._endpoint} broke off ({_first_line(error)}). "
                "Start again to go on from there"
            ) from error
        return Path(folder)

    def check(self, repo: str) -> str:
        """Asks the hub whether it has ``repo``, and returns its newest revision.

        Raises:
            ModelUnavailableError: Offline, no answer in time, unknown, or no CTranslate2 model.
        """
        absent = f"Model '{repo}' cannot be fetched into the cache {self.cache}"
        if self.is_offline:
            raise ModelUnavailableError(f"{absent}: HF_HUB_OFFLINE forbids to fetch it. {_REMEDY}")
        revision, files = self._listing(repo, absent)
        if "model.bin" not in files:
            raise ModelUnavailableError(
                f"{repo} on {self._endpoint} has no model.bin: it is no CTranslate2 conversion of Whisper. "
                f"Known names: {', '.join(WHISPER_REPOS)}"
            )
        return revision

    @property
    def is_offline(self) -> bool:
        """`HF_HUB_OFFLINE` is set: nothing is to be fetched."""
        from huggingface_hub import constants  # noqa: PLC0415  # as above

        return constants.HF_HUB_OFFLINE

    def fetched_bytes(self, repo: str) -> int:
        """What the cache holds of ``repo``, whole files and beginnings of such."""
        return sum(blob.stat().st_size for blob in (self.root(repo) / "blobs").glob("*") if blob.is_file())

    def reach(self) -> str:
        """Asks the hub whether it is there, and returns its address.

        Raises:
            ModelUnavailableError: It is not, or is not to be asked.
        """
        absent = "Models that are not in the cache cannot be fetched"
        if self.is_offline:
            raise ModelUnavailableError(f"{absent}: HF_HUB_OFFLINE is set")
        self._listing(WHISPER_REPOS["base"], absent)
        return self._endpoint

    def _listing(self, repo: str, absent: str) -> tuple[str, set[str]]:
        """Asks the hub for the repository's newest revision and the names of its files."""
        from huggingface_hub import HfApi  # noqa: PLC0415  # as above
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError  # noqa: PLC0415

        api = HfApi(endpoint=self.endpoint)
        # The client's own timeout bounds each step of the exchange only; it ends the thread that is left.
        patience = 2 * self.answer_within
        try:
            info = within(self.answer_within, lambda: api.model_info(repo, timeout=patience))
        except RepositoryNotFoundError as error:
            raise ModelUnavailableError(
                f"{absent}: {self._endpoint} does not know it, or shows it to a key (HF_TOKEN) only"
            ) from error
        except HfHubHTTPError as error:
            raise ModelUnavailableError(
                f"{absent}: {self._endpoint} answered with status {error.response.status_code}. {_REMEDY}"
            ) from error
        except TimeoutError as error:
            raise ModelUnavailableError(
                f"{absent}: {self._endpoint} did not answer within {self.answer_within:g} s. {_REMEDY}"
            ) from error
        except Exception as error:  # no connection (see `download`), or an answer that is no hub's
            raise ModelUnavailableError(
                f"{absent}: {self._endpoint} cannot be used ({_first_line(error)}). {_REMEDY}"
            ) from error
        return info.sha or "main", {sibling.rfilename for sibling in info.siblings or ()}

    @property
    def cache(self) -> Path:
        """The folder of the cache; it may not exist yet."""
        if self.cache_dir is not None:
            return self.cache_dir
        from huggingface_hub import constants  # noqa: PLC0415  # as above

        return Path(constants.HF_HUB_CACHE)

    @property
    def _endpoint(self) -> str:
        from huggingface_hub import constants  # noqa: PLC0415  # as above

        return self.endpoint or constants.ENDPOINT


def _fetch_weights(root: Path, repo: str, revision: str, endpoint: str | None) -> bool:
    """Puts model.bin among the blobs of the repository's folder ``root``, checked against the hub's checksum.

    A broken download goes on where it broke off, in a later process too: the hub client does so within one
    call only, as since version 2 each call has a temporary file of its own. Blobs that are there, it finds.

    Returns:
        It is there. Else the hub gives no checksum, or another process is at it, and all is left to the hub
        client.

    Raises:
        OSError: What came is not what was announced; it is deleted.
        Exception: The hub client's, of many kinds. What came is kept.
    """
    if (root / "snapshots" / revision / "model.bin").exists():
        return True
    # 0.3 s that a start without the hub need not wait.
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.file_download import http_get  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # loaded lazily, documented  # noqa: PLC0415

    url = hf_hub_url(repo, "model.bin", revision=revision, endpoint=endpoint)
    announced = get_hf_file_metadata(url)
    # The checksum of what is kept in Git LFS or Xet; files kept in Git itself are small.
    if announced.etag is None or not SHA256.fullmatch(announced.etag):
        return False
    blob = root / "blobs" / announced.etag
    if blob.exists():
        return True
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.part")
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        if blob.exists():
            return True
        have = file.tell()
        if announced.size is None or have < announced.size:
            http_get(
                url,
                file,
                resume_size=have,
                headers=build_hf_headers(),
                expected_size=announced.size,
                displayed_filename="model.bin",
            )
        file.flush()
        with part.open("rb") as whole:
            found = hashlib.file_digest(whole, "sha256").hexdigest()
        if found != blob.name:
            with suppress(OSError):
                part.unlink()
            raise OSError("model.bin is not what the hub announced, and is deleted")
        part.replace(blob)
    return True


def within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Returns what ``ask`` returns or raises, or raises TimeoutError.

    A daemon thread of its own: name resolution knows no timeout, and a pool's thread would hold up the exit.
    """
    outcome: queue.SimpleQueue[tuple[_Answer] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((ask(),))
        except Exception as error:  # noqa: BLE001  # raised again in the asking thread
            outcome.put(error)

    threading.Thread(target=run, name="question", daemon=True).start()
    try:
        answer = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer[0]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
