"""How long a recording says it is: a hint for people who wait, never a measure of anything."""

import math

import av

from gateway.audio.decode import DEMUXERS, refuse_opening
from gateway.audio.source import ByteSource


def announced_seconds(source: ByteSource) -> float | None:
    """What the container's header says; it may lie, or say nothing. The source stands afterwards as it stood.

    Args:
        source: Must be seekable.
    """
    start = source.tell()
    try:
        with av.open(
            source,
            mode="r",
            container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "none"},
            metadata_errors="replace",
            io_open=refuse_opening,
        ) as container:
            seconds = (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return None
    finally:
        source.seek(start)
    return seconds if math.isfinite(seconds) and seconds > 0 else None
