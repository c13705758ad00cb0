"""Live captions of real speech by a published Whisper, in virtual time: how soon, how steady, how right."""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from bench.engines import ENGLISH, Costs, Decoder, whisper
from bench.hearing import find_base
from bench.realtime import Item
from bench.replay import DELAYS, SPEECH_SECONDS, Replay, costs_of
from bench.sessions import told_words
from bench.speech import Recording, find_speech, load
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

COLUMNS = (
    "delay|early|lateness, s: p50 / p95|first text, s: p50 / worst|otherwise|kept|kept, blind|"
    "wrong: best|wrong: consistent|CPU of partials"
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
    best: Score = field(default_factory=Score)
    consistent: Score = field(default_factory=Score)
    audio_seconds: float = 0.0
    partial_seconds: float = 0.0

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
        return (
            name,
            per_cent(self.early / words),
            percentiles(self.lateness, 50, 95),
            f"{percentile(self.firsts, 50):.2f} / {max(self.firsts, default=math.nan):.1f}",
            per_cent(self.otherwise / (self.early or math.nan)),
            per_cent(self.kept / turns),
            per_cent(self.kept_blind / turns),
            per_cent(self.best.rate),
            per_cent(self.consistent.rate),
            f"{self.partial_seconds / (self.audio_seconds or math.nan):.2f}",
        )


def run(bench: Bench) -> Iterator[Finding]:
    """Needs Whisper base and the folder of real speech; English, so that its words are words."""
    model = find_base()
    if model is None:
        yield "There is no Whisper base here."
        return
    recordings = [each for each in load(find_speech()) if each.language == "en"]
    engine = whisper(model, cpu_threads=1).load()
    listener = _Listener(engine, costs_of(engine, SPEECH_SECONDS), SileroModel.load())
    found = judge(listener, recordings[: 3 if bench.quick else None])
    minutes = next(iter(found.values())).audio_seconds / 60
    title = f"{model.name}, {minutes:.1f} min of English"
    yield Table(title, tuple(COLUMNS), [each.row(name) for name, each in found.items()])


@dataclass(frozen=True, slots=True)
class _Listener:
    """An engine, what it costs, and a detector."""

    engine: Engine
    costs: Costs
    vad: SileroModel


def judge(listener: _Listener, recordings: Sequence[Recording]) -> dict[str, Captions]:
    """By each delay, one recording after the other."""
    found = {name: Captions() for name in DELAYS}
    for recording in recordings:
        decoder = Decoder(listener.engine)
        for name, options in DELAYS.items():
            _hear(found[name], listener, decoder, recording, options)
    return found


def _hear(
    found: Captions, listener: _Listener, decoder: Decoder, recording: Recording, options: PartialOptions
) -> None:
    # Nobody asks a recognition for its model but who decodes.
    recognition = Recognition(cast("Any", nullcontext), "base", replace(ENGLISH, words=True))
    segmenter = Segmenter(FrontEnd(listener.vad), TurnOptions())
    replay = Replay(segmenter, decoder, listener.costs, recognition, options)
    silence = np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE), np.float32)
    items = replay.run(np.concatenate([recording.samples, silence]))
    for number, item in enumerate(items):
        if number in replay.transcripts:
            found.add(item, replay.transcripts[number])
    found.audio_seconds += len(recording.samples) / SAMPLE_RATE
    found.partial_seconds += replay.partial_seconds
    consistent = " ".join("".join(text for _, text in item.deltas) for item in items)
    best = " ".join(item.transcript for item in items)
    found.best += score(recording.text, best, recording.language)
    found.consistent += score(recording.text, consistent, recording.language)
