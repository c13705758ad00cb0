"""A recording through the gateway, or faster-whisper, in this process: its words, windows and CPU time.

The gateway's own request, options, flow and engine are run, without server, queue and worker process: one
row at a time, so that no figure depends on timing, and the CPU time of this process is all there is. The
same loaded weights serve faster-whisper, which decodes the same bytes.
"""

import io
import os
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import ctranslate2
from faster_whisper import BatchedInferencePipeline, WhisperModel
from huggingface_hub import try_to_load_from_cache

from bench.speech import find_speech, load
from bench.stage import Bench
from bench.variants import wav
from bench.wer import TimedWord
from gateway.audio.silero import SileroModel
from gateway.audio.source import FileSource
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeRequest, Engine, Priority, RowFailed
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.errors import EngineFailedError
from gateway.flow.options import Resources
from gateway.flow.recording import open_transcription
from gateway.metrics import Metrics
from gateway.protocol.request import TranscriptionRequest
from gateway.server.options import chunking_options
from gateway.server.service import recognition
from gateway.transcript import Hypothesis, SegmentDone, TextDelta, TranscriptDone

BASE = "Systran/faster-whisper-base"
FILES = ("model.bin", "config.json", "tokenizer.json")
MODEL_VARIABLE = "GATEWAY_TEST_MODEL"
MAX_SECONDS = 4 * 3600.0

GATEWAY = ("plain", "streamed", "block", "fit")
FASTER_WHISPER = ("fw vad", "fw default", "fw batched")


@dataclass(frozen=True, slots=True)
class Heard:
    """What one way made of a recording.

    Attributes:
        joins: Where in the text another window's begins.
        language: As detected or given.
        cpu_seconds: Of this process, decoding of the file included.
        windows: Rows that were encoded.
        searches: Rows that were decoded, repeated ones each time.
    """

    text: str
    words: tuple[TimedWord, ...]
    joins: tuple[int, ...]
    language: str | None
    duration: float
    cpu_seconds: float
    windows: int
    searches: int


@dataclass(slots=True)
class Counting:
    """A CTranslate2 model that counts the rows it encodes and decodes."""

    model: Any
    encoded: int = 0
    generated: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def encode(self, features: Any, *arguments: Any, **options: Any) -> Any:
        """As `ctranslate2.models.Whisper.encode`."""
        self.encoded += features.shape[0]
        return self.model.encode(features, *arguments, **options)

    def generate(self, features: Any, prompts: Any, *arguments: Any, **options: Any) -> Any:
        """As `ctranslate2.models.Whisper.generate`."""
        self.generated += len(prompts)
        return self.model.generate(features, prompts, *arguments, **options)


@dataclass(slots=True)
class InProcess:
    """An engine as a `Recognizer`, one row after the other."""

    engine: Engine
    _turn: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def name(self) -> str:
        """The model's name."""
        return "whisper"

    @property
    def capabilities(self) -> Capabilities:
        """Of the engine."""
        return self.engine.capabilities

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`; whose row it is, and how urgent, changes nothing.

        Raises:
            EngineFailedError: The row could not be decoded.
        """
        del stream, priority
        async with self._turn:
            [result] = await anyio.to_thread.run_sync(self.engine.transcribe, [request])
        if isinstance(result, RowFailed):
            raise EngineFailedError(result.reason)
        return result


class Ears:
    """One set of weights, and all the ways to hear with them.

    Args:
        threads: Of CTranslate2. One spins nowhere, so its CPU time is all work.

    Attributes:
        engine: The gateway's, for whoever has chunks.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        spec = WhisperSpec(folder.name, folder, cpu_threads=threads)
        model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
        self.counting = model.model = Counting(model.model)
        self._vad = SileroModel.load()
        engines = {
            name: WhisperEngine(each, model, aligns=True)
            for name, each in {"full": spec, "fit": replace(spec, audio_context="fit")}.items()
        }
        self.engine = engines["full"]
        self._ways: dict[str, Callable[..., Heard]] = {
            "plain": partial(self._gateway, engines["full"]),
            "streamed": partial(self._gateway, engines["full"], stream=True),
            "block": partial(self._gateway, engines["full"], block=True),
            "fit": partial(self._gateway, engines["fit"]),
            "fw vad": partial(
                self._faster_whisper, model.transcribe, vad_filter=True, condition_on_previous_text=False
            ),
            "fw default": partial(self._faster_whisper, model.transcribe),
            "fw batched": partial(
                self._faster_whisper, BatchedInferencePipeline(model).transcribe, batch_size=8
            ),
        }

    def hear(self, way: str, file: bytes, *, language: str | None = None, **fields: Any) -> Heard:
        """One recording, one of `GATEWAY` or `FASTER_WHISPER`.

        Args:
            language: None lets it be detected.
            fields: More of a request to the gateway, or arguments of faster-whisper's ``transcribe``.
        """
        self.counting.encoded = self.counting.generated = 0
        begin = time.process_time()
        heard = self._ways[way](file, language=language, **fields)
        return replace(
            heard,
            cpu_seconds=time.process_time() - begin,
            windows=self.counting.encoded,
            searches=self.counting.generated,
        )

    def _gateway(
        self, engine: Engine, file: bytes, *, block: bool = False, stream: bool = False, **fields: Any
    ) -> Heard:
        request = TranscriptionRequest(
            model="whisper", stream=stream, timestamp_granularities=("word",), **fields
        )
        return anyio.run(partial(self._transcribe, engine, file, request, block=block))

    async def _transcribe(
        self, engine: Engine, file: bytes, request: TranscriptionRequest, *, block: bool
    ) -> Heard:
        chunking = chunking_options(request, max_seconds=MAX_SECONDS, default="block" if block else "auto")
        wanted = recognition(request, InProcess(engine), task="transcribe", logprobs=False)
        resources = Resources(self._vad, anyio.CapacityLimiter(1), Metrics())
        text, joins, seek, told = "", list[int](), 0, 0
        async with open_transcription(
            FileSource(io.BytesIO(file)), wanted, resources, chunking=chunking
        ) as transcription:
            async for event in transcription:
                match event:
                    case TextDelta(text=more):
                        text += more
                    case SegmentDone(segment=segment):
                        if segment.seek != seek:
                            joins.append(told)
                        seek, told = segment.seek, len(text)
                    case TranscriptDone(transcript):
                        done = transcript
        return Heard(
            text=text if request.stream else done.text,
            words=_words((word.start, word.text) for each in done.segments for word in each.words),
            joins=tuple(join for join in joins if join),
            language=done.language,
            duration=done.duration,
            cpu_seconds=0.0,
            windows=0,
            searches=0,
        )

    def _faster_whisper(self, transcribe: Callable[..., Any], file: bytes, **options: Any) -> Heard:
        segments, info = transcribe(io.BytesIO(file), word_timestamps=True, beam_size=5, **options)
        text, joins, seek, words = "", list[int](), 0, list[tuple[float, str]]()
        for segment in segments:
            if segment.seek != seek and text:
                joins.append(len(text))
            seek = segment.seek
            text += segment.text
            words += [(word.start, word.word) for word in segment.words or ()]
        return Heard(text, _words(words), tuple(joins), info.language, info.duration, 0.0, 0, 0)


def _words(pairs: Iterable[tuple[float, str]]) -> tuple[TimedWord, ...]:
    return tuple(TimedWord(float(start), text.strip()) for start, text in pairs)


def find_base() -> Path | None:
    """Whisper base in the hub's cache, else in the folder that `MODEL_VARIABLE` names, or None."""
    cached = [try_to_load_from_cache(BASE, file) for file in FILES]
    if all(isinstance(path, str) for path in cached):
        return Path(str(cached[0])).parent
    named = os.environ.get(MODEL_VARIABLE)
    return Path(named) if named and all((Path(named) / file).is_file() for file in FILES) else None


def clip(bench: Bench, seconds: int) -> Path:
    """The beginning of the longest English recording; talk of the miniature's where that or Whisper lacks."""
    folder = find_speech()
    if find_base() is None or not (folder / "recordings.json").is_file():
        return bench.opus(seconds)
    english = [each for each in load(folder) if each.language == "en"]
    path = bench.folder / f"clip-{seconds}.wav"
    bench.folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(max(english, key=lambda each: len(each.file)).samples[: seconds * SAMPLE_RATE]))
    return path


def model_name(folder: Path) -> str:
    """What tables call the model there; a snapshot in the hub's cache is named by its hash."""
    if folder.parent.name != "snapshots":
        return folder.name
    return folder.parents[1].name.rpartition("--")[2].removeprefix("faster-whisper-")


def kernels() -> str:
    """What CTranslate2 computes with, as far as it says."""
    types = ", ".join(sorted(ctranslate2.get_supported_compute_types("cpu")))
    return (
        f"CTranslate2 {ctranslate2.__version__} ({os.environ.get('CT2_FORCE_CPU_ISA', 'automatic')}; {types})"
    )


def base_or_why_not() -> Path | str:
    """Whisper base, where real speech is here, too; else which of them is not."""
    model = find_base()
    if model is None:
        return "There is no Whisper base here."
    return model if find_speech().is_dir() else f"There is no real speech in {find_speech()}."
