"""What `audio_context = fit` saves, how often a row is decoded again, and what it does to texts.

First the cost of a row by length, for the tests' miniature Whisper and for random weights of Whisper tiny's
dimensions. Then the miniature's recordings, cut by the real VAD and chunker, clear and with white noise, in
both settings. The miniature was trained on short windows too, so its texts judge no published model.
"""

import json
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import ctranslate2
import numpy as np

from bench.audio import SAMPLES
from bench.engines import WINDOWS, Context, Cutter, counting_engine, hypotheses
from bench.stage import Bench, Finding, Table
from bench.stats import seconds
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions
from training.mini_whisper.scoring import align, normalise

BATCH = 4
NOISES = (math.inf, 10.0, 0.0, -10.0)
STEPS = 32
"""Tokens of an utterance of some seconds."""

TIMES = 3
OPTIONS = DecodeOptions(languages=("en", "de", "es"), words=True, logprobs=True)
CONTEXTS: tuple[Context, ...] = ("full", "fit")

Recordings: TypeAlias = Sequence[tuple[list[str], list[Samples]]]
"""The words that are said, and the chunks as the gateway cuts them."""


def run(bench: Bench) -> Iterator[Finding]:
    """Both models' costs, the miniature's texts."""
    for name in ("miniature", "tiny"):
        yield _costs(name, bench.model(name))
    cutter = Cutter()
    samples = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    clear = [(normalise(each["text"]), list(cutter.chunks(SAMPLES / each["file"]))) for each in samples]
    lengths = [len(chunk) / SAMPLE_RATE for _, chunks in clear for chunk in chunks]
    yield Table(
        f"{len(clear)} recordings, {len(lengths)} chunks of {min(lengths):.1f} to {max(lengths):.1f} s",
        ("signal to noise, dB", "audio_context", "s", "words wrong", "exact", "windows"),
        [
            (f"{noise:g}", context, *_transcribe(bench.model(), clear, noise, context))
            for noise in NOISES
            for context in CONTEXTS
        ],
    )


def _costs(name: str, folder: Path) -> Table:
    """The fastest of some calls, by the length that the encoder reads; the machine is shared."""
    model = ctranslate2.models.Whisper(str(folder), compute_type="int8")
    start = json.loads((folder / "vocabulary.json").read_text()).index("<|startoftranscript|>")
    starts, rows = [[start]] * BATCH, list[tuple[str, ...]]()
    for frames in WINDOWS:
        noise = np.random.default_rng(1).normal(size=(BATCH, 80, frames)).astype(np.float32)
        features = ctranslate2.StorageView.from_array(noise)
        encode = partial(model.encode, features, to_cpu=True)
        decode = partial(model.generate, encode(), starts, beam_size=1, max_length=2 * STEPS)
        decode()
        took = (min(seconds(work) for _ in range(TIMES)) / BATCH * 1000 for work in (encode, decode))
        rows.append((f"{frames / 100:.0f} s", *(f"{each:.1f}" for each in took)))
    return Table(f"{name}: ms per row, batch of {BATCH}", ("read", "encode", f"{STEPS} tokens, greedy"), rows)


def _transcribe(model: Path, clear: Recordings, decibels: float, context: Context) -> tuple[str, ...]:
    """What it took and what came of it."""
    engine, windows = counting_engine(model, context)
    noisy = [[_noisy(chunk, decibels) for chunk in chunks] for _, chunks in clear]
    heard: list[list[str]] = []

    def work() -> None:
        for chunks in noisy:
            rows = hypotheses(engine, chunks, OPTIONS)
            heard.append(normalise(" ".join(segment.text for row in rows for segment in row.segments)))

    took = seconds(work)
    pairs = [(truth, words) for (truth, _), words in zip(clear, heard, strict=True)]
    wrong = sum(align(truth, words)[0] for truth, words in pairs)
    exact = sum(truth == words for truth, words in pairs)
    counts = ", ".join(f"{frames // 100} s: {rows}" for frames, rows in sorted(windows.items()))
    return f"{took:.2f}", f"{wrong}", f"{exact}", counts


def _noisy(chunk: Samples, decibels: float) -> Samples:
    """The chunk with white noise so far below its mean power, the same noise each time."""
    noise = np.random.default_rng(len(chunk)).normal(size=len(chunk)) * chunk.std() / 10 ** (decibels / 20)
    mixed = chunk + noise
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)
