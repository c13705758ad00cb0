"""Fetches a model's weights so that a broken download goes on where it broke off, in a later process too.

The hub client goes on only within one call: since version 2 each call has a temporary file of its own. What
is put among the cache's blobs here, it finds there.
"""

import fcntl
import hashlib
import re
from contextlib import suppress
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch_weights(root: Path, repo: str, revision: str, endpoint: str | None) -> bool:
    """Puts model.bin among the blobs of the repository's folder ``root``, checked against the hub's checksum.

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
    if announced.etag is None or not _SHA256.fullmatch(announced.etag):
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
