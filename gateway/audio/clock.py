"""A track's frames on the clock of their container: what the time stamps leave out becomes silence."""

from collections.abc import Iterator

from av.audio.frame import AudioFrame

GAP = 0.1
"""Seconds. Stamps are rounded and jitter; what they leave out counts from here, as in FFmpeg's resampler."""

OVERLAP = 1.0
"""Seconds by which a stamp may lie back; what lies back further begins a new clock, as joined files do."""

LONGEST_GAP = 4 * 3600.0
"""Seconds. A recorder may pause over a meal; a jump of days is a mistake of who wrote the stamp."""


class Clock:
    """Says how much silence belongs before each frame, so that a sample's position is its time.

    Nothing is ever taken away: frames that overlap follow each other. A single wrong stamp changes nothing,
    for a jump is believed when the next frame goes on from there; so one frame may be held back.

    Args:
        origin: What the container's clock shows where the recording begins; None: the first frame's stamp.
        follows_stamps: False places each frame at the end of the one before it.
    """

    def __init__(self, origin: float | None, *, follows_stamps: bool = True) -> None:
        self._follows_stamps = follows_stamps
        self._origin = origin
        self._position = 0.0
        """Seconds given so far, silence included."""
        self._held: AudioFrame | None = None

    def feed(self, frame: AudioFrame) -> Iterator[tuple[float, AudioFrame]]:
        """Takes the next frame; gives those that are placed, each with the seconds of silence before it."""
        if self._origin is None:
            self._origin = frame.time
        held, self._held = self._held, None
        if held is not None:
            jump = self._jump(held)
            if not self._goes_on(held, frame):
                jump = 0.0
            elif not 0 < jump <= LONGEST_GAP:
                self._origin = (self._origin or 0.0) + jump
                jump = 0.0
            yield self._place(held, jump)
        if -OVERLAP < self._jump(frame) < GAP:
            yield self._place(frame, 0.0)
        else:
            self._held = frame

    def flush(self) -> Iterator[tuple[float, AudioFrame]]:
        """Ends the track."""
        held, self._held = self._held, None
        if held is not None:
            yield self._place(held, 0.0)

    def _place(self, frame: AudioFrame, silence: float) -> tuple[float, AudioFrame]:
        self._position += silence + _seconds(frame)
        return silence, frame

    def _jump(self, frame: AudioFrame) -> float:
        """Seconds from where the track is to where the frame says it is; 0 where it does not say."""
        if frame.time is None or self._origin is None or not self._follows_stamps:
            return 0.0
        return frame.time - self._origin - self._position

    def _goes_on(self, held: AudioFrame, frame: AudioFrame) -> bool:
        """The frame follows the jump of the one before it: a pause may be followed by further ones."""
        if frame.time is None or held.time is None:
            return True
        if self._jump(held) < 0:
            return self._jump(frame) < -OVERLAP
        return frame.time > held.time + _seconds(held) - GAP


def _seconds(frame: AudioFrame) -> float:
    return frame.samples / frame.sample_rate
