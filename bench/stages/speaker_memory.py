"""Memory over three hours in which people talk, of what tells them apart: files, streams and live sessions.

Ten minutes of a dialogue are heard by the real networks, and come again and again, each time a little
different. Each way is a process of its own. In full, one more way runs the networks for all three hours.
"""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import cast

import anyio
import numpy as np

from bench.dialogues import Readers
from bench.listener import networks
from bench.server import memory_mb
from bench.speech import find_speech
from bench.stage import Bench, Finding, Table, Target
from bench.variants import samples_of
from gateway.audio.chunking import ChunkingOptions, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.speaker_clusters import unit
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.flow.speakers import ByVoice, ChunkSpeakers, Speakers
from gateway.transcript import Hypothesis, Segment, Token, Word

MINUTES = (10, 60, 180)
DIALOGUE_MINUTES = 10
SCATTER = 0.02
"""By how much a voice differs when it comes again."""

ALONE, PLAIN, STREAMED, LIVE, NETWORKS = (
    "file, its words alone",
    "file",
    "stream",
    "live session",
    "stream, networks running",
)
MOST_FOR_STREAMS, MOST_FOR_VOICES = 1.05, 30.0
"""How many times what the first ten minutes took, and megabytes for the voices of three hours."""

Heard = list[tuple[Chunk, list[Voice]]]


@dataclass(slots=True)
class Repeating:
    """Hears what was heard before, nearly."""

    voices: Sequence[list[Voice]]
    at: int = 0

    def hear(self, _: Samples, __: Sequence[int] = ()) -> list[Voice]:
        """As `SpeakerModel`."""
        random = np.random.default_rng(self.at)
        known = self.voices[self.at % len(self.voices)]
        self.at += 1
        return [
            replace(
                voice,
                embedding=unit(voice.embedding + SCATTER * random.standard_normal(192).astype(np.float32)),
            )
            for voice in known
        ]


def run(bench: Bench) -> Iterator[Finding]:
    """Needs the folder of real speech."""
    heard = _hear()
    ways = [ALONE, PLAIN, STREAMED, LIVE, *([] if bench.quick else [NETWORKS])]
    found = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for way in ways:
            found[way] = processes.submit(measure, way, heard, MINUTES).result()
    yield Table(
        "Memory of the process in MB after so many minutes, and its peak",
        ("", *(f"{each} min" for each in MINUTES), "peak"),
        [(way, *(f"{value:.1f}" for value in values)) for way, values in found.items()],
    )
    for way in ways[2:]:
        ratio = found[way][-2] / found[way][0]
        yield Target(
            f"{way}: {MINUTES[-1]} min take at most {MOST_FOR_STREAMS:g} times what {MINUTES[0]} take",
            f"{ratio:.3f}",
            ratio <= MOST_FOR_STREAMS,
        )
    growth = [found[way][-1] - found[way][0] for way in (PLAIN, ALONE)]
    more = growth[0] - growth[1]
    yield Target(
        f"file: the voices of {MINUTES[-1]} min and their clustering take at most {MOST_FOR_VOICES:g} MB",
        f"{more:.1f}",
        more <= MOST_FOR_VOICES,
    )


def _hear() -> Heard:
    readers = Readers(find_speech() / "readers")
    samples = samples_of(readers.dialogue(2, "quiet", seconds=DIALOGUE_MINUTES * 60).file)
    cutter = make_cutter(SileroModel.load(), ChunkingOptions(overlaps=False))
    model = networks()
    chunks = [*cutter.feed(samples), *cutter.flush()]
    return [(chunk, model.hear(chunk.samples, chunk.breaks)) for chunk in chunks]


def measure(way: str, heard: Heard, minutes: Sequence[int]) -> list[float]:
    """Megabytes after so many minutes each, and at most; in a process that does nothing else."""
    model = (
        networks() if way == NETWORKS else cast("SpeakerModel", Repeating([voices for _, voices in heard]))
    )
    forget: Callable[[], None] = model.costs.known.clear if way == NETWORKS else lambda: None  # type: ignore[attr-defined]
    return anyio.run(_measure, way, [chunk for chunk, _ in heard], model, forget, minutes)


async def _measure(
    way: str,
    chunks: Sequence[Chunk],
    model: SpeakerModel,
    forget: Callable[[], None],
    minutes: Sequence[int],
) -> list[float]:
    speakers = Speakers(model, at_end=way == PLAIN)
    attribution = ByVoice(speakers, anyio.CapacityLimiter(1))
    live = ChunkSpeakers(speakers)
    kept = list[Hypothesis]()
    values = []
    number = 0
    for until in minutes:
        while number * sum(map(_seconds, chunks)) / len(chunks) < until * 60:
            chunk = chunks[number % len(chunks)]
            if way == LIVE:
                await live.turns(chunk)
            elif way == ALONE:
                kept.append(_said(chunk, number))
            else:
                await attribution.hear(chunk)
                await attribution.take(_said(chunk, number), chunk)
            forget()
            number += 1
        gc.collect()
        values.append(memory_mb(os.getpid()))
    await attribution.finish()
    return [*values, memory_mb(os.getpid(), peak=True)]


def _seconds(chunk: Chunk) -> float:
    return len(chunk.samples) / SAMPLE_RATE


def _said(chunk: Chunk, number: int) -> Hypothesis:
    """Words of 0.4 s, which are no others' objects."""
    words = tuple(
        Word(0.4 * at, 0.4 * at + 0.35, f" w{number}.{at}", 0.9) for at in range(int(_seconds(chunk) / 0.4))
    )
    tokens = tuple(Token(at, word.text, word.text.encode(), None) for at, word in enumerate(words))
    text = "".join(word.text for word in words)
    segment = Segment(0.0, _seconds(chunk), text, tokens, words, -0.1, 1.0, 0.0, 0.0)
    return Hypothesis((segment,), "en", 1.0)
