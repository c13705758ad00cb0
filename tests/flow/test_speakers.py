"""Words given to speakers: at a recording's end, or chunk by chunk; and networks that come when wanted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import anyio
import numpy as np
import pytest

from gateway.aio import open_task_group
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speakers import KnownSpeaker, SpeakerOptions
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.errors import ModelUnavailableError, UnavailableError, UnsupportedValueError
from gateway.flow.speaker_source import SpeakerSource
from gateway.flow.speakers import ByChannel, ByVoice, ChunkSpeakers, Speakers
from tests.audio.voices import People
from tests.fake_recognizer import say
from tests.support import no_speakers


class Scripted:
    """Hears, in the next chunk, the people that it is told.

    Attributes:
        heard: The samples that it was given.
    """

    def __init__(self, *chunks: list[int]) -> None:
        self.heard: list[Samples] = []
        self._people = People(3)
        self._chunks = iter(chunks)

    def hear(self, samples: Samples, _: Sequence[int] = ()) -> list[Voice]:
        """As `SpeakerModel`."""
        self.heard.append(samples)
        return self._people.talk(*next(self._chunks))

    def as_model(self) -> SpeakerModel:
        """For what takes one."""
        return cast("SpeakerModel", self)


CHUNK = Chunk(0, np.zeros(16_000, np.float32), ends_utterance=True)


async def _told(*, at_end: bool) -> tuple[list[list[str | None]], list[list[str | None]]]:
    """The speakers of three chunks, as each is taken, and at the end."""
    speakers = Speakers(Scripted([2], [0], [2]).as_model(), at_end=at_end)
    attribution = ByVoice(speakers, anyio.CapacityLimiter(1))
    during = []
    for number in range(3):
        chunk = replace(CHUNK, start=number * SAMPLE_RATE)
        await attribution.hear(chunk)
        given = await attribution.take(say("word"), chunk)
        assert [timeline.start for _, timeline in given] == ([] if at_end else [number])
        during.append([segment.speaker for hypothesis, _ in given for segment in hypothesis.segments])
    last = await attribution.finish()
    assert [timeline.start for _, timeline in last] == ([0, 1, 2] if at_end else [])
    return during, [[segment.speaker for segment in hypothesis.segments] for hypothesis, _ in last]


async def test_chunk_by_chunk() -> None:
    """Each chunk's words are given out with it; letters come in order of appearance."""
    assert await _told(at_end=False) == ([["A"], ["B"], ["A"]], [])


async def test_at_the_end() -> None:
    """Nothing is given out before the end, then all of it."""
    assert await _told(at_end=True) == ([[], [], []], [["A"], ["B"], ["A"]])


async def test_by_channel() -> None:
    """A chunk's words are its channel's speaker's, and wait until they are settled."""
    attribution = ByChannel(["Ann"])
    given = []
    for channel, settled in ((1, 0), (0, 2 * SAMPLE_RATE)):
        chunk = replace(CHUNK, channel=channel, settled=settled)
        await attribution.hear(chunk)
        given.append(await attribution.take(say("word"), chunk))

    speakers = [[segment.speaker for each, _ in part for segment in each.segments] for part in given]
    assert speakers == [[], ["Ann", "B"]]
    assert await attribution.finish() == []


async def test_chunks_of_a_stream() -> None:
    """The same, without words."""
    stream = ChunkSpeakers(Speakers(Scripted([1, 0], [0]).as_model()))

    first, second = await stream.turns(CHUNK), await stream.turns(CHUNK)

    assert [turn.speaker for turn in first] == [0, 1]
    assert [turn.speaker for turn in second] == [1]


@pytest.mark.parametrize("is_narrow", [False, True])
async def test_who_is_known_from_a_call(*, is_narrow: bool) -> None:
    """Is compared with what a telephone would have carried; others are heard as recorded."""
    voice = People(1).centres[0]
    known = KnownSpeaker("Ann", voice, 0.4, voice, 0.4, is_narrow=is_narrow)
    model = Scripted([0], [0])
    chunk = replace(CHUNK, samples=np.random.default_rng(0).standard_normal(16_000).astype(np.float32))

    await ChunkSpeakers(Speakers(model.as_model(), SpeakerOptions((known,)))).turns(chunk)

    power = np.abs(np.fft.rfft(model.heard[0])) ** 2
    assert (power[5_000:].sum() < 0.01 * power.sum()) == is_narrow


async def _get(load: Callable[[], SpeakerModel], wait: float) -> SpeakerModel:
    source = SpeakerSource(load, wait=wait)
    async with open_task_group() as tasks:
        tasks.start_soon(source.run)
        try:
            return await source.get(param="model")
        finally:
            tasks.cancel_scope.cancel()


async def test_networks_are_loaded_when_wanted() -> None:
    """Once, for all who ask."""
    model, loads = Scripted().as_model(), list[int]()

    def load() -> SpeakerModel:
        loads.append(1)
        return model

    source = SpeakerSource(load, wait=60.0)
    async with open_task_group() as tasks:
        tasks.start_soon(source.run)
        await anyio.wait_all_tasks_blocked()
        assert loads == []
        states = [source.state]
        assert await source.get() is await source.get() is model
        states.append(source.state)
        assert states == ["unused", "ready"]
    assert loads == [1]


async def test_networks_that_cannot_be_had() -> None:
    """A 400 that says what to do; the next request is not kept waiting by another try."""
    with pytest.raises(UnsupportedValueError, match="gateway models pull speakers") as caught:
        await _get(no_speakers, 60.0)
    assert caught.value.param == "model"


@pytest.mark.parametrize("error", [ModelUnavailableError("no"), RuntimeError("broken file")])
async def test_any_failure_is_told_the_same(error: Exception) -> None:
    """What the networks' file is or is not is the operator's business."""

    def fail() -> SpeakerModel:
        raise error

    with pytest.raises(UnsupportedValueError):
        await _get(fail, 60.0)


async def test_networks_on_their_way() -> None:
    """A 503 with a time to come back."""
    source = SpeakerSource(no_speakers, wait=0.0)

    with pytest.raises(UnavailableError) as caught:
        await source.get()
    assert source.state == "fetching"

    assert caught.value.retry_after == 5
