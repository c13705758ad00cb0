"""Containers, opened by FFmpeg through PyAV: which ones, and never anything that one of them refers to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from gateway.audio.clock import Clock
from gateway.audio.source import GuardedSource

CONTAINERS = {
    "aac": "aac",
    "ac3": "ac3",
    "aiff": "aiff aif aifc",
    "amr": "amr awb",
    "ape": "ape",
    "asf": "wma wmv asf",
    "au": "au snd",
    "avi": "avi",
    "caf": "caf",
    "dsf": "dsf",
    "dss": "dss",
    "dts": "dts",
    "dtshd": "dtshd",
    "dv": "dv",
    "eac3": "eac3",
    "flac": "flac",
    "flv": "flv",
    "gsm": "gsm",
    "iff": "iff 8svx dff",
    "ilbc": "lbc",
    "ircam": "sf",
    "loas": "latm loas",
    "matroska,webm": "webm mkv mka",
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4 m4a m4b mov 3gp 3g2",
    "mp3": "mp3 mp2 mpga",
    "mpc": "mpc",
    "mpc8": "mpc",
    "mpeg": "mpeg mpg vob",
    "mpegts": "ts mts m2ts",
    "mxf": "mxf",
    "nistsphere": "sph",
    "nut": "nut",
    "ogg": "ogg oga opus spx ogv",
    "oma": "oma",
    "qcp": "qcp",
    "rm": "ra rm rmvb",
    "shn": "shn",
    "sox": "sox",
    "tak": "tak",
    "truehd": "thd",
    "tta": "tta",
    "voc": "voc",
    "w64": "w64",
    "wav": "wav rf64 bwf",
    "wtv": "wtv",
    "wv": "wv",
    "xwma": "xwma",
}
"""FFmpeg's demuxers that may read a recording, and the endings of their files' usual names.

Each reads one file: playlists and their like (hls, concat, dash, image2, sdp …) would open what they name."""

_WITH_STAMPS = frozenset({
    "asf",
    "flv",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "mpeg",
    "mpegts",
    "nut",
    "ogg",
    "rm",
    "wtv",
})  # fmt: skip
"""Whose packets have times. In the others FFmpeg counts, and wrongly where the rate changes on the way."""

SMALL_PROBE = {"probesize": "65536", "analyzeduration": "1000000"}
"""Enough wherever the header comes first, and little enough to begin on the first bytes of an upload."""

LARGE_PROBE = {"probesize": "5000000", "analyzeduration": "5000000"}
"""FFmpeg's own defaults: MPEG program streams and the like show their audio only after some video."""

_MAX_DEMUX_ERRORS = 16
"""After so many in a row, the rest of the file is given up."""


def open_container(source: GuardedSource, probe: dict[str, str] | None = None) -> InputContainer:
    """Opens one of `CONTAINERS`, and never anything that it refers to.

    Raises:
        av.FFmpegError: It is none of them.
        PermissionError: It would have another file opened.
    """
    return av.open(
        source,
        mode="r",
        container_options={
            "format_whitelist": ",".join(CONTAINERS),
            "protocol_whitelist": "none",
            **(probe or {}),
        },
        metadata_errors="replace",  # tags in Latin-1 are common, and not what we read
        io_open=refuse_opening,
    )


def refuse_opening(url: str, flags: int, options: dict[str, str]) -> object:  # noqa: ARG001  FFmpeg's signature
    """Refuses, in the place of the function that opens what a container refers to."""
    raise PermissionError("a recording may not refer to other files")


@contextmanager
def opened(source: GuardedSource, probe: dict[str, str]) -> Iterator[InputContainer | None]:
    """The opened container; None where it is none that we decode. Errors of the source pass through."""
    try:
        container = open_container(source, probe)
    except (av.FFmpegError, PermissionError):
        source.raise_error()
        yield None
        return
    try:
        source.raise_error()
        yield container
    finally:
        container.close()


def has_decoder(stream: AudioStream) -> bool:
    """FFmpeg knows the stream's codec."""
    context: object = stream.codec_context  # PyAV's types leave out the None it has here
    return context is not None


def make_clock(container: InputContainer, stream: AudioStream) -> Clock:
    """The clock of a container's stream.

    It begins with the first time stamp of any stream, picture or sound. Only an mp4 with a whole index says
    how long after its beginning its first stream begins (by its edit list), so that counts from zero.
    """
    if container.format.name not in _WITH_STAMPS:
        return Clock(None, follows_stamps=False)
    if _is_mp4(container) and stream.frames:
        return Clock(0.0)
    start: int | None = container.start_time  # PyAV's types leave out the None it may be
    return Clock(None if start is None else start / av.time_base)


def announced_bytes(container: InputContainer, stream: AudioStream) -> int:
    """Bytes the sample table of an mp4 promises; other containers make no such promise we could hold them to.

    An mp4 whose index comes first opens although its end is missing, and FFmpeg then stops without an error.
    """
    if not _is_mp4(container) or not len(stream.index_entries):
        return 0
    last = stream.index_entries[-1]
    return int(last.pos + last.size)


def _is_mp4(container: InputContainer) -> bool:
    return container.format.name.startswith("mov")


def frames(
    container: InputContainer, streams: Sequence[AudioStream], wanted: Callable[[int], bool]
) -> Iterator[tuple[int, AudioFrame]]:
    """The streams' frames as they come, each with its stream's index; corrupt packets are skipped.

    Args:
        wanted: Whether a stream's packets are to be decoded, by its index.
    """
    errors = 0
    while errors < _MAX_DEMUX_ERRORS:
        try:
            for packet in container.demux(streams):
                errors = 0
                if wanted(packet.stream_index):
                    for frame in _decoded(cast("av.Packet[AudioStream]", packet)):
                        yield packet.stream_index, frame
        except av.FFmpegError:
            # The demuxer stumbled; asked again it goes on after the damage.
            errors += 1
        except IndexError:
            # PyAV stumbles at the end of a file whose streams grew in number on the way.
            return
        else:
            return


def _decoded(packet: "av.Packet[AudioStream]") -> list[AudioFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []
