"""Where a recording is cut for the engine: a pure function of its samples and the options."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.audio.buffer import DipFinder, SampleBuffer
from gateway.audio.frontend import Detector
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import ONSET_PATIENCE, Offset, Onset, Vad, VadOptions, VadState

GOALS_SECONDS = (5.0, 28.0)
"""Length aimed at for the first and all later chunks: first words early, then full windows. Whisper pads each
to 30 s, so steps between the two cost a whole window: a minute took four instead of three."""

OFFSET_PADDING = SAMPLE_RATE // 5
"""Kept after speech: final fricatives are quieter than the threshold."""

MAX_PAUSE = SAMPLE_RATE * 3 // 2
"""A longer pause ends the chunk, however short the chunk is."""

_CLOSE_FROM = 0.75
"""A chunk ends at the first pause once it has this share of its goal."""

_FORCED_FROM = 0.7
"""Unbroken speech is cut in the last 30 % of the longest length."""

_HISTORY_FRAMES = 320
"""10 s: the part of the longest chunk in which a cut may be forced, and the wait before it."""


@dataclass(slots=True)
class _Open:
    """The chunk being gathered. ``speech_end`` is where its last speech stopped, once it did."""

    start: int
    speech_end: int = 0


class Chunker:
    """Gathers speech into chunks of at most 30 s. Holds little more than one chunk of samples.

    A chunk is one contiguous span. It ends in a pause: the first after 3/4 of its goal, or any long one.
    Speech without a pause is cut at its deepest dip, and the next chunk begins with the very next sample.
    """

    waiting = False
    """Never: its chunks do not depend on the engine."""

    def __init__(self, detector: Detector, options: VadOptions) -> None:
        self._detector = detector
        self._prefix = options.prefix_samples
        self._vad = Vad(options)
        self._buffer = SampleBuffer()
        self._dips = DipFinder(_HISTORY_FRAMES)
        self._open: _Open | None = None
        self._given = 0
        """What lies before has been given out, and is never given again."""
        self._is_first = True
        """No chunk was given yet."""

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, shape (n,), as recorded; gives the chunks that end in them."""
        self._buffer.append(samples)
        chunks = self._take(self._detector.feed(samples))
        # An onset is known at most ONSET_PATIENCE frames late.
        oldest_onset = self._vad.position - (ONSET_PATIENCE + 1) * FRAME
        self._buffer.drop(self._open.start if self._open else max(oldest_onset - self._prefix, self._given))
        return chunks

    def flush(self) -> list[Chunk]:
        """Ends the recording: gives the chunks that are left, the open one last."""
        chunks = self._take(self._detector.flush())
        return chunks if self._open is None else [*chunks, self._close(self._open)]

    def peek(self) -> Chunk | None:
        """The chunk that is open, up to the newest sample or its limit; None while none is. Changes nothing.

        Its loudness goes by what there is of it, so the samples may be scaled otherwise once it is cut.
        """
        if self._open is None:
            return None
        start = self._open.start
        samples = normalise(self._buffer.read(start, min(self._buffer.end, start + self._limit)))
        return Chunk(start, samples, ends_utterance=False)

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Never called: this cutter is never `waiting`.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"nobody waits for {consumed} s")

    @property
    def _goal(self) -> int:
        return int(GOALS_SECONDS[0 if self._is_first else 1] * SAMPLE_RATE)

    @property
    def _limit(self) -> int:
        return min(2 * self._goal, MAX_CHUNK_SAMPLES)

    def _take(self, probabilities: Iterable[float]) -> list[Chunk]:
        return [chunk for p in probabilities if (chunk := self._step(float(p))) is not None]

    def _step(self, probability: float) -> Chunk | None:
        self._dips.append(probability)
        match self._vad.step(probability):
            case Onset(sample) if self._open is None:
                self._open = _Open(start=max(sample - self._prefix, self._given))
            case Offset(sample) if self._open is not None:
                self._open.speech_end = sample
        if self._open is None:
            return None
        if not self._vad.speaking:
            return self._pause(self._open)
        if self._vad.position - self._open.start >= self._limit:
            return self._full(self._open)
        return None

    def _pause(self, chunk: _Open) -> Chunk | None:
        """Ends the chunk, or waits for more speech."""
        enough = chunk.speech_end - chunk.start >= _CLOSE_FROM * self._goal
        # While an onset is in doubt, the pause may turn out to have been short enough.
        over = self._vad.position - chunk.speech_end >= MAX_PAUSE and self._vad.state is VadState.QUIET
        return self._close(chunk) if enough or over else None

    def _full(self, chunk: _Open) -> Chunk | None:
        """Forces a cut into speech, but first waits for what may be its end."""
        if self._vad.state is not VadState.STOPPING:
            return self._force(chunk)
        return self._close(chunk) if self._vad.silence >= OFFSET_PADDING else None

    def _close(self, chunk: _Open) -> Chunk:
        """The chunk with some padding after its speech, which ends here at the latest."""
        offset = self._vad.stop()
        speech_end = chunk.speech_end if offset is None else offset.sample
        newest = min(self._vad.position, self._buffer.end)
        end = min(speech_end + OFFSET_PADDING, newest, chunk.start + self._limit)
        self._open = None
        return self._give(chunk.start, end, ends_utterance=True)

    def _force(self, chunk: _Open) -> Chunk:
        """The chunk up to its dip; the next one begins there."""
        end = self._dips.find(
            self._buffer, chunk.start + int(_FORCED_FROM * self._limit), chunk.start + self._limit
        )
        self._open = _Open(start=end)
        return self._give(chunk.start, end, ends_utterance=False)

    def _give(self, start: int, end: int, *, ends_utterance: bool) -> Chunk:
        self._given = end
        self._is_first = False
        return Chunk(start, normalise(self._buffer.read(start, end)), ends_utterance)
