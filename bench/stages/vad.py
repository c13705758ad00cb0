"""Silero's file against the one in faster-whisper's wheel, on real speech and on sounds without any."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import faster_whisper
import numpy as np
from numpy.typing import NDArray

from bench.speech import find_speech, load
from bench.stage import Bench, Finding, Table
from bench.stats import per_cent, percentile
from bench.variants import at_level, clipped, noisy, sounds, telephone
from gateway.audio.frontend import FrontEnd
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.types import SAMPLE_RATE, Samples

LEAD = SAMPLE_RATE
"""Of faint noise before each utterance, so that its onset is one."""

REACH = 10
"""Frames, 0.3 s, by which chunks are padded: speech so near to what was detected is not lost."""

LOUD = 25
"""Decibels below the loud tenth of an utterance, down to which its frames are taken for speech."""

WAYS: dict[str, Callable[[Samples], Samples]] = {
    "as recorded": lambda samples: samples,
    "-60 dB": partial(at_level, decibels=-60),
    "telephone": telephone,
    "30 dB over full scale": partial(clipped, decibels=30),
    "noise at 10 dB": partial(noisy, decibels=10),
    "noise at 0 dB": partial(noisy, decibels=0),
}


def run(bench: Bench) -> Iterator[Finding]:
    """Needs the folder of real speech."""
    spans = [
        recording.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        for recording in load(find_speech())
        for start, end, _ in recording.spans
    ][: 12 if bench.quick else None]
    minutes = sum(map(len, spans)) / SAMPLE_RATE / 60
    other = Path(faster_whisper.__file__).parent / "assets" / "silero_vad_v6.onnx"
    models = {"silero-vad": SileroModel.load(), "faster-whisper": SileroModel.load(other)}
    rows = [(name, *_figures(models, way, spans)) for name, way in WAYS.items()]
    heads = [f"{what}, {name}" for what in ("missed", "onset, s: p50 / p95") for name in models]
    yield Table(f"{len(spans)} utterances, {minutes:.0f} min", ("", *heads), rows)
    rows = [
        (name, *(per_cent(float(np.mean(_detected(model, sound)))) for model in models.values()))
        for name, sound in sounds().items()
    ]
    yield Table("Sounds without speech: share of frames that are taken for it", ("", *models), rows)


def _figures(
    models: dict[str, SileroModel], way: Callable[[Samples], Samples], spans: list[Samples]
) -> list[str]:
    """What each model misses, then how late each is."""
    missed: list[str] = []
    onsets: list[str] = []
    for model in models.values():
        lost, late = list[NDArray[np.bool_]](), list[float]()
        for span in spans:
            loud = _loud(span)
            heard = _detected(model, way(_after_silence(span)))[LEAD // FRAME :][: len(loud)]
            near = np.convolve(heard, np.ones(2 * REACH + 1), "same") > 0
            lost.append(loud & ~near)
            if heard.any():
                late.append((int(np.argmax(heard)) - int(np.argmax(loud))) * FRAME / SAMPLE_RATE)
        loud_frames = sum(int(_loud(span).sum()) for span in spans)
        missed.append(per_cent(sum(int(each.sum()) for each in lost) / loud_frames))
        onsets.append(f"{median(late):.2f} / {percentile(late, 95):.2f}")
    return [*missed, *onsets]


def _after_silence(span: Samples) -> Samples:
    faint = np.random.default_rng(0).normal(0, 1e-4, LEAD // FRAME * FRAME).astype(np.float32)
    return np.concatenate((faint, span))


def _detected(model: SileroModel, samples: Samples) -> NDArray[np.bool_]:
    """Per frame, as all cutters hear it."""
    stream = FrontEnd(model)
    found: NDArray[np.bool_] = np.concatenate((stream.feed(samples), stream.flush())) >= 0.5
    return found


def _loud(span: Samples) -> NDArray[np.bool_]:
    frames = span[: len(span) // FRAME * FRAME].reshape(-1, FRAME)
    levels = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)
    found: NDArray[np.bool_] = levels > np.percentile(levels, 90) - LOUD
    return found
