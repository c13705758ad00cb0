"""The fake engine, shipped beside the protocol: it answers from its input, and fails as its input demands.

It runs in a real worker process. Rows made by `act` say a number or misbehave; other audio is answered
with one word of a small vocabulary per second, so the text is a pure function of the length.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TextIO

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Device, RowFailed
from gateway.engine.process import ProcessSpec
from gateway.transcript import Hypothesis, Segment, Token, Word

MAGIC = 2.0**20
"""First sample of a row made by `act`: a million times louder than any audio."""

VOCABULARY = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


CAPABILITIES = Capabilities(
    languages=frozenset({"en", "de"}), detects_language=True, prompt=True, words=True, logprobs=True
)


class Act(IntEnum):
    """What a row makes the engine do."""

    SAY = 0
    DIE = 1
    HANG = 2
    RAISE = 3
    FAIL_ROW = 4
    PRINT = 5


def act(number: int, what: Act = Act.SAY, *, seconds: float = 0.1) -> Samples:
    """A row that says ``number`` (below 2 ** 24, where float32 ends to be exact), or misbehaves."""
    samples = np.zeros(max(3, round(seconds * SAMPLE_RATE)), dtype=np.float32)
    samples[:3] = (MAGIC, what, number)
    return samples


@dataclass(frozen=True, slots=True)
class ScriptedSpec(ProcessSpec):
    """How the fake behaves, whatever its rows say.

    Attributes:
        row_seconds: Time one row takes.
        oom_over: Batches of more rows run out of memory.
        cues: Path of a Unix socket: each call writes a line of JSON with its ``pid`` and ``rows`` there, and
            decodes once a line comes back. So a test knows what runs, and for how long.
        fault: What loading does while ``fault_file`` exists (None: always).
        too_few: Answers one row too few.
        memory_bytes: See `EngineSpec`.
    """

    name: str = "scripted"
    max_batch: int = 8
    lanes: int = 1
    capabilities: Capabilities = CAPABILITIES
    row_seconds: float = 0.0
    oom_over: int | None = None
    cues: str | None = None
    fault: Act | None = None
    fault_file: str | None = None
    too_few: bool = False
    memory_bytes: int = 50_000_000
    device: Device = "cpu"

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Rows of different tasks or beams do not mix."""
        return options.task, options.beam_size

    def load(self) -> "ScriptedEngine":
        """Loads nothing, or fails as told."""
        if self.fault is not None and (self.fault_file is None or Path(self.fault_file).exists()):
            _misbehave(self.fault)
        return ScriptedEngine(self)


ROW_SECONDS = 0.25
"""Said to have been spent searching for each row."""


class ScriptedEngine:
    """See `ScriptedSpec` and `Act`."""

    def __init__(self, spec: ScriptedSpec) -> None:
        self._spec = spec
        self._lane = threading.local()

    @property
    def capabilities(self) -> Capabilities:
        """As in the spec."""
        return self._spec.capabilities

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Announces the batch, waits for its cue, then does what the rows demand."""
        if self._spec.cues is not None:
            cues = self._connected(self._spec.cues)
            rows = [int(row.samples[2]) for row in batch]
            cues.write(json.dumps({"pid": os.getpid(), "rows": rows}) + "\n")
            cues.flush()
            cues.readline()
        if self._spec.oom_over is not None and len(batch) > self._spec.oom_over:
            raise RuntimeError("CUDA failed with error out of memory")
        time.sleep(self._spec.row_seconds * len(batch))
        results = [_answer(row) for row in batch]
        return results[1:] if self._spec.too_few else results

    def _connected(self, path: str) -> TextIO:
        """This lane's own connection."""
        if not hasattr(self._lane, "cues"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            self._lane.cues = connection.makefile("rw", encoding="ascii")
            connection.close()
        cues: TextIO = self._lane.cues
        return cues


def _answer(row: DecodeRequest) -> Hypothesis | RowFailed:
    seconds = len(row.samples) / SAMPLE_RATE
    if len(row.samples) < 3 or row.samples[0] != MAGIC:
        words = [VOCABULARY[second % len(VOCABULARY)] for second in range(round(seconds))]
        return _hypothesis(row, words, seconds)
    what = Act(int(row.samples[1]))
    if what is Act.FAIL_ROW:
        return RowFailed("the row asked for it")
    _misbehave(what)
    return _hypothesis(row, [str(int(row.samples[2]))], seconds)


def _misbehave(what: Act) -> None:
    if what is Act.DIE:
        os.abort()
    if what is Act.HANG:
        threading.Event().wait()
    if what is Act.RAISE:
        raise ValueError("the row asked for it")
    if what is Act.PRINT:
        print("a stray print")  # noqa: T201 (what it is for)
        os.write(1, b"a native library's message\n")


def _hypothesis(row: DecodeRequest, texts: list[str], seconds: float) -> Hypothesis:
    """One segment over the whole row; a token and a word for each text, evenly spread."""
    step = seconds / max(1, len(texts))
    tokens = tuple(
        Token(number, f" {text}", f" {text}".encode(), -0.1 if row.options.logprobs else None)
        for number, text in enumerate(texts)
    )
    words = tuple(
        Word(number * step, (number + 1) * step, f" {text}", 0.9) for number, text in enumerate(texts)
    )
    segment = Segment(
        start=0.0,
        end=seconds,
        text="".join(token.text for token in tokens),
        tokens=tokens,
        words=words if row.options.words else (),
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        temperature=row.options.temperature,
    )
    language = row.options.language or "en"
    return Hypothesis((segment,) if texts else (), language, 1.0, seconds={"search": ROW_SECONDS})
