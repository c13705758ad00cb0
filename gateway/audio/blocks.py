"""Whisper's own walk: 30 s windows, each beginning where the last timestamp ended the one before."""

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from gateway.audio.buffer import SampleBuffer
from gateway.audio.chunker import MAX_PREFIX
from gateway.audio.chunking import ChunkBatch, ChunkingOptions, decode_as
from gateway.audio.loudness import RunningGain, normalise
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.source import ByteSource
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Offset, Onset, Samples
from gateway.audio.vad import ONSET_PATIENCE, Vad, VadOptions

MIN_SPEECH = SAMPLE_RATE // 5
"""A window that shows less of a phrase is not decoded for its sake: no word fits in it, but inventions do."""

_LISTEN_AHEAD = (ONSET_PATIENCE + 1) * FRAME
"""An onset before the window's end is known so much later."""


@dataclass(frozen=True, slots=True)
class BlockOptions(ChunkingOptions):
    """The recording is cut by Whisper's walk; the VAD only tells which windows hold speech."""


@dataclass(slots=True)
class _Speech:
    """``end`` is None while it goes on."""

    start: int
    end: int | None = None


class BlockWalk:
    """Gives one window at a time and is then told how far the engine got. Holds little more than a window.

    Windows without speech are skipped, and silence that follows them. A window's text is no prompt for the
    next one (Whisper's ``condition_on_previous_text``): that makes a mistake repeat itself for minutes.

    Which windows there are depends on the samples and the engine's answers alone, on no slicing: the VAD is
    led just so far beyond a window's end before the window is judged.
    """

    def __init__(self, options: VadOptions) -> None:
        self._kept = max(min(options.prefix_samples, MAX_PREFIX), MIN_SPEECH)
        self._vad = Vad(options)
        self._buffer = SampleBuffer()
        self._unheard: deque[float] = deque()
        """Probabilities of frames behind the VAD's position."""
        self._speech: deque[_Speech] = deque()
        self._start = 0
        self._index = 0
        self._given: Chunk | None = None
        self._ended = False
        self._skipped = False
        """The next window begins with speech, as Whisper writes its first timestamp within a second."""

    def feed(self, samples: Samples, probabilities: Iterable[float]) -> None:
        """Takes the next samples and the next frames' probabilities.

        Args:
            samples: Shape (n,), as recorded, without the running gain the detector heard.
            probabilities: Of frames whose samples have been fed, now or earlier.
        """
        self._buffer.append(samples)
        self._unheard.extend(map(float, probabilities))

    def flush(self) -> None:
        """Ends the stream; the windows that are left can be had."""
        self._ended = True

    def next_window(self) -> Chunk | None:
        """The next window with speech in it; None where more samples are needed, or none are left.

        Its ``ends_utterance`` says that the recording ends with it; any other may end within a word.

        Raises:
            RuntimeError: `advance` was not called for the last window.
        """
        if self._given is not None:
            raise RuntimeError("how far did the last window get?")
        while self._start < self._buffer.end:
            if not self._ended and self._known < self._start + MAX_CHUNK_SAMPLES + _LISTEN_AHEAD:
                return None
            end = min(self._start + MAX_CHUNK_SAMPLES, self._buffer.end)
            is_last = self._ended and end == self._buffer.end
            self._listen(end + _LISTEN_AHEAD)
            speech = self._first_speech(self._start, end)
            if speech is not None and self._skipped:
                self._skipped = False
                self._go_to(max(self._start, speech.start - self._kept))
            elif speech is not None:
                samples = normalise(self._buffer.read(self._start, end))
                self._given = Chunk(self._index, 0, self._start, samples, ends_utterance=is_last)
                self._index += 1
                return self._given
            else:
                # A word that begins with the next window needs some padding before it.
                self._skipped = True
                self._go_to(end if is_last else end - self._kept)
        return None

    def advance(self, seconds: float | None) -> None:
        """Begins the next window where the engine stopped in this one.

        Args:
            seconds: From the window's first sample; None for all of it.

        Raises:
            RuntimeError: There is no such window.
            ValueError: Not within the window, or no progress.
        """
        if self._given is None:
            raise RuntimeError("no window was given")
        length = len(self._given.samples)
        told = length if seconds is None else round(seconds * SAMPLE_RATE)
        if not 0 < told <= length:
            raise ValueError(f"{seconds} s of {length / SAMPLE_RATE} s")
        self._go_to(self._given.start + told)
        self._given = None

    @property
    def _known(self) -> int:
        """Position up to which there are probabilities."""
        return self._vad.position + len(self._unheard) * FRAME

    def _listen(self, until: int) -> None:
        while self._unheard and self._vad.position < until:
            self._note(self._vad.step(self._unheard.popleft()))
        if self._ended and not self._unheard:
            self._note(self._vad.stop())

    def _note(self, event: Onset | Offset | None) -> None:
        match event:
            case Onset(sample):
                self._speech.append(_Speech(sample))
            case Offset(sample):
                # The last frame is padded: its end may lie behind that of the samples.
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


def block_stream(
    source: ByteSource, model: SileroModel, options: ChunkingOptions, walk: BlockWalk
) -> Generator[ChunkBatch, None, None]:
    """Decodes a recording and walks over it. Each step gives one decoded block (1 to 5 s) or one window.

    After a step with a window, call `BlockWalk.advance` before the next one.

    Args:
        source: As `decode` takes it. Closing the generator lets go of it.

    Raises:
        InvalidAudioError: The recording cannot be decoded, is cut off, too short or too long.
    """
    gain, silero = RunningGain(), model.stream()
    seconds = 0.0
    with closing(decode_as(source, options)) as blocks:
        for block in blocks:
            seconds += len(block) / SAMPLE_RATE
            walk.feed(block, silero.feed(gain.feed(block)))
            yield ChunkBatch((), seconds)
            yield from _windows(walk, seconds)
    walk.feed(np.zeros(0, dtype=np.float32), np.concatenate((silero.feed(gain.flush()), silero.flush())))
    walk.flush()
    yield from _windows(walk, seconds)


def _windows(walk: BlockWalk, seconds: float) -> Generator[ChunkBatch, None, None]:
    while (window := walk.next_window()) is not None:
        yield ChunkBatch((window,), seconds)
