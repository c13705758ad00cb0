"""Whisper's own walk: 30 s windows, each beginning where the last timestamp ended the one before."""

from collections import deque
from dataclasses import dataclass

from gateway.audio.buffer import SampleBuffer
from gateway.audio.frontend import Detector
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import ONSET_PATIENCE, Offset, Onset, Vad, VadOptions

MIN_SPEECH = SAMPLE_RATE // 5
"""A window that shows less of a phrase is not decoded for its sake: no word fits in it, but inventions do."""

_AHEAD = (ONSET_PATIENCE + 1) * FRAME
"""An onset before the window's end is known so many samples later."""


@dataclass(slots=True)
class _Speech:
    """From one onset to its offset; ``end`` is None while it goes on."""

    start: int
    end: int | None = None


class BlockWalk:
    """Gives one window at a time and waits to learn how far the engine got. Holds little more than a window.

    Windows without speech are skipped, and silence that follows them. A window's text is no prompt for the
    next one (Whisper's ``condition_on_previous_text``): that makes a mistake repeat itself for minutes.

    Which windows there are depends on the samples and the engine's answers alone, on no slicing: the VAD is
    led just so far beyond a window's end before the window is judged. A window's ``ends_utterance`` says
    that the recording ends with it.
    """

    def __init__(self, detector: Detector, options: VadOptions) -> None:
        self._detector = detector
        self._kept = max(options.prefix_samples, MIN_SPEECH)
        self._vad = Vad(options)
        self._buffer = SampleBuffer()
        self._pending: deque[float] = deque()
        """Probabilities of frames after the VAD's position."""
        self._known = 0
        """Position up to which there were probabilities before the recording ended."""
        self._speech: deque[_Speech] = deque()
        self._start = 0
        self._given: Chunk | None = None
        self._ended = False
        self._skipped = False
        """The next window begins with speech, as Whisper writes its first timestamp within a second."""

    @property
    def waiting(self) -> bool:
        """A window was given, and `advance` has not said how far the engine got in it."""
        return self._given is not None

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, shape (n,), as recorded; gives the next window if it is there.

        While `waiting` it only keeps the samples.
        """
        self._buffer.append(samples)
        probabilities = self._detector.feed(samples).tolist()
        self._pending.extend(probabilities)
        self._known += len(probabilities) * FRAME
        return self._next()

    def flush(self) -> list[Chunk]:
        """Ends the recording: gives the next window, if any; while `waiting`, the next `advance` does."""
        self._pending.extend(self._detector.flush().tolist())
        self._ended = True
        return self._next()

    def peek(self) -> Chunk | None:
        """None: where the window that is being gathered begins is known when the engine has answered."""
        return None

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Begins the next window where the engine stopped in this one, and gives it if it is there.

        Args:
            consumed: Seconds from the window's first sample; None for all of it.

        Raises:
            RuntimeError: No window was given.
            ValueError: Not within the window, or no progress.
        """
        if self._given is None:
            raise RuntimeError("no window was given")
        length = len(self._given.samples)
        stop = length if consumed is None else round(consumed * SAMPLE_RATE)
        if not 0 < stop <= length:
            raise ValueError(f"{consumed} s of {length / SAMPLE_RATE} s")
        self._go_to(self._given.start + stop)
        self._given = None
        return self._next()

    def _next(self) -> list[Chunk]:
        """The next window with speech in it; none where samples or an answer are missing, or none is left."""
        while self._given is None and self._start < self._buffer.end:
            is_known = self._known >= self._start + MAX_CHUNK_SAMPLES + _AHEAD
            if not is_known and not self._ended:
                break
            end = min(self._start + MAX_CHUNK_SAMPLES, self._buffer.end)
            is_last = self._ended and end == self._buffer.end
            self._listen(end + _AHEAD, to_the_end=not is_known)
            speech = self._first_speech(self._start, end)
            if speech is not None and self._skipped:
                self._skipped = False
                self._go_to(max(self._start, speech.start - self._kept))
            elif speech is not None:
                samples = normalise(self._buffer.read(self._start, end))
                self._given = Chunk(self._start, samples, ends_utterance=is_last)
                return [self._given]
            else:
                # A word that begins with the next window needs some padding before it.
                self._skipped = True
                self._go_to(end if is_last else end - self._kept)
        return []

    def _listen(self, until: int, *, to_the_end: bool) -> None:
        while self._pending and self._vad.position < until:
            self._note(self._vad.step(self._pending.popleft()))
        if to_the_end and not self._pending:
            self._note(self._vad.stop())

    def _note(self, event: Onset | Offset | None) -> None:
        match event:
            case Onset(sample):
                self._speech.append(_Speech(sample))
            case Offset(sample):
                # The last frame is padded: its end may lie after that of the samples.
                self._speech[-1].end = min(sample, self._buffer.end)

    def _first_speech(self, start: int, end: int) -> _Speech | None:
        for speech in self._speech:
            stop = end if speech.end is None else min(speech.end, end)
            is_whole = start <= speech.start and speech.end is not None and speech.end <= end
            if is_whole or stop - max(speech.start, start) >= MIN_SPEECH:
                return speech
        return None

    def _go_to(self, position: int) -> None:
        self._start = position
        self._buffer.drop(position)
        while self._speech and (end := self._speech[0].end) is not None and end <= position:
            self._speech.popleft()
