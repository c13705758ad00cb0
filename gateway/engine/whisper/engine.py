"""The faster-whisper engine: a batch of chunks of any connections in, one hypothesis per chunk out.

Uses faster-whisper one level down (features, tokenizer, CTranslate2's `encode`, `generate`, `align`): its own
`transcribe()` takes one recording at a time, and its batched pipeline tries nothing again that went wrong.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Device, RowFailed
from gateway.engine.devices.cuda import explained
from gateway.engine.devices.cuda_probe import preload
from gateway.engine.devices.placement import THREADS_VARIABLE
from gateway.engine.process import ProcessSpec
from gateway.engine.whisper.decoder import POSITIONS, Decoder
from gateway.engine.whisper.features import (
    WINDOW_FRAMES,
    AudioContext,
    Encoded,
    context_frames,
    mel_features,
)
from gateway.engine.whisper.languages import find_runs
from gateway.engine.whisper.row import FRAMES_PER_SECOND, Row
from gateway.engine.whisper.stopwatch import Stopwatch
from gateway.engine.whisper.vocabulary import Vocabulary
from gateway.engine.whisper.window import WindowDecoder
from gateway.transcript import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from faster_whisper import WhisperModel

LIBRARY_BYTES = 200_000_000
"""What a worker takes without a model: Python, CTranslate2, FFmpeg; measured."""

LANE_BYTES = 200_000_000
"""The least that a lane takes for its activations, most of it attention over 1,500 positions: with `base` 120
to 200 MB were measured, with the dimensions of `small` 330 MB."""

HOP_SAMPLES = SAMPLE_RATE // FRAMES_PER_SECOND
"""Of one mel frame."""

MAX_WINDOWS = 12
"""Windows decoded for one chunk at most. Speech of 30 s needs one or two, rarely four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperOptions:
    """How a Whisper model is run, whichever it is.

    Attributes:
        compute_type: CTranslate2's number format; None takes int8 on a CPU and float16 on a GPU.
        lanes: Calls at the same time, on the same weights.
        cpu_threads: Of each lane; 0 leaves the number to CTranslate2.
        express: A second worker, for what somebody waits for.
        beam_size: Where a row's options name none.
        audio_context: ``fit`` has the encoder read little more than a row's own audio; what then looks bad
            is decoded again in full. No published model was trained for it.
    """

    device: Device = "cpu"
    compute_type: str | None = None
    lanes: int = 1
    cpu_threads: int = 0
    express: bool = False
    max_batch: int = 8
    beam_size: int = 5
    audio_context: AudioContext = "full"

    @property
    def workers(self) -> int:
        """How many share the model's rows: with an express worker two."""
        return 2 if self.express else 1


@dataclass(frozen=True, slots=True)
class WhisperSpec(WhisperOptions, ProcessSpec):
    """A converted Whisper model in a local folder.

    Attributes:
        path: CTranslate2's folder, with ``tokenizer.json``. Nothing is ever downloaded.
    """

    name: str
    path: Path

    @property
    def memory_bytes(self) -> int:
        """The weights as they lie on disk, half as much for each lane's activations, and the libraries."""
        weights = (self.path / "model.bin").stat().st_size
        return weights + self.lanes * max(LANE_BYTES, weights // 2) + LIBRARY_BYTES

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Rows share a call when they are searched alike; all else may differ."""
        return options.beam_size or self.beam_size

    def load(self) -> WhisperEngine:
        """Loads the model and decodes a second of silence with it.

        Raises:
            FileNotFoundError: The folder lacks a file that would otherwise be downloaded.
            RuntimeError: CTranslate2 cannot load the model, or lacks the device.
        """
        if self.device == "cuda":
            preload()
        from faster_whisper import WhisperModel  # noqa: PLC0415 - a heavy import, workers only

        folder = Path(self.path)
        for file in ("model.bin", "config.json", "tokenizer.json"):
            if not (folder / file).is_file():
                raise FileNotFoundError(f"Model {self.name}: no {file} in {folder}")
        with explained():
            model = WhisperModel(
                str(folder),
                device=self.device,
                compute_type=self.compute_type or ("float16" if self.device == "cuda" else "int8"),
                cpu_threads=self._threads_here(),
                num_workers=self.lanes,
                local_files_only=True,
            )
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            engine = WhisperEngine(self, model, aligns=bool(config.get("alignment_heads")))
            silence = DecodeRequest(np.zeros(SAMPLE_RATE, np.float32), DecodeOptions())
            # The first decode is where a missing cuBLAS or a full GPU shows; it must not wait for a client's.
            for result in engine.transcribe([silence]):
                if isinstance(result, RowFailed):
                    raise RuntimeError(result.reason)  # noqa: TRY004 - it is no type that is wrong
        return engine

    def _threads_here(self) -> int:
        """Of each lane: the recipe's, but no more than this worker is to have."""
        most = os.environ.get(THREADS_VARIABLE, "")
        return min(self.cpu_threads, int(most)) if most.isdecimal() and int(most) else self.cpu_threads


class WhisperEngine:
    """A loaded Whisper model. Called from as many threads at once as it has lanes."""

    def __init__(
        self, spec: WhisperSpec, model: WhisperModel, *, aligns: bool, max_tokens: int = POSITIONS // 2
    ) -> None:
        """Takes a loaded model.

        Args:
            aligns: The model's config names its alignment heads.
            max_tokens: The most tokens of one window.
        """
        self._spec = spec
        self._model = Stopwatch(model.model)
        self._extractor = model.feature_extractor
        self._aligns = aligns
        self._multilingual: bool = model.model.is_multilingual
        self._vocabulary = Vocabulary(model.hf_tokenizer, multilingual=self._multilingual)
        self._windows = WindowDecoder(
            self._model,
            self._vocabulary,
            Decoder(self._model, self._vocabulary, max_tokens=max_tokens),
            aligns=aligns,
            beam_size=spec.beam_size,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the model's own files say."""
        return Capabilities(
            languages=self._vocabulary.languages,
            detects_language=self._multilingual,
            translate=self._multilingual,
            prompt=True,
            keywords=True,
            temperature=True,
            words=self._aligns,
            logprobs=True,
        )

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes the rows of one batch.

        Raises:
            RuntimeError: The GPU is broken; this process must be replaced.
        """
        # Kernels differ with the batch size in the last digits, which can change what a seed draws.
        alone = [[at] for at, request in enumerate(batch) if _is_seeded(request.options)]
        shared = [at for at, request in enumerate(batch) if not _is_seeded(request.options)]
        results: dict[int, Hypothesis | RowFailed] = {}
        for group in filter(None, [shared, *alone]):
            self._model.seconds.clear()
            rows = self._decode_or_fail([batch[at] for at in group])
            seconds = {stage: spent / len(group) for stage, spent in self._model.seconds.items()}
            for at, row in zip(group, rows, strict=True):
                results[at] = replace(row, seconds=seconds) if isinstance(row, Hypothesis) else row
        return [results[at] for at in range(len(batch))]

    def _decode_or_fail(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        try:
            return self._decode(requests)
        except Exception as error:  # one row's fault, whatever it is, must not take its mates along
            if "CUDA" in str(error) and "out of memory" not in str(error):
                raise  # after such an error every later call fails too
            if len(requests) == 1:
                return [RowFailed(f"{type(error).__name__}: {error}")]
            return [self._decode_or_fail([request])[0] for request in requests]

    def _decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        prepared = [self._prepare(request) for request in requests]
        pending = [row for row in prepared if isinstance(row, Row)]
        for number in range(1, MAX_WINDOWS + 1):
            if not pending:
                break
            self._decode_windows(pending, last=number == MAX_WINDOWS)
            pending = [row for row in pending if row.unfinished]
        return [row.failure or row.hypothesis() if isinstance(row, Row) else row for row in prepared]

    def _decode_windows(self, rows: Sequence[Row], *, last: bool) -> None:
        """The present window of each row: those that can be shortened by length, then all others in full."""
        by_frames: defaultdict[int, list[Row]] = defaultdict(list)
        for row in rows:
            frames = context_frames(
                row.window.shape[1], self._spec.audio_context, hurried=row.request.hurried
            )
            by_frames[frames].append(row)
        in_full = by_frames.pop(WINDOW_FRAMES, [])
        for frames, members in sorted(by_frames.items()):
            in_full += self._decode_encoded(members, frames, last=last)
        if in_full:
            self._decode_encoded(in_full, WINDOW_FRAMES, last=last)

    def _decode_encoded(self, rows: Sequence[Row], frames: int, *, last: bool) -> list[Row]:
        """Returns the rows to be decoded in full, as they were.

        One that turns out to be in several languages is left as it is: its window has become shorter.
        """
        encoded = Encoded(self._model, [row.window for row in rows], frames)
        if broken := encoded.not_finite:
            for at in broken:
                rows[at].failure = RowFailed("The encoder's output is not finite")
            healthy = [row for row in rows if row.failure is None]
            return self._decode_encoded(healthy, frames, last=last) if healthy else []
        kept = [at for at in range(len(rows)) if not self._is_mixed(encoded, at, rows[at])]
        if not kept:
            return []
        doubtful = self._windows.decode(encoded.only(kept), [rows[at] for at in kept], last=last)
        for row in doubtful:
            row.forget_languages()
        return doubtful

    def _is_mixed(self, encoded: Encoded, at: int, row: Row) -> bool:
        """Finds out the row's languages, unless they are known; whether its window ends with the first."""
        if row.runs:
            return False
        request = row.request
        breaks = [begin // HOP_SAMPLES for begin in request.breaks]
        row.runs = find_runs(
            self._model, encoded, at, row.window.shape[1], breaks, request.options.languages, request.expected
        )
        return len(row.runs) > 1

    def _prepare(self, request: DecodeRequest) -> Row | RowFailed:
        options, known = request.options, self._vocabulary.languages
        candidates = {options.language} if options.language else set(options.languages) or known
        if unknown := candidates - known:
            return RowFailed(f"Languages unknown to the model: {', '.join(sorted(map(str, unknown)))}")
        if options.task == "translate" and not self._multilingual:
            return RowFailed("An English-only model cannot translate")
        if options.words and not self._aligns:
            return RowFailed("The model names no alignment heads")
        try:
            features = mel_features(self._extractor, request.samples)
        except ValueError as error:
            return RowFailed(f"Bad samples: {error}")
        language = next(iter(candidates)) if len(candidates) == 1 else None
        return Row(request, features, language)


def _is_seeded(options: DecodeOptions) -> bool:
    return options.temperature > 0 and options.seed is not None
