"""Where a live stream is cut: a pure function of its samples, its options and the client's commits."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.audio.buffer import DipFinder, SampleBuffer
from gateway.audio.chunker import OFFSET_PADDING
from gateway.audio.frontend import Detector
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.turns import (
    ChunkReady,
    IdleTimeout,
    SegmenterEvent,
    TurnMode,
    TurnOptions,
    UtteranceEnded,
    UtterancePaused,
    UtteranceStarted,
)
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import MAX_PREFIX, ONSET_PATIENCE, Offset, Onset, Vad, VadOptions, VadState

PAUSE = 8 * FRAME
"""256 ms of silence: more than within a word, and enough for `OFFSET_PADDING` after the speech."""

ENOUGH = MAX_CHUNK_SAMPLES * 7 // 10
"""A chunk of 21 s ends at its next pause; without one it is cut in the 9 s that are left."""

KEPT = MAX_PREFIX
"""Kept while nobody seems to speak: a commit may ask for a word too short for the detector."""

_DIP_FRAMES = (MAX_CHUNK_SAMPLES - ENOUGH + PAUSE) // FRAME + 4
"""Those in which a full chunk is cut, which waits for what may become a pause."""


@dataclass(slots=True)
class _Utterance:
    """The utterance that goes on. ``speech_end`` is where its last speech stopped."""

    speech_end: int
    paused: bool = False
    """`UtterancePaused` was given for the silence that goes on."""


class Segmenter:
    """Samples of one live stream in, its utterances and their chunks out; equal however it is sliced.

    In `TurnMode.SEMANTIC_VAD` each pause makes it `waiting`: what is fed is kept until `advance` says how
    long a silence may be, so that this too depends on the samples alone. The end of a stream is a `commit`.
    """

    def __init__(self, detector: Detector, options: TurnOptions) -> None:
        self._options = options
        self._detector = detector
        self._vad = Vad(_vad_options(options))
        self._dips = DipFinder(_DIP_FRAMES)
        self._buffer = SampleBuffer()
        self._pending: deque[float] = deque()
        self._utterance: _Utterance | None = None
        self._chunk_start: int | None = None
        self._given = 0
        """What lies before is in a chunk, or was cleared; it is never given again."""
        self._committed = 0
        """What lies before belongs to an utterance that has ended, or was cleared."""
        self._patience = options.patience
        self._goes_on = False
        """Somebody spoke at the last commit, and was not silent since: what is said begins right there."""
        self._doubt = 0
        """The end of the last frame that may be speech, though too short for the detector."""
        self.waiting = False
        """`UtterancePaused` was given, and `advance` has not said how long the pause may be."""

    @property
    def position(self) -> int:
        """Samples fed so far."""
        return self._buffer.end

    @property
    def uncommitted(self) -> int:
        """Samples since the last utterance's end, or the last commit or clear."""
        return self._buffer.end - self._committed

    @property
    def speaking(self) -> bool:
        """Somebody speaks, or is silent for less than a pause: words have dips, too."""
        return self._vad.speaking and not (self._utterance is not None and self._utterance.paused)

    def configure(self, options: TurnOptions) -> None:
        """Takes other options; an utterance that has begun goes on."""
        self._options = options
        self._patience = options.patience
        self._vad.options = _vad_options(options)

    def feed(self, samples: Samples) -> list[SegmenterEvent]:
        """Takes the next samples, shape (n,), as recorded."""
        self._buffer.append(samples)
        self._pending.extend(self._detector.feed(samples).tolist())
        return self._run()

    def advance(self, patience: int) -> list[SegmenterEvent]:
        """Ends the waiting: an utterance that has paused ends after so many samples of silence."""
        self._patience = patience
        self.waiting = False
        return self._run()

    def commit(self) -> list[SegmenterEvent]:
        """Ends the utterance here; without one, what was fed since the last is one. Not while `waiting`."""
        events: list[SegmenterEvent] = []
        end = self._buffer.end
        if self._utterance is None:
            events.append(self._begin(self._committed, detected=False))
        start = self._chunk_start
        oldest = max(self._given, self._committed, end - KEPT)
        if start is None and self._doubt > oldest:
            start = oldest
        if start is not None:
            if end - start > MAX_CHUNK_SAMPLES:
                events.append(self._close(start, self._dip(start), ends=False))
                start = self._given
            events.append(self._close(start, end, ends=True))
        # The detector is some frames behind: what turns out to be speech there is the next utterance's.
        self._given = max(self._given, self._vad.position)
        events.append(self._end(end))
        return events

    def clear(self) -> None:
        """Forgets what was fed since the last utterance's end, and one that goes on. Not while `waiting`."""
        self._given = self._buffer.end
        self._forget(self._given)

    def peek(self) -> Chunk | None:
        """The chunk that is being gathered, as far as it was fed."""
        if self._chunk_start is None:
            return None
        end = min(self._buffer.end, self._chunk_start + MAX_CHUNK_SAMPLES)
        return self._chunk(self._chunk_start, end, ends=False)

    def _run(self) -> list[SegmenterEvent]:
        events: list[SegmenterEvent] = []
        while self._pending and not self.waiting:
            events += self._step(self._pending.popleft())
        # An onset is known at most ONSET_PATIENCE frames late.
        oldest = self._vad.position - (ONSET_PATIENCE + 1) * FRAME - KEPT
        self._buffer.drop(max(oldest, self._given) if self._chunk_start is None else self._chunk_start)
        return events

    def _step(self, probability: float) -> Iterator[SegmenterEvent]:
        if self._vad.position + FRAME <= self._given:
            # The detector is some frames behind the samples: what was committed is not to begin anew.
            probability = 0.0
        elif probability >= self._vad.options.neg_threshold:
            self._doubt = self._vad.position + FRAME
        else:
            self._goes_on = False
        self._dips.append(probability)
        match self._vad.step(probability):
            case Onset(sample):
                yield from self._onset(sample)
            case Offset(sample) if self._utterance is not None:
                self._utterance.speech_end = sample
        if self._utterance is not None:
            yield from self._listen(self._utterance)
        elif self._is_idle:
            yield IdleTimeout(self._committed, self._vad.position)
            self._forget(self._vad.position)

    def _onset(self, sample: int) -> Iterator[SegmenterEvent]:
        start = max(sample - (KEPT if self._goes_on else self._prefix), self._given)
        if self._utterance is None:
            yield self._begin(start)
        if self._chunk_start is None:
            self._chunk_start = start

    def _listen(self, utterance: _Utterance) -> Iterator[SegmenterEvent]:
        """What the newest frame means for an utterance that goes on."""
        if self._vad.state is VadState.SPEAKING:
            utterance.paused = False
            yield from self._speak()
            return
        speech_end = self._vad.position - self._vad.silence if self._vad.speaking else utterance.speech_end
        silence = self._vad.position - speech_end
        if self._chunk_start is not None:
            yield from self._pause(utterance, self._chunk_start, speech_end)
        if self._vad.state is VadState.QUIET and not self.waiting and self._is_turn_over(silence):
            if self._chunk_start is not None:
                end = self._padded(self._chunk_start, speech_end)
                yield self._close(self._chunk_start, end, ends=True)
            yield self._end(self._vad.position)

    def _speak(self) -> Iterator[SegmenterEvent]:
        if self._chunk_start is None:
            # A full chunk ended in what turned out to be a short pause, so there is no onset.
            self._chunk_start = max(self._vad.position - FRAME - self._prefix, self._given)
        elif self._vad.position - self._chunk_start >= MAX_CHUNK_SAMPLES:
            yield self._close(self._chunk_start, self._dip(self._chunk_start), ends=False)

    def _pause(self, utterance: _Utterance, start: int, speech_end: int) -> Iterator[SegmenterEvent]:
        """Tells of a pause, and ends the chunk in it where it is long enough."""
        silence, length = self._vad.position - speech_end, self._vad.position - start
        if silence < PAUSE:
            return
        end = self._padded(start, speech_end)
        if not utterance.paused:
            utterance.paused = True
            yield UtterancePaused(self._chunk(start, end, ends=True))
            self.waiting = self._options.mode is TurnMode.SEMANTIC_VAD
        is_enough = silence >= self._options.max_pause or length >= ENOUGH
        if length >= MAX_CHUNK_SAMPLES or (is_enough and self._vad.state is VadState.QUIET):
            yield self._close(start, end, ends=True)

    def _is_turn_over(self, silence: int) -> bool:
        match self._options.mode:
            case TurnMode.SERVER_VAD:
                return silence >= self._options.vad.silence_samples
            case TurnMode.SEMANTIC_VAD:
                return silence >= self._patience
            case TurnMode.MANUAL:
                return False

    @property
    def _is_idle(self) -> bool:
        silence = self._vad.position - self._committed
        return (
            self._options.idle is not None
            and silence >= self._options.idle
            and self._vad.state is VadState.QUIET
        )

    def _padded(self, start: int, speech_end: int) -> int:
        """The end of a chunk, some padding after its speech."""
        return min(speech_end + OFFSET_PADDING, self._vad.position, start + MAX_CHUNK_SAMPLES)

    def _dip(self, start: int) -> int:
        end = min(self._vad.position, start + MAX_CHUNK_SAMPLES)
        return self._dips.find(self._buffer, start + ENOUGH, end)

    @property
    def _prefix(self) -> int:
        return self._options.vad.prefix_samples

    def _begin(self, start: int, *, detected: bool = True) -> UtteranceStarted:
        self._utterance = _Utterance(speech_end=start)
        return UtteranceStarted(start, detected)

    def _chunk(self, start: int, end: int, *, ends: bool) -> Chunk:
        return Chunk(start, normalise(self._buffer.read(start, end)), ends)

    def _close(self, start: int, end: int, *, ends: bool) -> ChunkReady:
        chunk = self._chunk(start, end, ends=ends)
        self._given = end
        # Unbroken speech goes on at the cut; after a pause the next onset begins a chunk.
        self._chunk_start = None if ends else end
        return ChunkReady(chunk)

    def _end(self, end: int) -> UtteranceEnded:
        self._forget(end)
        return UtteranceEnded(end)

    def _forget(self, before: int) -> None:
        """What is said from here on is a new utterance."""
        self._utterance = self._chunk_start = None
        self._patience = self._options.patience
        self._goes_on = self._vad.speaking
        self._vad.stop()
        self._committed = before


def _vad_options(options: TurnOptions) -> VadOptions:
    """The detector's: where a silence does not end the utterance, it tells of pauses."""
    if options.mode is TurnMode.SERVER_VAD:
        return options.vad
    return replace(options.vad, silence_duration_ms=PAUSE * 1000 // SAMPLE_RATE)
