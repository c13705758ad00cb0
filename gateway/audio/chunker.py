"""How a recording is packed into windows for the engine: a pure function of its samples and the options."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from gateway.audio.buffer import DipFinder, SampleBuffer
from gateway.audio.frontend import Detector
from gateway.audio.loudness import normalise
from gateway.audio.silero import FRAME
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Piece, Samples
from gateway.audio.vad import ONSET_PATIENCE, Offset, Onset, Vad, VadOptions, VadState

OFFSET_PADDING = SAMPLE_RATE // 5
"""Kept after speech: final fricatives are quieter than the threshold."""

FULL_FROM = MAX_CHUNK_SAMPLES * 3 // 4
"""The next window begins after so much of a window, or later."""

LAST_CUT = MAX_CHUNK_SAMPLES - 2 * SAMPLE_RATE
"""And not after this: what both hear holds a few words, to find the seam by."""

LONG_PAUSE = 2 * SAMPLE_RATE
"""So long a silence makes a good seam, with nothing after it heard twice."""

HISTORY_FRAMES = 400
"""13 s: the part of the window in which a cut may be forced, a pause that is not long, and the wait."""


def _nothing() -> Samples:
    return np.zeros(0, dtype=np.float32)


@dataclass(slots=True)
class _Span:
    """Speech between two silences, as positions in the stream.

    Attributes:
        start: Of its first sample, some padding before the onset; no sample before is its own.
        at: Samples of the window before it.
        offset: Where the speech stopped, once it did.
        samples: Padded at both ends, once it stopped and the padding is there.
    """

    start: int
    onset: int
    at: int
    offset: int | None = None
    samples: Samples = field(default_factory=_nothing)

    @property
    def end(self) -> int:
        """Position after its last sample, once it has `samples`."""
        return self.start + len(self.samples)


class Chunker:
    """Packs speech into windows of at most 30 s. Holds little more than one window of samples.

    A window holds as many spans of speech as go into it; the pauses between them are shortened to their
    paddings, and `Chunk.pieces` says where each is from. It ends when it is full: a pause alone ends nothing.
    The next one begins in the longest pause of its last quarter, or in the deepest dip of speech without one,
    but two seconds before its end at the latest. So every word has speech on both sides of it in one of them
    (`Chunk.shared`), and what a window's end does to a sentence is heard better by the next one.
    """

    waiting = False
    """Never: its windows do not depend on the engine."""

    def __init__(
        self,
        detector: Detector,
        options: VadOptions,
        *,
        max_pause: float | None = None,
        early: float | None = None,
        overlaps: bool = True,
    ) -> None:
        """Takes what hears speech.

        Args:
            max_pause: Seconds of silence that end a window all the same.
            early: Seconds of the first window after which a preview of it is given.
            overlaps: False ends each window where the next one begins.
        """
        self._detector = detector
        self._prefix = options.prefix_samples
        self._max_pause = None if max_pause is None else max_pause * SAMPLE_RATE
        self._early = None if early is None else round(early * SAMPLE_RATE)
        self._overlaps = overlaps
        self._last_cut = LAST_CUT if overlaps else MAX_CHUNK_SAMPLES
        self._vad = Vad(options)
        self._buffer = SampleBuffer()
        self._dips = DipFinder(HISTORY_FRAMES)
        self._spans: list[_Span] = []
        """Those of the window that is gathered."""
        self._given = 0
        """What lies before belongs to a span that has ended, or to a window that was given."""

    def feed(self, samples: Samples) -> list[Chunk]:
        """Takes the next samples, shape (n,), as recorded; gives the windows that end in them."""
        self._buffer.append(samples)
        chunks = self._take(self._detector.feed(samples))
        # An onset is known at most ONSET_PATIENCE frames late.
        oldest = max(self._vad.position - (ONSET_PATIENCE + 1) * FRAME - self._prefix, self._given)
        span = self._spans[-1] if self._spans else None
        if span is not None and not len(span.samples):
            oldest = span.start
        # A dip may yet be sought in what has ended.
        self._buffer.drop(min(oldest, self._vad.position - HISTORY_FRAMES * FRAME))
        return chunks

    def flush(self) -> list[Chunk]:
        """Ends the recording: gives the windows that are left, the open one last."""
        chunks = self._take(self._detector.flush())
        return [*chunks, self._close()] if self._spans else chunks

    def peek(self) -> Chunk | None:
        """The window that is open, up to the newest sample or its limit; None while none is. Changes nothing.

        Its loudness goes by what there is of it, so the samples may be scaled otherwise once it is cut.
        """
        if not self._spans:
            return None
        return _chunk([*self._spans[:-1], self._so_far(self._spans[-1])], ends_utterance=False)

    def advance(self, consumed: float | None) -> list[Chunk]:
        """Never called: this cutter is never `waiting`.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"nobody waits for {consumed} s")

    def _take(self, probabilities: Iterable[float]) -> list[Chunk]:
        return [chunk for p in probabilities for chunk in self._step(float(p))]

    def _step(self, probability: float) -> list[Chunk]:
        self._dips.append(probability)
        event = self._vad.step(probability)
        span = self._spans[-1] if self._spans else None
        match event:
            case Onset(sample):
                self._begin(sample)
            case Offset(sample) if span is not None:
                span.offset = sample
        # While an onset is in doubt, the padding may turn out to be speech.
        is_quiet = self._vad.state is VadState.QUIET
        if is_quiet and span is not None and self._silence >= OFFSET_PADDING:
            self._end(span)
        if self._vad.speaking:
            return [*self._preview(), *self._overflow()]
        is_paused = is_quiet and self._max_pause is not None and self._silence >= self._max_pause
        return [self._close()] if is_paused else []

    @property
    def settled(self) -> int:
        """Position before which no sample is of a chunk that comes."""
        if self._spans:
            return self._spans[0].start
        # An onset is known some frames later, and has its padding.
        return max(self._given, self._vad.position - (ONSET_PATIENCE + 1) * FRAME - self._prefix)

    @property
    def _silence(self) -> int:
        """Samples since the last speech of the window."""
        offset = self._spans[-1].offset if self._spans else None
        return 0 if offset is None else self._vad.position - offset

    def _preview(self) -> list[Chunk]:
        """The beginning of the first window, once there is enough of it: up to its longest pause, if any."""
        early, span = self._early, self._spans[-1]
        if early is None or span.at + self._vad.position - span.start < early:
            return []
        self._early = None
        pauses = [at for at in range(1, len(self._spans)) if self._spans[at].at >= early // 2]
        if pauses:
            return [_chunk(self._spans[: max(pauses, key=self._pause)], is_preview=True)]
        return [_chunk([*self._spans[:-1], self._so_far(span, early)], ends_utterance=False, is_preview=True)]

    def _begin(self, onset: int) -> None:
        before = self._spans[-1] if self._spans else None
        if before is not None:
            self._end(before, newest=onset)
        start = max(onset - self._prefix, self._given)
        self._spans.append(_Span(start, onset, at=before.at + len(before.samples) if before else 0))

    def _end(self, span: _Span, newest: int | None = None) -> None:
        """Gives the span its samples, with what there is of the padding after them up to ``newest``."""
        if len(span.samples):
            return
        newest = min(self._vad.position if newest is None else newest, self._buffer.end)
        offset = newest if span.offset is None else span.offset
        end = min(offset + OFFSET_PADDING, newest, span.start + MAX_CHUNK_SAMPLES - span.at)
        span.offset = min(offset, end)
        span.samples = self._buffer.read(span.start, end)
        self._given = end

    def _so_far(self, span: _Span, limit: int = MAX_CHUNK_SAMPLES) -> _Span:
        """The span, which may go on, up to the newest sample or so many samples of the window."""
        end = min(span.end if len(span.samples) else self._buffer.end, span.start + limit - span.at)
        offset = end if span.offset is None else min(span.offset, end)
        onset = min(span.onset, offset)  # a long padding may be all that there is room for
        known = span.samples[: end - span.start]
        samples = known if len(known) else self._buffer.read(span.start, end)
        return _Span(span.start, onset, span.at, offset, samples)

    def _overflow(self) -> list[Chunk]:
        """Ends the window with the speech that is too much for it, if there is, and begins the next one."""
        spans = self._spans
        if spans[-1].at + self._vad.position - spans[-1].start < MAX_CHUNK_SAMPLES:
            return []
        if self._vad.state is VadState.STOPPING:
            # It may be about to pause; where an offset takes longer than that, this is one.
            return [self._close()] if self._vad.silence >= 2 * OFFSET_PADDING else []
        pauses = [at for at in range(1, len(spans)) if FULL_FROM <= spans[at].at <= self._last_cut]
        if pauses:
            return [self._split(max(pauses, key=lambda at: (self._pause(at), at)))]
        last = max(at for at, span in enumerate(spans) if span.at <= self._last_cut)
        late = range(last + 1, len(spans))
        if sum(map(self._pause, late)) > LONG_PAUSE:
            return [self._split(max(late, key=self._pause))]
        span = spans[last]
        first = span.start - span.at
        # Not in its padding, however quiet it is there.
        dip = self._dips.find(self._buffer, max(first + FULL_FROM, span.onset), first + self._last_cut)
        return [self._split(last, dip)]

    def _pause(self, at: int) -> int:
        """Samples of silence before a span, in the recording."""
        return self._spans[at].onset - (self._spans[at - 1].offset or 0)

    def _split(self, at: int, dip: int | None = None) -> Chunk:
        """The window; the next one begins with one of its spans, or with a dip in it."""
        spans, cut = self._spans, self._spans[at]
        own = cut.at if dip is None else cut.at + dip - cut.start
        limit = MAX_CHUNK_SAMPLES if self._overlaps else own
        full = [self._so_far(span, limit) for span in spans if span.at < limit]
        shared = sum(len(span.samples) for span in full) - own
        chunk = _chunk(full, ends_utterance=dip is None and not shared, shared=shared)
        if dip is not None:
            cut.samples = cut.samples[dip - cut.start :]
            cut.start = cut.onset = dip
            cut.at = own
        self._spans = spans[at:]
        for span in self._spans:
            span.at -= own
        return chunk

    def _close(self) -> Chunk:
        """All of the window; speech that seems to go on ends here, or where its silence began."""
        span = self._spans[-1]
        offset = self._vad.stop()
        if offset is not None:
            span.offset = offset.sample
        self._end(span)
        spans, self._spans = self._spans, []
        self._early = None
        return _chunk(spans)


def _chunk(
    spans: list[_Span], *, ends_utterance: bool = True, is_preview: bool = False, shared: int = 0
) -> Chunk:
    samples = normalise(np.concatenate([span.samples for span in spans]))
    pieces = tuple(Piece(span.start, span.end, span.onset, span.offset or span.end) for span in spans)
    return Chunk(pieces[0].start, samples, ends_utterance, pieces, is_preview, shared)
