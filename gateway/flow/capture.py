"""The audio half of a live session: bytes in, utterances and chunks out."""

from gateway.audio.denoise import Denoiser
from gateway.audio.frontend import FrontEnd
from gateway.audio.pcm import PcmDecoder
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import SegmenterEvent
from gateway.audio.types import Samples
from gateway.flow.options import LiveOptions


class Capture:
    """One session's decoder, noise reduction and segmenter.

    They compute, so call them in a thread, with no two calls at the same time.

    Attributes:
        segmenter: Gets its audio and its options from here, and all else from whoever listens. `settle` comes
            before its `commit` and its `clear`.
    """

    def __init__(self, vad: SileroModel, options: LiveOptions) -> None:
        self._options = options
        self._decoder = PcmDecoder(options.encoding, options.rate)
        self._denoiser = _denoiser(options)
        self.segmenter = Segmenter(FrontEnd(vad), options.turns)

    def feed(self, data: bytes) -> list[SegmenterEvent]:
        """Takes audio in the session's encoding, cut anywhere."""
        return self._cut(self._decoder.feed(data))

    def settle(self) -> list[SegmenterEvent]:
        """Takes in what the resampler and the noise reduction hold, before a commit, a clear or a change."""
        events = self._cut(self._decoder.flush())
        if self._denoiser is not None:
            events += self.segmenter.feed(self._denoiser.flush())
        return events

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
        self.segmenter.configure(options.turns)
        return events

    def _cut(self, samples: Samples) -> list[SegmenterEvent]:
        if self._denoiser is not None:
            samples = self._denoiser.feed(samples)
        return self.segmenter.feed(samples)


def _denoiser(options: LiveOptions) -> Denoiser | None:
    if options.noise_reduction is None:
        return None
    return Denoiser(options.noise_reduction.kind, options.noise_reduction.strength)
