"""A recording with one person on each channel: every channel is cut for itself."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from gateway.audio.chunker import Chunker
from gateway.audio.isolation import Isolation
from gateway.audio.types import Chunk, Samples


class ChannelCutter:
    """Samples of shape (n, channels) in, chunks of one channel each out, in an order that is always the same.

    What a channel only hears of another one is taken out first (`Isolation`).

    Args:
        make: Makes a channel's chunker.
    """

    waiting = False
    """Never: its windows do not depend on the engine."""

    def __init__(self, make: Callable[[], Chunker]) -> None:
        self._make = make
        self._isolation: Isolation | None = None
        self._chunkers: list[Chunker] = []

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, as recorded; gives the chunks that they complete."""
        if self._isolation is None:
            self._isolation = Isolation(samples.shape[1])
            self._chunkers = [self._make() for _ in range(samples.shape[1])]
        return [chunk for piece in self._isolation.feed(samples) for chunk in self._cut(piece)]

    def flush(self) -> list[Chunk]:
        """Ends the recording: gives what is left."""
        if self._isolation is None:
            return []
        rest = self._cut(self._isolation.flush())
        return [*rest, *self._placed([chunker.flush() for chunker in self._chunkers])]

    def peek(self) -> None:
        """None: whose words come next is known when all channels are cut."""

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Nothing waits for it.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"it is not waiting for {consumed}")

    def _cut(self, piece: Samples) -> list[Chunk]:
        return self._placed([chunker.feed(piece[:, at].copy()) for at, chunker in enumerate(self._chunkers)])

    def _placed(self, cut: Iterable[list[Chunk]]) -> list[Chunk]:
        """The chunks with their channels, the first to begin first, and with what all channels have given."""
        chunks = [replace(chunk, channel=at) for at, own in enumerate(cut) for chunk in own]
        chunks.sort(key=lambda chunk: chunk.start)
        settled = min(chunker.settled for chunker in self._chunkers)
        return [
            replace(chunk, settled=min([settled, *(later.start for later in chunks[at + 1 :])]))
            for at, chunk in enumerate(chunks)
        ]
