"""How a recording becomes chunks: what it is decoded as, and the ways to cut it."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.audio.blocks import BlockWalk
from gateway.audio.channels import ChannelCutter
from gateway.audio.chunker import Chunker
from gateway.audio.decode import decode, decode_pcm16
from gateway.audio.frontend import FrontEnd
from gateway.audio.silero import SileroModel
from gateway.audio.source import ByteReader
from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import VadOptions
from gateway.audio.whole import Whole
from gateway.errors import AudioTooLongError, InvalidRequestError


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """How a recording is cut.

    Attributes:
        vad: When speech begins and ends.
        max_seconds: Longest recording, as decoded.
        head_seconds: Only so much of it is decoded; None: all.
        pcm_rate: The source has no container: 16-bit mono samples at this rate.
        too_long: Raised in place of AudioTooLongError, where ``max_seconds`` has another reason.
        track: Which sound track, from 1; None chooses.
        windows: ``speech`` packs speech into windows, ``block`` cuts by Whisper's walk (`BlockWalk`), and
            ``whole`` leaves at most 30 s as they are (`Whole`).
        max_pause: Seconds of silence that end a window of speech whatever is in it, so that live speech has
            its text; None: a window ends when it is full.
        early: Seconds of speech after which a preview of the first window is given; None gives none.
        overlaps: What is said at a window's end is heard in the next one, too.
        channels: Each channel is cut for itself, into windows of speech, and there must be at least so many.
            There are no previews then.
    """

    vad: VadOptions = field(default_factory=VadOptions)
    max_seconds: float = 4 * 3600.0
    pcm_rate: int | None = None
    too_long: InvalidRequestError | None = None
    track: int | None = None
    windows: Literal["speech", "block", "whole"] = "speech"
    max_pause: float | None = None
    early: float | None = None
    overlaps: bool = True
    head_seconds: float | None = None
    channels: int | None = None


class Cutter(Protocol):
    """Samples of one recording in, its chunks out; equal chunks however the recording is sliced."""

    @property
    def waiting(self) -> bool:
        """No chunk comes before `advance` says how far the engine got in the last one."""

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, as recorded; while `waiting` they are kept.

        Their shape is (n,), or (n, channels) where channels are cut apart.
        """

    def flush(self) -> list[Chunk]:
        """Ends the recording: gives what is left; while `waiting`, the next `advance` does."""

    def peek(self) -> Chunk | None:
        """The chunk that is being gathered, so far; None where there is none. Changes nothing."""

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Ends the waiting: gives the next chunk, if it is there.

        Args:
            consumed: How far the engine got, in seconds from the chunk's first sample; None for all of it.

        Raises:
            RuntimeError: It is not `waiting`.
            ValueError: Not within the chunk, or no progress.
        """


def make_cutter(model: SileroModel, options: ChunkingOptions) -> Cutter:
    """A cutter for one recording, of the kind that the options ask for."""
    if options.channels is not None:
        # What is said is put in order by its times, so nothing may come twice.
        return ChannelCutter(
            lambda: Chunker(FrontEnd(model), options.vad, max_pause=options.max_pause, overlaps=False)
        )
    if options.windows == "whole":
        return Whole()
    front_end = FrontEnd(model)
    if options.windows == "block":
        return BlockWalk(front_end, options.vad)
    return Chunker(
        front_end,
        options.vad,
        max_pause=options.max_pause,
        early=options.early,
        overlaps=options.overlaps,
    )


def decode_as(source: ByteReader, options: ChunkingOptions) -> Generator[Samples, None, None]:
    """The source's samples in blocks of at most 5 s; ``options`` tell what it is, and how much is wanted.

    Args:
        source: Read from where it stands; its exceptions pass through unchanged.

    Raises:
        InvalidAudioError: The recording cannot be decoded, is cut off, too short or too long.
        InvalidRequestError: It has no such track.
    """
    blocks = _decode_whole(source, options)
    if options.head_seconds is None:
        yield from blocks
        return
    left = round(options.head_seconds * SAMPLE_RATE)
    with closing(blocks):
        for samples in blocks:
            yield samples[:left]
            left -= len(samples)
            if left <= 0:
                return


def _decode_whole(source: ByteReader, options: ChunkingOptions) -> Generator[Samples, None, None]:
    try:
        if options.pcm_rate is not None:
            yield from decode_pcm16(
                source, rate=options.pcm_rate, max_seconds=options.max_seconds, track=options.track
            )
        else:
            yield from decode(
                source, max_seconds=options.max_seconds, track=options.track, channels=options.channels
            )
    except AudioTooLongError as error:
        raise options.too_long or error from None
