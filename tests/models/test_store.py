"""The cache as the hub client lays it out: listed, added to, removed from, never half."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest

from gateway.errors import ModelUnavailableError, StoreError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.layout import fault
from gateway.models.locate import locate
from gateway.models.store import (
    cached_models,
    cached_size,
    check_weights,
    install,
    remove,
    repo_of,
    sha256,
    whole_snapshot,
)
from tests.support import MODEL

_BASE = WHISPER_REPOS["base"]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """An empty cache."""
    cache = tmp_path / "cache"
    cache.mkdir()
    return Hub("http://127.0.0.1:9", cache)


@pytest.fixture
def folder(hub: Hub) -> Path:
    """A copy of the miniature on the cache's disk."""
    return Path(shutil.copytree(MODEL, hub.cache / ".import" / "model"))


def _install(hub: Hub, repo: str) -> Path:
    staging = hub.cache / ".import"
    copy = Path(shutil.copytree(MODEL, staging / "model"))
    snapshot = install(copy, repo, hub)
    shutil.rmtree(staging)
    return snapshot


def test_install(hub: Hub) -> None:
    """What is installed is found under its name, and the hub client's own scan finds nothing wrong."""
    snapshot = _install(hub, _BASE)
    scanned = huggingface_hub.scan_cache_dir(hub.cache)
    found = locate("base", hub).fetch()

    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == {
        path.name: path.read_bytes() for path in MODEL.iterdir()
    }
    assert found == snapshot
    assert [repo.repo_id for repo in scanned.repos] == [_BASE]
    assert not scanned.warnings


def test_install_twice(hub: Hub) -> None:
    """The same files are the same snapshot, and take no more room."""
    first = _install(hub, "org/mini")
    size = cached_size("org/mini", hub)
    second = _install(hub, "org/mini")

    assert first == second
    assert hub.snapshots("org/mini") == [first]
    assert cached_size("org/mini", hub) == size


def test_a_newer_one_is_current(hub: Hub, folder: Path) -> None:
    """The last one installed is the one that is served."""
    _ = (folder / "preprocessor_config.json").write_text("{}")
    newer = install(folder, "org/mini", hub)
    shutil.rmtree(folder.parent)
    older = _install(hub, "org/mini")
    current_before = hub.snapshots("org/mini")[0]
    again = Path(shutil.copytree(newer, hub.cache / ".import" / "model"))
    install(again, "org/mini", hub)

    assert current_before == older
    assert hub.snapshots("org/mini")[0] == newer


def test_a_broken_one_is_not_installed(hub: Hub, folder: Path) -> None:
    """Nothing of it comes under its name."""
    with (folder / "model.bin").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(StoreError, match="broken off after 1000000 bytes"):
        install(folder, _BASE, hub)

    assert not hub.root(_BASE).exists()


def test_broken_and_whole_ones_are_listed(hub: Hub) -> None:
    """With short names, sizes and what is wrong; other models of the hub are not ours."""
    whole = _install(hub, _BASE)
    broken = _install(hub, "org/mini")
    (broken / "tokenizer.json").unlink()
    (hub.root("google/bert") / "snapshots" / "abc").mkdir(parents=True)
    (hub.root("google/bert") / "snapshots" / "abc" / "pytorch_model.bin").touch()
    (hub.root(WHISPER_REPOS["small"]) / "blobs").mkdir(parents=True)
    (hub.root(WHISPER_REPOS["small"]) / "blobs" / "x.incomplete").write_bytes(bytes(1000))
    found = {model.name: model for model in cached_models(hub)}

    assert set(found) == {"base", "org/mini", "small"}
    assert (found["base"].folder, found["base"].fault) == (whole, None)
    # The files, and the 40 letters of refs/main.
    assert found["base"].size == sum(path.stat().st_size for path in MODEL.iterdir()) + 40
    assert (found["org/mini"].folder, found["org/mini"].fault) == (broken, "missing tokenizer.json")
    assert (found["small"].size, found["small"].folder) == (1000, None)
    assert found["small"].fault


def test_remove(hub: Hub) -> None:
    """Nothing is left of it, and the others stay."""
    _install(hub, _BASE)
    other = _install(hub, "org/mini")
    (hub.cache / ".locks" / hub.root(_BASE).name).mkdir(parents=True)
    remove(_BASE, hub)

    assert {path.name for path in hub.cache.rglob("*--*")} == {hub.root("org/mini").name}
    assert [path.name for path in hub.cache.iterdir() if path.name.startswith(".removed")] == []
    assert whole_snapshot("org/mini", hub) == other
    with pytest.raises(StoreError, match="not in the cache"):
        cached_size(_BASE, hub)


@pytest.mark.parametrize("name", ["nonsense", "../../etc", "org/..", "a/b/c", "a--b/c", "/etc/passwd", ""])
def test_names_that_mean_no_model(name: str) -> None:
    """Nothing that could lead out of the cache is taken for a repository."""
    with pytest.raises(StoreError, match="neither a hub id"):
        repo_of(name)


def test_the_nearest_name_is_told() -> None:
    """As at the start of a server."""
    with pytest.raises(StoreError, match=r"did you mean large-v3-turbo\?"):
        repo_of("large-v3-trubo")


def test_names_that_mean_one() -> None:
    """Short names and hub ids."""
    assert repo_of("base") == _BASE
    assert repo_of("org/my.model-2") == "org/my.model-2"


def test_weights_that_are_not_what_was_announced(hub: Hub) -> None:
    """A bit that fell over on the way is found, though the file's structure is whole, and the file goes."""
    snapshot = _install(hub, _BASE)
    check_weights(snapshot)
    blob = (snapshot / "model.bin").resolve()
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)

    assert fault(snapshot) is None
    with pytest.raises(ModelUnavailableError, match="pull it again"):
        check_weights(snapshot)
    assert fault(snapshot) == "missing model.bin"


def test_weights_without_a_checksum_pass(tmp_path: Path) -> None:
    """A cache without links has no checksums in its names."""
    shutil.copy(MODEL / "model.bin", tmp_path)
    check_weights(tmp_path)

    assert sha256(tmp_path / "model.bin") == sha256(MODEL / "model.bin")
