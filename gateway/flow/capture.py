"""The audio half of a live session: bytes in, utterances and chunks out."""

from gateway.audio.denoise import Denoiser
from gateway.audio.frontend import FrontEnd
from gateway.audio.pcm import PcmDecoder
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import SegmenterEvent
from gateway.audio.types import Chunk, Samples
from gateway.flow.options import LiveOptions


class Capture:
    """One session's decoder, noise reduction and segmenter.

    It computes, so call it in a thread, with no two calls at the same time.
    """

    def __init__(self, vad: SileroModel, options: LiveOptions) -> None:
        self._options = options
        self._decoder = PcmDecoder(options.encoding, options.rate)
        self._denoiser = _denoiser(options)
        self._segmenter = Segmenter(FrontEnd(vad), options.turns)

    @property
    def position(self) -> int:
        """Samples so far, at 16 kHz."""
        return self._segmenter.position

    @property
    def uncommitted(self) -> int:
        """Samples that belong to no utterance that has ended."""
        return self._segmenter.uncommitted

    @property
    def speaking(self) -> bool:
        """Somebody speaks, and is not silent for a moment."""
        return self._segmenter.speaking

    @property
    def waiting(self) -> bool:
        """`advance` must be called before anything else."""
        return self._segmenter.waiting

    def feed(self, data: bytes) -> list[SegmenterEvent]:
        """Takes audio in the session's encoding, cut anywhere."""
        return self._cut(self._decoder.feed(data))

    def advance(self, silence: int) -> list[SegmenterEvent]:
        """Ends the waiting: says how many samples of silence end the utterance that has paused."""
        return self._segmenter.advance(silence)

    def settle(self) -> list[SegmenterEvent]:
        """Takes in what the resampler and the noise reduction hold, before a commit, a clear or a change."""
        events = self._cut(self._decoder.flush())
        if self._denoiser is not None:
            events += self._segmenter.feed(self._denoiser.flush())
        return events

    def commit(self) -> list[SegmenterEvent]:
        """Ends the utterance here; `settle` comes before it."""
        return self._segmenter.commit()

    def clear(self) -> None:
        """Forgets what was not committed; `settle` comes before it."""
        self._segmenter.clear()

    def peek(self) -> Chunk | None:
        """The chunk that goes on, as far as it was fed; None while none does."""
        return self._segmenter.peek()

    def configure(self, options: LiveOptions) -> list[SegmenterEvent]:
        """Takes other options from here on; nothing of what was fed is lost."""
        old, self._options = self._options, options
        events: list[SegmenterEvent] = []
        is_other_sound = (old.encoding, old.rate) != (options.encoding, options.rate)
        if is_other_sound or old.noise_reduction != options.noise_reduction:
            events = self.settle()
        if is_other_sound:
            self._decoder = PcmDecoder(options.encoding, options.rate)
        if old.noise_reduction != options.noise_reduction:
            self._denoiser = _denoiser(options)
        self._segmenter.configure(options.turns)
        return events

    def _cut(self, samples: Samples) -> list[SegmenterEvent]:
        if self._denoiser is not None:
            samples = self._denoiser.feed(samples)
        return self._segmenter.feed(samples)


def _denoiser(options: LiveOptions) -> Denoiser | None:
    if options.noise_reduction is None:
        return None
    return Denoiser(options.noise_reduction.kind, options.noise_reduction.strength)
