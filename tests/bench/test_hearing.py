"""The ways that the words benchmark hears in, with the miniature Whisper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("jiwer", reason="jiwer is not installed: pip install -e '.[bench]'")
pytest.importorskip("whisper_normalizer", reason="it is not installed: pip install -e '.[bench]'")

from bench.hearing import FASTER_WHISPER, FILES, GATEWAY, MODEL_VARIABLE, Ears, find_base, model_name
from tests.support import MODEL

if TYPE_CHECKING:
    from tests.support import Sample

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ears() -> Ears:
    """With the miniature."""
    return Ears(MODEL)


@pytest.mark.parametrize("way", GATEWAY)
def test_the_gateway_is_heard(ears: Ears, samples: dict[str, Sample], way: str) -> None:
    """The words come with their times, the joins lie within the text, and what it took is counted."""
    sample = samples["en_long"]

    heard = ears.hear(way, sample.path.read_bytes())

    assert sample.text.split()[0].lower() in heard.text.lower()
    assert heard.duration == pytest.approx(sample.duration, abs=0.1)
    assert len(heard.words) >= len(heard.text.split()) / 2
    assert [word.start for word in heard.words] == sorted(word.start for word in heard.words)
    assert heard.joins
    assert all(0 < join < len(heard.text) for join in heard.joins)
    assert heard.windows > len(heard.joins)
    assert heard.searches > len(heard.joins)
    assert heard.cpu_seconds > 0


@pytest.mark.parametrize("way", FASTER_WHISPER)
def test_faster_whisper_is_heard(ears: Ears, samples: dict[str, Sample], way: str) -> None:
    """So do those of faster-whisper, of the same file."""
    sample = samples["en_long"]

    heard = ears.hear(way, sample.path.read_bytes(), language="en")

    assert heard.text
    assert heard.duration == pytest.approx(sample.duration, abs=0.1)
    assert heard.windows > 0
    assert heard.searches > 0


def test_runs_repeat(ears: Ears, samples: dict[str, Sample]) -> None:
    """What is counted does not depend on the run."""
    file = samples["en_long"].path.read_bytes()

    one, other = ears.hear("plain", file), ears.hear("plain", file)

    assert one.text == other.text
    assert one.windows == other.windows


def test_the_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the hub's cache has no base, the variable's folder is taken if it holds a model."""
    monkeypatch.setattr("bench.hearing.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    assert find_base() is None
    for name in FILES:
        (tmp_path / name).touch()

    assert find_base() == tmp_path


def test_the_cache_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The snapshot's folder is the model's."""
    monkeypatch.setattr("bench.hearing.try_to_load_from_cache", lambda _, file: str(tmp_path / file))

    assert find_base() == tmp_path


@pytest.mark.parametrize(
    "folder", ["hub/models--Systran--faster-whisper-base/snapshots/ebe41f70", "models/base", "base"]
)
def test_what_a_model_is_called(folder: str) -> None:
    """Its folder's name, but for snapshots, which are named by a hash."""
    assert model_name(Path(folder)) == "base"
