"""The engine that is always there: PocketSphinx with the US-English model its wheel carries.

It needs no download and no GPU, and hears far worse than any Whisper: a fallback, and a second engine.
"""

import math
import re
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Device, RowFailed
from gateway.engine.process import ProcessSpec
from gateway.transcript import Hypothesis, Segment, Token, Word

_FRAMES_PER_SECOND = 100

_SHORTEST = SAMPLE_RATE // 10
"""Samples. Up to 0.05 s the search finds no path and complains on stderr; no word is shorter than 0.1 s."""

_PAUSE = 0.7
"""Seconds of silence between two words that end a segment; pauses within a phrase are mostly below."""

_LEFT = 10.0
"""Seconds of a row's end that may be left to the next row, which begins in the widest pause there."""

_ACTIVE_HMMS = 10_000
"""`maxhmmpf`, by default 30 000. Measured: the same words on eight synthetic English clips for 24 % less CPU,
and one error fewer on 11 s of a real speech. What saves more costs words (5 000, narrower beams) or hears
words in plain noise (`ds=2`)."""

_LEAST_PROBABILITY = 1e-10
"""PocketSphinx's posteriors can round to 0, whose logarithm is no JSON number."""

_FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_PRONUNCIATION = re.compile(r"\(\d+\)$")


@dataclass(frozen=True, slots=True)
class SphinxSpec(ProcessSpec):
    """The recipe for a `SphinxEngine`; there is nothing to choose."""

    name: str = "pocketsphinx"
    memory_bytes: int = 200_000_000  # resident, measured
    device: Device = "cpu"
    max_batch: int = 1  # it decodes row after row, so a longer batch only delays its first row's answer

    def batch_key(self, options: DecodeOptions) -> Hashable:  # noqa: ARG002  # of all options none changes the decoding
        """Any rows may share a call."""
        return ()

    def load(self) -> "SphinxEngine":
        """Loads model, dictionary and language model (half a second)."""
        engine = SphinxEngine()
        engine.transcribe([DecodeRequest(np.zeros(SAMPLE_RATE // 4, np.float32), DecodeOptions())])
        return engine


class SphinxEngine:
    """One PocketSphinx decoder. It holds the GIL while it decodes.

    Keywords are not offered: a word outside its dictionary needs a pronunciation, and one inside cannot be
    preferred.
    """

    # Figures: `python -m bench live_policy`.
    capabilities = Capabilities(languages=frozenset({"en"}), words=True, logprobs=True, revises=True)

    def __init__(self) -> None:
        self._decoder = _new_decoder()

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes row after row; what a row gives does not depend on the rows before it."""
        return [self._row(request) for request in batch]

    def _row(self, request: DecodeRequest) -> Hypothesis | RowFailed:
        try:
            found = self._decode(request.samples)
        except RuntimeError as error:
            self._decoder = _new_decoder()  # the old one may be stuck within its utterance
            return RowFailed(f"PocketSphinx: {error}")
        duration = len(request.samples) / SAMPLE_RATE
        words = [_timed(word, duration) for word in found]
        consumed = None if request.whole else _last_pause(words, duration)
        if consumed is not None:
            words = [word for word in words if word.end <= consumed]
        segments: list[Segment] = []
        first_id = 0
        for phrase in _phrases(words):
            segments.append(_segment(phrase, first_id, request.options))
            first_id += len(phrase)
        return Hypothesis(
            segments=tuple(segments), language="en", language_probability=1.0, consumed=consumed
        )

    def _decode(self, samples: Samples) -> list[Any]:
        """Returns PocketSphinx's segments, without silences and noises."""
        if len(samples) < _SHORTEST:
            return []
        decoder = self._decoder
        # Cepstral means and the noise estimate would carry over from row to row. A new front end takes 30 µs.
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_raw(_pcm16(samples), no_search=False, full_utt=True)
        finally:
            decoder.end_utt()
        return [segment for segment in decoder.seg() or () if not _FILLER.fullmatch(segment.word)]


def _new_decoder() -> Any:
    import pocketsphinx  # noqa: PLC0415  # only workers load a backend

    return pocketsphinx.Decoder(samprate=SAMPLE_RATE, loglevel="ERROR", maxhmmpf=_ACTIVE_HMMS)


def _pcm16(samples: Samples) -> bytes:
    """16-bit samples with one bit of dither, the same for equal lengths.

    Trap: on digital silence the logarithm of zero energy makes the cepstral mean NaN, and PocketSphinx then
    hears a word ("dog", "learn") with probability 1.
    """
    dither = np.random.default_rng(0).uniform(-1.0, 1.0, len(samples))
    scaled = np.rint(samples * 32767.0 + dither)
    return np.clip(scaled, -32768, 32767).astype("<i2").tobytes()


def _timed(found: Any, duration: float) -> Word:
    """A word with times in seconds, from frames whose last is inclusive."""
    return Word(
        start=found.start_frame / _FRAMES_PER_SECOND,
        end=min((found.end_frame + 1) / _FRAMES_PER_SECOND, duration),
        text=" " + _PRONUNCIATION.sub("", found.word),
        probability=min(max(found.prob, _LEAST_PROBABILITY), 1.0),
    )


def _last_pause(words: list[Word], duration: float) -> float | None:
    """Where to go on, lest the end cut a word; None where silence ends the row, or nothing else will do."""
    if not words or duration - words[-1].end > _PAUSE:
        return None
    earliest = max(0.0, duration - _LEFT)
    ends = [0.0, *(word.end for word in words)]
    gaps = [
        (word.start - end, (word.start + end) / 2)
        for end, word in zip(ends, words, strict=False)
        if word.start > earliest
    ]
    return max(gaps)[1] if gaps else None


def _phrases(words: list[Word]) -> list[list[Word]]:
    """Cuts at the longer silences."""
    if not words:
        return []
    phrases = [[words[0]]]
    for before, word in pairwise(words):
        if word.start - before.end > _PAUSE:
            phrases.append([])
        phrases[-1].append(word)
    return phrases


def _segment(words: list[Word], first_id: int, options: DecodeOptions) -> Segment:
    logprobs = [math.log(word.probability) for word in words]
    tokens = tuple(
        Token(first_id + n, word.text, word.text.encode(), logprob if options.logprobs else None)
        for n, (word, logprob) in enumerate(zip(words, logprobs, strict=True))
    )
    text = "".join(word.text for word in words)
    raw = text.encode()
    return Segment(
        start=words[0].start,
        end=words[-1].end,
        text=text,
        tokens=tokens,
        words=tuple(words) if options.words else (),
        avg_logprob=sum(logprobs) / len(logprobs),
        compression_ratio=len(raw) / len(zlib.compress(raw)),
        # Silence competes with words in the search itself. Where it wins there is no segment;
        # where a word won, the doubt stands in that word's posterior.
        no_speech_prob=0.0,
        temperature=0.0,
    )
