"""A recording's chunks in the main flow: the audio room's, from a thread; the source is always let go of."""

import io
import threading
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest

from gateway.audio.chunking import ChunkingOptions, decode_as, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.types import Chunk
from gateway.errors import InvalidAudioError
from gateway.flow.cutting import Cutter
from gateway.metrics import Metrics
from tests.audio.sound import int16, load
from tests.support import Sample


class Watched(io.BytesIO):
    """Notes the threads that read it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.threads: set[int] = set()

    def read(self, size: int | None = -1, /) -> bytes:
        """As files do."""
        self.threads.add(threading.get_ident())
        return super().read(size)


@pytest.fixture(scope="module")
def vad() -> SileroModel:
    """Loaded once."""
    return SileroModel.load()


@pytest.fixture
def long(samples: dict[str, Sample]) -> Watched:
    """75 s of speech with pauses."""
    return Watched(samples["en_long"].path.read_bytes())


def decoded_seconds(metrics: Metrics) -> float | None:
    """What was counted."""
    return metrics.registry.get_sample_value("gateway_audio_seconds_total")


async def test_chunks_are_those_of_the_audio_room(long: Watched, vad: SileroModel) -> None:
    """In order, read in other threads than the event loop's, counted as they are decoded."""
    options, metrics = ChunkingOptions(), Metrics()
    cutter = Cutter(long, options, vad)
    chunks = [chunk async for chunk in cutter.chunks(anyio.CapacityLimiter(1), metrics)]

    room = make_cutter(vad, options)
    blocks = decode_as(io.BytesIO(long.getvalue()), options)
    expected = [chunk for block in blocks for chunk in room.feed(block)] + room.flush()
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(chunk.start, chunk.end) for chunk in expected]
    assert not cutter.waiting
    assert cutter.seconds == decoded_seconds(metrics) == pytest.approx(75.578, abs=0.05)
    assert threading.get_ident() not in long.threads


async def test_the_walk_goes_on_where_it_is_told(long: Watched, vad: SileroModel) -> None:
    """Block options make Whisper's walk; the next window is cut when the engine's answer is there."""
    metrics = Metrics()
    cutter = Cutter(long, ChunkingOptions(windows="block"), vad)
    starts = []
    async for chunk in cutter.chunks(anyio.CapacityLimiter(1), metrics):
        starts.append(chunk.start / 16_000)
        assert cutter.waiting
        cutter.consumed = 24.5 if not chunk.ends_utterance else None

    assert starts == [0, 24.5, 49.0]
    assert cutter.seconds == decoded_seconds(metrics) == pytest.approx(75.578, abs=0.05)


@dataclass
class Stream(io.BytesIO):
    """Samples that come while they are read: ``ahead`` seconds of them are there, the rest is not yet."""

    data: bytes
    ahead: float
    ended: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.data)

    @property
    def unread(self) -> int:
        """As `Arrival`."""
        return min(round(self.ahead * 32_000), len(self.data) - self.tell())

    def read(self, _: int | None = -1, /) -> bytes:
        """A quarter of a second."""
        return super().read(8_000)


class Ear:
    """Listens from the third second on."""

    def __init__(self) -> None:
        self.asked_in: set[int] = set()
        self.heard_in: set[int] = set()
        self.heard: list[Chunk] = []

    def is_due(self, seconds: float) -> bool:
        """As `Listener`."""
        self.asked_in.add(threading.get_ident())
        return seconds > 3

    def hear(self, chunk: Chunk) -> None:
        """As `Listener`."""
        self.heard_in.add(threading.get_ident())
        self.heard.append(chunk)


async def listen(
    stream: Stream, vad: SileroModel, options: ChunkingOptions, *, live: bool = True
) -> tuple[Ear, list[Chunk]]:
    """What is heard and what is cut."""
    ear = Ear()
    cutter = Cutter(stream, options, vad, stream if live else None)
    chunks = []
    async for chunk in cutter.chunks(anyio.CapacityLimiter(1), Metrics(), ear):
        chunks.append(chunk)

        assert cutter.is_live == (live and stream.unread <= 16_000)
    return ear, chunks


async def test_a_live_source_is_heard(samples: dict[str, Sample], vad: SileroModel) -> None:
    """When it is due: asked and copied in the cutting thread, heard on the event loop, between its chunks."""
    stream = Stream(int16(load(samples["en_dialogue"].path)).tobytes(), ahead=0.4)
    ear, chunks = await listen(stream, vad, ChunkingOptions(pcm_rate=16_000))

    assert len(ear.heard) > 20
    assert min(chunk.end for chunk in ear.heard) == 3.25 * 16_000
    assert {chunk.start for chunk in ear.heard} <= {chunk.start for chunk in chunks}
    assert ear.heard_in == {threading.get_ident()}
    assert threading.get_ident() not in ear.asked_in


@pytest.mark.parametrize("case", ["fast", "ended", "unknown", "walk"])
async def test_other_sources_are_not_heard(case: str, samples: dict[str, Sample], vad: SileroModel) -> None:
    """One of which more is there than was read, one whose end is there, one nobody knows, and no walk's."""
    options = ChunkingOptions(pcm_rate=16_000, windows="block" if case == "walk" else "speech")
    stream = Stream(
        # Without its end, where even a fast source has been read.
        int16(load(samples["en_dialogue"].path)).tobytes(),
        ahead=0.6 if case == "fast" else 0.0,
        ended=case == "ended",
    )
    ear, chunks = await listen(stream, vad, options, live=case != "unknown")

    assert chunks
    assert all(chunk.end > 19.5 * 16_000 for chunk in ear.heard)


@pytest.mark.parametrize("options", [ChunkingOptions(), ChunkingOptions(windows="block")])
async def test_leaving_early_closes_the_container(
    options: ChunkingOptions, long: Watched, vad: SileroModel
) -> None:
    """Also when the reader was cancelled: nothing reads the source any more, and no thread is held."""
    limiter = anyio.CapacityLimiter(1)
    cutter = Cutter(long, options, vad)
    with anyio.CancelScope() as scope:
        async with aclosing(cutter.chunks(limiter, Metrics())) as chunks:
            await anext(chunks)
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    assert scope.cancelled_caught
    assert limiter.borrowed_tokens == 0
    assert long.tell() < len(long.getvalue())
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)


@pytest.mark.parametrize("options", [ChunkingOptions(), ChunkingOptions(windows="block")])
async def test_what_is_no_audio_is_refused(options: ChunkingOptions, vad: SileroModel) -> None:
    """By the first step."""
    cutter = Cutter(io.BytesIO(b"no audio"), options, vad)
    with pytest.raises(InvalidAudioError):
        await anext(cutter.chunks(anyio.CapacityLimiter(1), Metrics()))
