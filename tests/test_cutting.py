"""A recording's chunks in the main flow: the audio room's, from a thread; the source is always let go of."""

import io
import threading
from contextlib import aclosing

import anyio
import anyio.lowlevel
import pytest

from gateway.audio.blocks import BlockOptions
from gateway.audio.chunking import ChunkingOptions, chunk_stream
from gateway.audio.silero import SileroModel
from gateway.cutting import Cutter
from gateway.errors import InvalidAudioError
from gateway.metrics import Metrics
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

    expected = [
        chunk for step in chunk_stream(io.BytesIO(long.getvalue()), vad, options) for chunk in step.chunks
    ]
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(chunk.start, chunk.end) for chunk in expected]
    assert cutter.walk is None
    assert cutter.seconds == decoded_seconds(metrics) == pytest.approx(75.578, abs=0.05)
    assert threading.get_ident() not in long.threads


async def test_the_walk_goes_on_where_it_is_told(long: Watched, vad: SileroModel) -> None:
    """Block options make Whisper's walk; the next window is cut when the engine's answer is there."""
    metrics = Metrics()
    cutter = Cutter(long, BlockOptions(), vad)
    assert cutter.walk is not None
    starts = []
    async for chunk in cutter.chunks(anyio.CapacityLimiter(1), metrics):
        starts.append(chunk.start / 16_000)
        cutter.walk.advance(24.5 if not chunk.ends_utterance else None)

    assert starts == [0, 24.5, 49.0]
    assert cutter.seconds == decoded_seconds(metrics) == pytest.approx(75.578, abs=0.05)


@pytest.mark.parametrize("options", [ChunkingOptions(), BlockOptions()])
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


@pytest.mark.parametrize("options", [ChunkingOptions(), BlockOptions()])
async def test_what_is_no_audio_is_refused(options: ChunkingOptions, vad: SileroModel) -> None:
    """By the first step."""
    cutter = Cutter(io.BytesIO(b"no audio"), options, vad)
    with pytest.raises(InvalidAudioError):
        await anext(cutter.chunks(anyio.CapacityLimiter(1), Metrics()))
