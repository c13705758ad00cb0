"""Measures what `audio_context = fit` saves, how often a row is decoded again, and what it does to texts.

First the cost of a row by length, for the tests' miniature Whisper and for random weights of Whisper tiny's
dimensions. Then the miniature's recordings, cut by the real VAD and chunker, clear and with white noise, in
both settings. The miniature was trained on short windows too, so its texts judge no published model.

Usage: python -m bench.audio_context
"""

import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from bench.models import MINIATURE, TINY, make_model
from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.engine.whisper.features import FITTED_FRAMES, WINDOW_FRAMES, AudioContext

SAMPLES = MINIATURE.parent / "samples"
BATCH = 4
NOISES = (10.0, 0.0, -10.0)
STEPS = 32
"""Tokens of an utterance of some seconds."""


@dataclass
class Counting:
    """A CTranslate2 model that counts the rows it encodes, by their frames."""

    model: Any
    rows: dict[int, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode(self, features: Any, *, to_cpu: bool = False) -> Any:
        """As `ctranslate2.models.Whisper.encode`."""
        count, _, frames = features.shape
        self.rows[frames] = self.rows.get(frames, 0) + count
        return self.model.encode(features, to_cpu=to_cpu)


def seconds(call: Callable[[], Any], times: int = 3) -> float:
    """The fastest of some calls; the machine is shared."""
    taken = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken[1:])


def costs(name: str, folder: Path) -> None:
    """Prints milliseconds for each row of a batch, by the length that the encoder reads."""
    model = ctranslate2.models.Whisper(str(folder), compute_type="int8")
    start = json.loads((folder / "vocabulary.json").read_text()).index("<|startoftranscript|>")
    print(f"\n{name}: ms per row, batch of {BATCH}\n   read   encode   {STEPS} tokens, greedy")
    for frames in (*FITTED_FRAMES, WINDOW_FRAMES):
        features = ctranslate2.StorageView.from_array(
            np.random.default_rng(1).normal(size=(BATCH, 80, frames)).astype(np.float32)
        )
        encoded = model.encode(features, to_cpu=True)
        encode = seconds(partial(model.encode, features, to_cpu=True)) / BATCH * 1000
        starts = [[start]] * BATCH
        decode = partial(model.generate, encoded, starts, beam_size=1, max_length=2 * STEPS)
        print(f"{frames / 100:5.0f} s {encode:8.1f} {seconds(decode) / BATCH * 1000:8.1f}")


@dataclass(frozen=True)
class Recording:
    """What is said in it, and its chunks as the gateway cuts them."""

    name: str
    truth: list[str]
    chunks: list[Samples]


def recordings() -> Iterator[Recording]:
    """The miniature's."""
    silero, options = SileroModel.load(), ChunkingOptions()
    for row in json.loads((SAMPLES / "samples.json").read_text()):
        with (SAMPLES / row["file"]).open("rb") as file:
            blocks = list(decode_as(file, options))
        cutter = make_cutter(silero, options)
        chunks = [chunk for block in blocks for chunk in cutter.feed(block)] + cutter.flush()
        yield Recording(row["file"], words(row["text"]), [chunk.samples for chunk in chunks])


def words(text: str) -> list[str]:
    """As spoken, without case and full stops."""
    return re.findall(r"\w+", text.lower())


def noisy(chunk: Samples, decibels: float) -> Samples:
    """The chunk with white noise so far below its mean power, the same noise each time."""
    noise = np.random.default_rng(len(chunk)).normal(size=len(chunk)) * chunk.std() / 10 ** (decibels / 20)
    mixed = chunk + noise
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


def word_errors(truth: list[str], heard: list[str]) -> int:
    """The edit distance."""
    row = list(range(len(heard) + 1))
    for word in truth:
        left = row[:]
        row[0] += 1
        for at, other in enumerate(heard, 1):
            row[at] = min(left[at] + 1, row[at - 1] + 1, left[at - 1] + (word != other))
    return row[-1]


def transcribe(all_of_them: list[Recording], context: AudioContext) -> None:
    """Prints what it took and what came of it."""
    spec = WhisperSpec("miniature", MINIATURE, audio_context=context)
    model = WhisperModel(str(spec.path), device="cpu", compute_type="int8", local_files_only=True)
    counting = model.model = Counting(model.model)
    engine = WhisperEngine(spec, model, aligns=True)
    options = DecodeOptions(languages=("en", "de", "es"), words=True, logprobs=True)
    errors = exact = 0
    begin = time.perf_counter()
    for recording in all_of_them:
        heard: list[str] = []
        for result in engine.transcribe([DecodeRequest(chunk, options) for chunk in recording.chunks]):
            if isinstance(result, RowFailed):
                raise RuntimeError(result.reason)  # noqa: TRY004 - it is no type that is wrong
            heard += words(" ".join(segment.text for segment in result.segments))
        errors += word_errors(recording.truth, heard)
        exact += heard == recording.truth
    taken = time.perf_counter() - begin
    windows = ", ".join(f"{frames // 100} s: {rows}" for frames, rows in sorted(counting.rows.items()))
    print(f"  {context}  {taken:5.2f} s  {errors:3} words wrong  {exact:2} exact  windows of {windows}")


def main() -> None:
    """Prints everything."""
    costs("miniature", MINIATURE)
    with tempfile.TemporaryDirectory() as folder:
        costs("random weights of tiny's dimensions", make_model(Path(folder) / "tiny", TINY))
    clear = list(recordings())
    lengths = [len(chunk) / SAMPLE_RATE for recording in clear for chunk in recording.chunks]
    print(f"\n{len(clear)} recordings, {len(lengths)} chunks of {min(lengths):.1f} to {max(lengths):.1f} s")
    for decibels in (math.inf, *NOISES):
        print(f"signal to noise {decibels} dB")
        given = [replace(one, chunks=[noisy(chunk, decibels) for chunk in one.chunks]) for one in clear]
        for context in ("full", "fit"):
            transcribe(given, context)


if __name__ == "__main__":
    main()
