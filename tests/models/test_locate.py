"""Which model is found for which name, in folders and caches that are whole, half there or broken."""

import os
import shutil
import socket
import struct
from pathlib import Path

import pytest

from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.layout import fault
from gateway.models.locate import _BY_PACE, _BY_QUALITY, locate, locate_default

_MODEL = Path(__file__).parents[1] / "mini-whisper" / "model"


def resolve(model: str, hub: Hub) -> tuple[str, Path]:
    """Name and folder of a model that is found and fetched."""
    located = locate(model, hub)
    return located.name, located.fetch()


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """An empty cache, and a hub whose port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Hub(f"http://127.0.0.1:{port}", tmp_path / "cache", answer_within=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the miniature that a test may break."""
    return Path(shutil.copytree(_MODEL, tmp_path / "mini"))


def _cache(hub: Hub, name: str, *, commit: str = "abc", current: bool = True, without: str = "") -> Path:
    """Puts the miniature into the cache as the hub client does: links into a folder of blobs."""
    assert hub.cache_dir is not None
    root = hub.cache_dir / f"models--{WHISPER_REPOS.get(name, name).replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    for part in (root / "refs", root / "blobs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    if current:
        (root / "refs" / "main").write_text(commit)
    for path in _MODEL.iterdir():
        blob = root / "blobs" / path.name
        if path.name == without:
            blob = blob.with_suffix(".incomplete")
        else:
            (snapshot / path.name).symlink_to(Path(os.path.relpath(blob, snapshot)))
        shutil.copy(path, blob)
    return snapshot


def test_local_folder(folder: Path, hub: Hub) -> None:
    """A folder is served under its own name, as it is."""
    assert resolve(str(folder), hub) == ("mini", folder)


def test_relative_folder(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` has a name and an absolute path too: workers may start elsewhere."""
    monkeypatch.chdir(folder)
    found = resolve(".", hub)

    assert found == ("mini", folder)


def test_linked_folder(folder: Path, hub: Hub) -> None:
    """A link gives the name, its target the path: moving the link changes no running server's model."""
    link = folder.with_name("production")
    link.symlink_to(folder)
    found = resolve(str(link), hub)

    assert found == ("production", folder)


def test_known_name_beats_folder(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that happens to be called `small` does not stand in for the model; `./small` does."""
    monkeypatch.chdir(folder.rename(folder.with_name("small")).parent)
    cached = _cache(hub, "small")
    by_name, by_path = resolve("small", hub), resolve("./small", hub)

    assert by_name == ("small", cached)
    assert by_path == ("small", Path("small").resolve())


@pytest.mark.parametrize(
    ("name", "commit"), [("large-v3-turbo", "abc"), ("turbo", "abc"), ("org/whisper-ct2", "0123")]
)
def test_cached_model_needs_no_hub(name: str, commit: str, hub: Hub) -> None:
    """A name or hub id whose model is in the cache is served under that name while the hub is away."""
    snapshot = _cache(hub, name, commit=commit)
    found = resolve(name, hub)

    assert found == (name, snapshot)


@pytest.mark.parametrize("without", ["model.bin", "tokenizer.json", "config.json", "vocabulary.json"])
def test_half_a_download_is_no_model(without: str, hub: Hub) -> None:
    """A snapshot that lacks a file sends us to the hub instead of into a worker."""
    _cache(hub, "tiny", without=without)

    with pytest.raises(ModelUnavailableError, match="cannot be fetched"):
        resolve("tiny", hub)


def test_older_whole_snapshot_beats_half_a_new_one(hub: Hub) -> None:
    """An update that broke off leaves the former snapshot in service."""
    former = _cache(hub, "tiny", commit="former", current=False)
    newer = former.with_name("newer")
    newer.mkdir()
    (former.parents[1] / "refs" / "main").write_text("newer")
    found = resolve("tiny", hub)

    assert found == ("tiny", former)


@pytest.mark.parametrize("name", ["enormous", "a/b/c", "/nowhere/at/all", "whisper-1", ""])
def test_unknown_names(name: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be no model is told without asking the hub, with the names that are known."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelUnavailableError, match=r"neither a folder nor a hub id.*tiny\.en"):
        resolve(name, hub)


@pytest.mark.parametrize("name", ["small", "org/name"])
def test_hub_away(name: str, hub: Hub) -> None:
    """A named model is never replaced by another one: the start fails with one line."""
    with pytest.raises(ModelUnavailableError) as caught:
        resolve(name, hub)

    text = str(caught.value)
    assert WHISPER_REPOS.get(name, name) in text
    assert str(hub.endpoint) in text
    assert str(hub.cache_dir) in text
    assert "\n" not in text


def test_whole_folder_has_no_fault() -> None:
    """The miniature passes."""
    assert fault(_MODEL) is None


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["model.bin"], "missing model.bin"),
        (["config.json", "tokenizer.json"], "missing config.json, tokenizer.json"),
        (["vocabulary.json"], "missing vocabulary.json (or .txt)"),
    ],
)
def test_missing_files_are_named(folder: Path, hub: Hub, gone: list[str], said: str) -> None:
    """The one line names each missing file."""
    for name in gone:
        (folder / name).unlink()

    with pytest.raises(ModelUnavailableError) as caught:
        resolve(str(folder), hub)

    assert str(caught.value) == f"{folder} is no CTranslate2 Whisper model: {said}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "[]", "config.json holds no object"),
        ("preprocessor_config.json", "5", "preprocessor_config.json holds no object"),
        ("tokenizer.json", "null", "tokenizer.json holds no object"),
        ("vocabulary.json", "{}", "vocabulary.json holds no list"),
    ],
)
def test_json_of_another_kind(folder: Path, name: str, content: str, said: str) -> None:
    """Said as what it is, and not by the reader of the worker that stumbles over it."""
    (folder / name).write_text(content)

    assert fault(folder) == said


def test_text_vocabulary(folder: Path) -> None:
    """Older conversions bring vocabulary.txt."""
    (folder / "vocabulary.json").rename(folder / "vocabulary.txt")

    assert fault(folder) is None


def test_dangling_link(folder: Path) -> None:
    """A link into a cache whose blobs were deleted is a missing file."""
    (folder / "model.bin").unlink()
    (folder / "model.bin").symlink_to(folder / "deleted-blob")

    assert fault(folder) == "missing model.bin"


def test_every_broken_copy_of_the_weights_is_found(folder: Path) -> None:
    """Wherever a copy of model.bin broke off, it shows; only the whole file passes."""
    whole = (_MODEL / "model.bin").read_bytes()
    lengths = [0, 1, 3, 4, 5, 17, 20, 24, 40, *range(1000, len(whole), 400_003), len(whole) - 1]
    for length in reversed(lengths):
        os.truncate(folder / "model.bin", length)

        assert fault(folder) == f"model.bin is broken off after {length} bytes"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3993560\n", "git lfs pull"),
        (struct.pack("<IH", 6, 16) + b"TransformerSpec\0", "holds a TransformerSpec, not a WhisperSpec"),
        (struct.pack("<I", 1), "no CTranslate2 model"),
        (b"\x80\x02\x8a\x0a" * 10, None),
    ],
)
def test_other_files_called_model_bin(folder: Path, head: bytes, said: str | None) -> None:
    """Git LFS pointers and translation models are told apart; later layouts are left to CTranslate2."""
    (folder / "model.bin").write_bytes(head)
    found = fault(folder)

    assert found is None if said is None else said in str(found)


def test_broken_json(folder: Path) -> None:
    """A tokenizer that broke off is named."""
    text = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(text[: len(text) // 2])

    assert fault(folder) == "tokenizer.json is broken off or no JSON"


def test_no_default_without_hub(hub: Hub) -> None:
    """No cache, no hub, no package index: one line that says so and how to get a model."""
    with pytest.raises(ModelUnavailableError) as caught:
        locate_default(hub, on_gpu=False)

    assert str(hub.endpoint) in str(caught.value)
    assert "gateway serve --model ./folder" in str(caught.value)
    assert "the package index cannot be used" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_default_on_cpu_keeps_pace(hub: Hub) -> None:
    """On a CPU, `base` in the cache goes before `large-v3`, and the hub is not asked."""
    for name in ("large-v3", "base", "tiny"):
        _cache(hub, name)

    assert locate_default(hub, on_gpu=False).name == "base"


def test_default_on_gpu_is_the_best(hub: Hub) -> None:
    """On a GPU the best cached one wins."""
    for name in ("base", "large-v3", "tiny"):
        _cache(hub, name)

    assert locate_default(hub, on_gpu=True).name == "large-v3"


def test_default_download_on_gpu(hub: Hub) -> None:
    """With a GPU it is the turbo model that is looked for on the hub."""
    with pytest.raises(ModelUnavailableError, match=WHISPER_REPOS["large-v3-turbo"]):
        locate_default(hub, on_gpu=True)


def test_default_passes_over_broken_models(hub: Hub) -> None:
    """A half-downloaded favourite gives way to a whole lesser one."""
    _cache(hub, "small", without="model.bin")
    _cache(hub, "tiny")

    assert locate_default(hub, on_gpu=False).name == "tiny"


@pytest.mark.parametrize("order", [_BY_QUALITY, _BY_PACE])
def test_orders_know_every_model(order: tuple[str, ...]) -> None:
    """Every model of faster-whisper has its place, once."""
    assert sorted(WHISPER_REPOS[name] for name in order) == sorted(set(WHISPER_REPOS.values()))
