"""Live captions of real speech by a published Whisper, in real time: alone, four, beside fast clients."""

import math
from collections.abc import Iterator, Sequence

import anyio
import numpy as np

from bench.crowd import Crowd, Run, runs_table
from bench.hearing import base_or_why_not, model_name
from bench.realtime import Session, converse
from bench.server import RunningServer, serve
from bench.speech import Recording, find_speech, load
from bench.stage import Bench, Finding, Table, Target
from bench.stats import per_cent, percentile
from bench.talk import Phrase, one_by_one
from gateway.audio.frontend import FrontEnd
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import ChunkReady, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.audio.vad import VadOptions

MICROPHONES, FAST_CLIENTS = 4, 3

QUICK_PHRASES = 8

LANGUAGES = ("de", "es", "fr")

SHORT = (0.7, 3.0)
"""Seconds of an utterance that is too short to tell the language by itself."""

SHORT_OF_EACH = 34
"""Utterances of each language."""

BREATH_MS = 200
"""Silence at which recordings are cut into short utterances."""


def run(bench: Bench) -> Iterator[Finding]:
    """Needs Whisper base and the folder of real speech."""
    model = base_or_why_not()
    if isinstance(model, str):
        yield model
        return
    recordings = load(find_speech())
    seconds, each = (20.0, 3) if bench.quick else (60.0, SHORT_OF_EACH)
    with serve(model) as server:
        said = phrases_of(recordings)[: QUICK_PHRASES if bench.quick else None]
        crowd = Crowd(server, said, has_words=True)
        alone = crowd.run("1 microphone", 1, seconds)
        many = crowd.run(f"{MICROPHONES} microphones", MICROPHONES, seconds)
        beside = crowd.run(f"1 beside {FAST_CLIENTS} fast clients", 1, seconds, fast=FAST_CLIENTS)
        yield runs_table(f"{model_name(model)}, English", [alone, many, beside])
        yield from _targets(alone, many, beside)
        yield from _languages(server, recordings, each)


def phrases_of(recordings: Sequence[Recording]) -> list[Phrase]:
    """English utterances of recordings that are made of several; when their words were said nobody knows."""
    return [
        Phrase(text, one.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)], ())
        for one in recordings
        if one.language == "en" and len(one.spans) > 1
        for start, end, text in one.spans
    ]


def short_phrases(recording: Recording, vad: SileroModel) -> list[Phrase]:
    """What is said between two breaths, where that is short."""
    turns = TurnOptions(vad=VadOptions(silence_duration_ms=BREATH_MS))
    segmenter = Segmenter(FrontEnd(vad), turns)
    end = np.zeros(SAMPLE_RATE, np.float32)
    events = segmenter.feed(np.concatenate([recording.samples, end]))
    chunks = [event.chunk.samples for event in events if isinstance(event, ChunkReady)]
    low, high = (length * SAMPLE_RATE for length in SHORT)
    return [Phrase("", samples, ()) for samples in chunks if low <= len(samples) <= high]


def _targets(alone: Run, many: Run, beside: Run) -> Iterator[Finding]:
    found = many.figures
    value = f"{per_cent(found.early)}, p95 {many.lag:.2f} s"
    text = f"{MICROPHONES} microphones: early text in 90 % of turns, p95 of finals within 2 s"
    yield Target(text, value, found.early >= 0.9 and many.lag <= 2)
    ratio = percentile(beside.figures.finals, 50) / percentile(alone.figures.finals, 50)
    value = f"{ratio:.2f}, {per_cent(beside.figures.early)} and {per_cent(alone.figures.early)}"
    text = "beside fast clients: p50 of finals within 1.3 times that alone, early text in as many turns"
    yield Target(text, value, ratio <= 1.3 and beside.figures.early >= alone.figures.early)
    more = 100 * (alone.figures.errors - alone.files)
    text = "wrong words of live finals: at most half a point more than of files"
    yield Target(text, f"{more:+.1f} points", more <= 0.5)


def _languages(server: RunningServer, recordings: Sequence[Recording], each: int) -> Iterator[Finding]:
    """A session for each language, which is not told."""
    vad, sessions = SileroModel.load(), dict[str, Session]()

    async def listen(language: str, said: Sequence[Phrase]) -> None:
        sessions[language] = await converse(server.port, one_by_one(said), language=None)

    async def all_at_once() -> None:
        async with anyio.create_task_group() as tasks:
            for language in LANGUAGES:
                of_language = (one for one in recordings if one.language == language)
                said = [phrase for one in of_language for phrase in short_phrases(one, vad)]
                tasks.start_soon(listen, language, said[:each])

    anyio.run(all_at_once)
    rows, wrong, count = [], 0, 0
    for language, session in sorted(sessions.items()):
        heard = [item for item in session.items if item.transcript]
        others = [item for item in heard if item.languages != (language,)]
        wrong, count = wrong + len(others), count + len(heard)
        shown = "; ".join(f"{'+'.join(item.languages)}: {item.transcript}" for item in others)
        rows.append((language, f"{len(heard)}", f"{len(others)}", shown))
    yield Table("Short utterances, their language not told", ("", "finals", "wrong", "which"), rows)
    share = per_cent(wrong / (count or math.nan))
    yield Target("no wrong language in short utterances", f"{wrong} of {count}, {share}", wrong == 0)
