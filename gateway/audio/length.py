"""How long a recording says that it is, without decoding it: a hint, and an early refusal of hours."""

import math

import av

from gateway.audio.containers import open_container
from gateway.audio.source import ByteReader, GuardedSource

_LONGEST_PACKET = 60.0
"""Seconds. No codec's packets last so long; what says more is mistaken."""


def announced_seconds(source: ByteReader) -> float | None:
    """What the container's header says; it may lie, or say nothing. The source stands afterwards as it stood.

    Args:
        source: Must be seekable.
    """
    start, guarded = source.tell(), GuardedSource(source, seekable=True)
    try:
        with open_container(guarded) as container:
            seconds = (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        seconds = 0.0
    finally:
        source.seek(start)
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def packets_seconds(source: ByteReader) -> float | None:
    """What the first audio stream's packets last together, without decoding them: 0.2 s for hours of Opus.

    Each packet's length comes from its own beginning, so it is no promise of a header; but a container that
    says nothing about packets gives None, and decoding has the last word all the same.

    Args:
        source: Must be seekable. It is read to its end, and left there; where it fails,
            whoever reads it next is told.
    """
    guarded = GuardedSource(source, seekable=True)
    seconds = 0.0
    try:
        with open_container(guarded) as container:
            stream = container.streams.audio[0]
            base = float(stream.time_base or 0)
            longest = _LONGEST_PACKET / base if base else 0
            # FFmpeg's Vorbis demuxer gives the last packet a negative length, which arrives unsigned.
            durations = (packet.duration or 0 for packet in container.demux(stream))
            seconds = base * sum(duration for duration in durations if 0 < duration <= longest)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        pass
    if guarded.has_failed:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
