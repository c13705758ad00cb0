"""The model is found without torch, and its state crosses blocks of any size."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gateway.audio import silero
from gateway.audio.silero import FRAME, SileroModel, find_model
from gateway.audio.types import Samples
from tests.audio.sound import cuts


def probabilities(model: SileroModel, samples: Samples, size: int) -> Samples:
    """Of the whole stream, fed in pieces."""
    stream = model.stream()
    return np.concatenate([*map(stream.feed, cuts(samples, size)), stream.flush()])


def test_one_probability_for_each_frame(model: SileroModel, hello: Samples) -> None:
    """Speech from 0.4 s to 1.2 s is speech, the silence around it is not, the last frame is padded."""
    p = probabilities(model, hello, len(hello))

    assert len(p) == -(-len(hello) // FRAME)
    assert p.dtype == np.float32
    assert p[15:36].min() > 0.5
    assert max(p[:10].max(), p[-12:].max()) < 0.2


@pytest.mark.parametrize("size", [1, 512, 777, 16_000])
def test_slicing_changes_nothing(size: int, model: SileroModel, hello: Samples) -> None:
    """One sample at a time, frame by frame, in odd cuts: the same probabilities to the last bit."""
    assert np.array_equal(probabilities(model, hello, size), probabilities(model, hello, len(hello)))


def test_the_state_is_carried(model: SileroModel, hello: Samples) -> None:
    """A frame's probability depends on what came before; a new stream knows nothing of the old one."""
    fresh, later = model.stream(), model.stream()
    later.feed(hello[: 20 * FRAME])

    alone, following = (s.feed(hello[20 * FRAME : 21 * FRAME]) for s in (fresh, later))

    assert alone != pytest.approx(following)
    assert np.array_equal(model.stream().feed(hello[20 * FRAME : 21 * FRAME]), alone)


def test_flush_of_whole_frames_gives_nothing(model: SileroModel) -> None:
    """Nothing is left, nothing is invented."""
    stream = model.stream()

    assert len(stream.flush()) == 0
    assert len(stream.feed(np.zeros(2 * FRAME, dtype=np.float32))) == 2
    assert len(stream.flush()) == 0


def test_threads_share_a_model(model: SileroModel, hello: Samples) -> None:
    """Streams in parallel threads do not touch each other."""
    expected = probabilities(model, hello, len(hello))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda size: probabilities(model, hello, size), [512, 600, 1_000, 4_000]))

    assert all(np.array_equal(result, expected) for result in results)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, hello: Samples) -> None:
    """Without silero-vad it is the file that lies here, which says so."""
    monkeypatch.setattr(silero, "find_spec", lambda _: None)
    model = SileroModel.load()

    assert model.source == "gateway/audio/silero_vad_16k_sequence.onnx"
    assert probabilities(model, hello, 512)[15:36].min() > 0.5


def test_the_package_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where silero-vad is installed, its own file is used; a version without such a file is passed over."""
    monkeypatch.syspath_prepend(tmp_path)
    data = tmp_path / "silero_vad" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise AssertionError('it is imported')")
    without = find_model()
    (data / without.name).touch()

    assert without.parent.name == "audio"
    assert find_model() == data / without.name


def test_nothing_heavy_is_imported() -> None:
    """Neither torch nor the packages that own the files are imported, and nothing is printed."""
    code = (
        "import sys; from gateway.audio.silero import SileroModel; SileroModel.load();"
        "print(sorted({'torch', 'silero_vad', 'faster_whisper'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")
