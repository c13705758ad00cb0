"""The gateway's engines and steps of audio, without server or queue, for all stages."""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias

import numpy as np

from bench.stats import seconds
from gateway.audio.chunker import Chunker
from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.decode import decode
from gateway.audio.loudness import RunningGain
from gateway.audio.silero import SileroModel
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import VadOptions
from gateway.engine.api import DecodeOptions, DecodeRequest, Engine, RowFailed
from gateway.engine.devices.cuda import choose
from gateway.engine.devices.placement import Machine
from gateway.engine.whisper.engine import WhisperSpec
from gateway.engine.whisper.features import FITTED_FRAMES, WINDOW_FRAMES, mel_features
from gateway.transcript import Hypothesis

Context: TypeAlias = Literal["full", "fit"]

ENGLISH = DecodeOptions(language="en")
WINDOWS = (*FITTED_FRAMES, WINDOW_FRAMES)
"""Frames of 10 ms that the encoder may be given."""

LENGTHS = (1, 4)
"""Seconds that are timed; what lies between them, or beyond, is taken from the line through both."""

TIMES = 7
"""Each is timed."""


def whisper(model: Path, **options: Any) -> WhisperSpec:
    """A converted model in that folder."""
    return WhisperSpec(model.name, model, **options)


def cpu_threads() -> int:
    """As many as a server gives its only worker."""
    return Machine.here().threads(0, 1)


def cards() -> list[str]:
    """The first NVIDIA GPU, if there is one."""
    return [str(card) for card in choose("auto", [0], "auto")]


class Cutter:
    """Cuts recordings as the server does."""

    def __init__(self) -> None:
        self._vad = SileroModel.load()

    def chunks(self, path: Path) -> Iterator[Chunk]:
        """Those of one recording, without the preview of its beginning."""
        with path.open("rb") as file:
            options = ChunkingOptions()
            cutter = make_cutter(self._vad, options)
            for block in decode_as(file, options):
                yield from (chunk for chunk in cutter.feed(block) if not chunk.is_preview)
            yield from cutter.flush()


def whole(samples: Samples) -> Chunk:
    """A recording that is one chunk."""
    return Chunk(0, samples, ends_utterance=True)


def hypotheses(engine: Engine, chunks: Iterable[Chunk], options: DecodeOptions = ENGLISH) -> list[Hypothesis]:
    """Of one batch.

    Raises:
        RuntimeError: A row could not be decoded.
    """
    batch = [
        DecodeRequest(chunk.samples, options, breaks=chunk.breaks, shared=chunk.shared) for chunk in chunks
    ]
    return [_sound(each) for each in engine.transcribe(batch)]


def _sound(answer: Hypothesis | RowFailed) -> Hypothesis:
    if isinstance(answer, RowFailed):
        raise RuntimeError(answer.reason)  # noqa: TRY004 - no wrong type: the row could not be decoded
    return answer


def steps(file: bytes) -> dict[str, Callable[[], object]]:
    """What is done to one file, each step alone on what the one before it gave."""
    from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415 - a heavy import

    extractor, silero = FeatureExtractor(), SileroModel.load()

    def decoded() -> list[Samples]:
        return list(decode(io.BytesIO(file), max_seconds=600))

    def fed(stream: Any, blocks: Sequence[Samples]) -> list[Any]:
        return [*map(stream.feed, blocks), stream.flush()]

    def cut() -> list[Chunk]:
        chunker = Chunker(_Known(speech), VadOptions())
        return [*(chunk for block in blocks for chunk in chunker.feed(block)), *chunker.flush()]

    blocks = decoded()
    loud = fed(RunningGain(), blocks)
    speech = fed(silero.stream(), loud)
    found = cut()
    return {
        "decode": decoded,
        "loudness": lambda: fed(RunningGain(), blocks),
        "VAD": lambda: fed(silero.stream(), loud),
        "cutting": cut,
        "features": lambda: [mel_features(extractor, chunk.samples) for chunk in found],
    }


class _Known:
    """A front end that knows what it will say: block by block, and the rest at the end."""

    def __init__(self, speech: Sequence[Any]) -> None:
        self._speech = iter(speech)

    def feed(self, _: Samples) -> Any:
        return next(self._speech)

    def flush(self) -> Any:
        return np.concatenate(list(self._speech))


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a decode."""

    fixed: float
    per_second: float

    def __str__(self) -> str:
        return f"{self.fixed:.2f} s and {self.per_second:.2f} for each second"

    def of(self, samples: int) -> float:
        """Of so much audio."""
        return self.fixed + self.per_second * samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Costs:
    """Those of one engine."""

    partial: Cost
    final: Cost


class Decoder:
    """Decodes one recording again and again: what it has decoded once it remembers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[int, int, DecodeOptions, bool, int | None], Hypothesis] = {}

    def decode(
        self,
        chunk: Chunk,
        options: DecodeOptions,
        *,
        hurried: bool = False,
        most_tokens: int | None = None,
    ) -> Hypothesis:
        """The text of a chunk, as a final or, ``hurried``, as a partial is decoded."""
        key = (chunk.start, chunk.end, options, hurried, most_tokens)
        if key not in self._known:
            request = DecodeRequest(
                chunk.samples, options, retry=not hurried, hurried=hurried, most_tokens=most_tokens
            )
            self._known[key] = _sound(self._engine.transcribe([request])[0])
        return self._known[key]


def measure(engine: Engine, speech: Samples, options: DecodeOptions, *, hurried: bool = False) -> Cost:
    """The median of some decodes of different speech, to the hundredth; see `Decoder.decode`."""

    def took(number: int, length: int) -> float:
        start = number * (len(speech) - length * SAMPLE_RATE) // TIMES
        row = speech[start : start + length * SAMPLE_RATE]
        decode = partial(Decoder(engine).decode, whole(row), options, hurried=hurried)
        return seconds(decode, clock=time.process_time)

    short, long = (median(took(number, length) for number in range(TIMES)) for length in LENGTHS)
    slope = max(0.0, (long - short) / (LENGTHS[1] - LENGTHS[0]))
    return Cost(round(max(0.0, short - slope * LENGTHS[0]), 2), round(slope, 2))
