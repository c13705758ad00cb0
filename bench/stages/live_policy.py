"""Live captions of real speech by a published Whisper, in virtual time: how soon, how steady, how right."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from bench.engines import ENGLISH, Costs, Decoder, whisper
from bench.hearing import base_or_why_not, model_name
from bench.realtime import Item
from bench.replay import DEFAULT_DELAY, DELAYS, SPEECH_SECONDS, Replay, costs_of
from bench.sessions import told_words
from bench.speech import Recording, find_speech, load, readers
from bench.stage import Bench, Finding, Table
from bench.stats import per_cent, percentile, percentiles
from bench.wer import Score, score
from gateway.audio.frontend import FrontEnd
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Engine
from gateway.flow.options import PartialOptions, Recognition
from gateway.transcript import Transcript
from training.mini_whisper.scoring import align, normalise

SILENCE_SECONDS = 2.0
"""Behind each recording, so that its last turn ends."""

OTHERS = ("de", "es", "fr", "it", "pt")
"""Languages whose words are words."""

COLUMNS = (
    "delay|early|lateness, s: p50 / p95|first text, s: p50 / worst|final, s: p50 / worst|otherwise|kept|"
    "kept, blind|wrong: best|wrong: consistent|CPU: partials / all"
).split("|")


@dataclass(slots=True)
class Captions:
    """What one way made of recordings; counts are of words, but for ``turns`` and what was kept."""

    words: int = 0
    early: int = 0
    otherwise: int = 0
    turns: int = 0
    kept: int = 0
    kept_blind: int = 0
    lateness: tuple[float, ...] = ()
    firsts: tuple[float, ...] = ()
    finals: tuple[float, ...] = ()
    best: Score = field(default_factory=Score)
    consistent: Score = field(default_factory=Score)
    audio_seconds: float = 0.0
    partial_seconds: float = 0.0
    final_seconds: float = 0.0

    def add(self, item: Item, transcript: Transcript) -> None:
        """Takes one turn."""
        final = [
            (normal[0], word.end)
            for segment in transcript.segments
            for word in segment.words
            if (normal := normalise(word.text))
        ]
        text = "".join(text for _, text in item.deltas[: item.released])
        told = told_words(item)[: len(normalise(text))]
        _, pairs = align([word for word, _ in final], [word for word, _ in told])
        self.words += len(final)
        self.early += len(told)
        self.otherwise += len(told) - len(pairs)
        self.lateness += tuple(told[at][1] - final[true][1] for true, at in pairs)
        if item.completed is not None and item.audio_end is not None:
            self.finals += (item.completed - item.audio_end,)
        if not told:
            return
        self.turns += 1
        self.kept += transcript.text.startswith(text)
        self.kept_blind += normalise(transcript.text)[: len(told)] == normalise(text)
        if item.speech_start is not None:
            self.firsts += (item.deltas[0][0] - item.speech_start,)

    def row(self, name: str) -> tuple[str, ...]:
        """As the columns have it."""
        turns, words = self.turns or math.nan, self.words or math.nan
        audio = self.audio_seconds or math.nan
        return (
            name,
            per_cent(self.early / words),
            percentiles(self.lateness, 50, 95),
            _worst(self.firsts),
            _worst(self.finals),
            per_cent(self.otherwise / (self.early or math.nan)),
            per_cent(self.kept / turns),
            per_cent(self.kept_blind / turns),
            per_cent(self.best.rate),
            per_cent(self.consistent.rate),
            f"{self.partial_seconds / audio:.2f} / {(self.partial_seconds + self.final_seconds) / audio:.2f}",
        )


def _worst(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 50):.2f} / {max(seconds, default=math.nan):.1f}"


def run(bench: Bench) -> Iterator[Finding]:
    """Needs Whisper base and the folder of real speech: English by each delay, others by the default one."""
    model = base_or_why_not()
    if isinstance(model, str):
        yield model
        return
    known = load(find_speech())
    english = [*(each for each in known if each.language == "en"), *readers(find_speech())]
    others = [each for each in known if each.language in OTHERS]
    engine = whisper(model, cpu_threads=1).load()
    listener = _Listener(engine, costs_of(engine, SPEECH_SECONDS), SileroModel.load())
    found = judge(listener, english[:: 5 if bench.quick else 1], DELAYS)
    rows = [each.row(name) for name, each in found.items()]
    minutes = f"{found[DEFAULT_DELAY].audio_seconds / 60:.1f} min of English"
    if not bench.quick:
        told = judge(listener, others, {DEFAULT_DELAY: DELAYS[DEFAULT_DELAY]})[DEFAULT_DELAY]
        rows.append(told.row(f"{DEFAULT_DELAY}, {' '.join(OTHERS)}"))
        minutes += f", {told.audio_seconds / 60:.1f} of other languages"
    yield Table(f"{model_name(model)}, {minutes}", tuple(COLUMNS), rows)
    yield f"A partial takes {listener.costs.partial} of CPU, a final {listener.costs.final}."


@dataclass(frozen=True, slots=True)
class _Listener:
    """An engine, what it costs, and a detector."""

    engine: Engine
    costs: Costs
    vad: SileroModel


def judge(
    listener: _Listener, recordings: Sequence[Recording], delays: Mapping[str, PartialOptions]
) -> dict[str, Captions]:
    """By each delay, one recording after the other."""
    found = {name: Captions() for name in delays}
    for recording in recordings:
        decoder = Decoder(listener.engine)
        for name, options in delays.items():
            _hear(found[name], listener, decoder, recording, options)
    return found


def _hear(
    found: Captions, listener: _Listener, decoder: Decoder, recording: Recording, options: PartialOptions
) -> None:
    # Nobody asks a recognition for its model but who decodes.
    recognition = Recognition(
        cast("Any", nullcontext), "base", replace(ENGLISH, language=recording.language, words=True)
    )
    segmenter = Segmenter(FrontEnd(listener.vad), TurnOptions())
    replay = Replay(segmenter, decoder, listener.costs, recognition, options)
    silence = np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE), np.float32)
    items = replay.run(np.concatenate([recording.samples, silence]))
    for number, item in enumerate(items):
        if number in replay.transcripts:
            found.add(item, replay.transcripts[number])
    found.audio_seconds += len(recording.samples) / SAMPLE_RATE
    found.partial_seconds += replay.partial_seconds
    found.final_seconds += replay.final_seconds
    if not recording.text:
        return
    consistent = " ".join("".join(text for _, text in item.deltas) for item in items)
    best = " ".join(item.transcript for item in items)
    found.best += score(recording.text, best, recording.language)
    found.consistent += score(recording.text, consistent, recording.language)
