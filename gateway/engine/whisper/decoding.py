"""How a row is decoded, from the prompt on, what came of it, and whether that will do."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.engine.whisper.segments import FRAMES_PER_TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.engine.api import DecodeOptions
    from gateway.engine.whisper.vocabulary import Vocabulary

MAX_TEXT_TOKENS = 223
"""Half of Whisper's 448 positions, less ``<|startofprev|>``: what its training gave as previous text."""

# Whisper's own thresholds: `transcribe()` in openai/whisper.
MAX_COMPRESSION_RATIO = 2.4
MIN_AVG_LOGPROB = -1.0
MAX_NO_SPEECH_PROB = 0.6
MAX_SEEDED_DEVIATIONS = 32
"""Each costs a greedy decode of the row; clear speech at temperature 1 deviates a few times."""

MAX_MISSING_FRAMES = 200
"""Text must reach up to here before the audio's end: a chunk ends 0.2 s after its speech, and pauses in it
are short."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The start of one row's decode.

    Attributes:
        head: From ``<|startofprev|>`` (where there is text) up to the last task token.
        prefix: Text tokens the answer must begin with. Only without timestamps: CTranslate2's timestamp
            rules do not look at forced tokens.
        text_tokens: How many tokens of keywords and prompt ``head`` holds.
        start: Position of ``<|startoftranscript|>``: one call demands the same in all its rows.
        timestamps: The decode writes timestamps.
    """

    head: tuple[int, ...]
    prefix: tuple[int, ...]
    text_tokens: int
    start: int
    timestamps: bool


def build_prompt(
    vocabulary: Vocabulary, options: DecodeOptions, *, language: str, prefix: Sequence[int] = ()
) -> Prompt:
    """Builds the start of one row's decode. Rows whose texts differ in length cannot share a call."""
    text = prompt_text(vocabulary, options)
    before = [vocabulary.sot_prev, *text] if text else []
    head = [*before, *vocabulary.tokenizer(language, options.task).sot_sequence]
    if prefix:
        head.append(vocabulary.no_timestamps)
    return Prompt(tuple(head), tuple(prefix), len(text), len(before), timestamps=not prefix)


def prompt_text(vocabulary: Vocabulary, options: DecodeOptions) -> list[int]:
    """Keywords, then the prompt, so that what comes next to the transcript reads like its past.

    Keywords are kept from the first on and whole, in at most half of the room where there is a prompt too;
    of the prompt the end is kept, as OpenAI does.
    """
    past = (options.prompt or "").strip()
    prompt = vocabulary.encode(" " + past) if past else []
    room = MAX_TEXT_TOKENS // 2 if prompt else MAX_TEXT_TOKENS
    text: list[int] = []
    for keyword in filter(None, (keyword.strip() for keyword in options.keywords)):
        more = vocabulary.encode(", " + keyword if text else " " + keyword)
        if len(text) + len(more) > room:
            break
        text += more
    return text + prompt[-(MAX_TEXT_TOKENS - len(text)) :]


@dataclass(frozen=True, slots=True)
class Decode:
    """How one row is decoded.

    Attributes:
        seed: Entropy of the row's own generator; without it CTranslate2 samples, which does not repeat.
        max_deviations: Draws that differ from the greedy decode before the rest is taken greedily.
        retries: Higher temperatures are tried where the result looks bad.
    """

    prompt: Prompt
    beam_size: int
    temperature: float = 0.0
    seed: tuple[int, ...] | None = None
    max_deviations: int = MAX_SEEDED_DEVIATIONS
    retries: bool = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model wrote for one window.

    Attributes:
        tokens: Text and timestamps, without prompt and end token; a forced prefix included.
        temperature: The one that gave these tokens.
        cut: The length limit came before the end token.
    """

    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    cut: bool

    @property
    def silent(self) -> bool:
        """Whisper's rule for windows without speech."""
        return self.no_speech_prob > MAX_NO_SPEECH_PROB and self.avg_logprob < MIN_AVG_LOGPROB

    @property
    def repetitive(self) -> bool:
        """The text says the same again and again."""
        return self.compression_ratio > MAX_COMPRESSION_RATIO

    @property
    def acceptable(self) -> bool:
        """No higher temperature need be tried."""
        return self.silent or (not self.repetitive and self.avg_logprob >= MIN_AVG_LOGPROB)

    def is_doubtful(self, *, frames: int, timestamp_begin: int, timestamps: bool) -> bool:
        """Whether this, which a shortened context gave, must be decoded again in full.

        That is where Whisper's own thresholds say so; where it found no speech or wrote none, since the VAD
        found some; and where the text stops without a closing timestamp, or long before the audio does.

        Args:
            frames: Mel frames of audio in the window.
            timestamps: The model was to write them.
        """
        tokens = self.tokens
        if self.cut or not self.acceptable or self.no_speech_prob > MAX_NO_SPEECH_PROB:
            return True
        if all(token >= timestamp_begin for token in tokens):
            return True
        if not timestamps:
            return False
        reached = (tokens[-1] - timestamp_begin) * FRAMES_PER_TIMESTAMP
        return tokens[-1] < timestamp_begin or reached < frames - MAX_MISSING_FRAMES


def compression_ratio(text: str) -> float:
    """UTF-8 length over zlib length; high values mean repetition."""
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data))


def best_of(tried: Sequence[Decoded]) -> Decoded:
    """The first acceptable result, else the most probable, of those that do not repeat if there are any."""
    for one in tried:
        if one.acceptable:
            return one
    return max([one for one in tried if not one.repetitive] or tried, key=lambda one: one.avg_logprob)
