"""How a row is decoded, from the prompt on, what came of it, and whether that will do."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

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
MAX_MISSING_FRAMES = 200
"""Text must reach up to here before the audio's end: a chunk ends 0.2 s after its speech, and pauses in it
are short."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The start of one row's decode.

    Attributes:
        head: From ``<|startofprev|>`` (where there is text) up to the last task token.
        text_tokens: How many tokens of keywords and prompt ``head`` holds.
        start: Position of ``<|startoftranscript|>``: one call demands the same in all its rows.
        timestamps: The decode writes timestamps.
    """

    head: tuple[int, ...]
    text_tokens: int
    start: int
    timestamps: bool

    @property
    def without_text(self) -> Prompt:
        """The same task, with neither prompt nor keywords."""
        return replace(self, head=self.head[self.start :], text_tokens=0, start=0)


def build_prompt(
    vocabulary: Vocabulary,
    options: DecodeOptions,
    *,
    language: str,
    timestamps: bool = True,
) -> Prompt:
    """Builds the start of one row's decode. Rows whose texts differ in length cannot share a call."""
    text = prompt_text(vocabulary, options)
    before = [vocabulary.sot_prev, *text] if text else []
    head = [*before, *vocabulary.tokenizer(language, options.task).sot_sequence]
    if not timestamps:
        head.append(vocabulary.no_timestamps)
    return Prompt(tuple(head), len(text), len(before), timestamps=timestamps)


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
        frames: Mel frames of audio, 10 ms each: they bound the text's length.
        temperature: Above 0 one of the beam's hypotheses is drawn (see `draw`).
        seed: Entropy for that; None draws anew each time.
        retry: A text that repeats itself is worth another try.
        most_tokens: Bound the text's length, too; None: only the frames do.
    """

    prompt: Prompt
    beam_size: int
    frames: int
    temperature: float = 0.0
    seed: tuple[int, ...] | None = None
    retry: bool = True
    most_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the model wrote for one window.

    Attributes:
        tokens: Text and timestamps, without prompt and end token.
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
        """Whisper's rule for windows without speech: an improbable text; and a loop, which looks probable."""
        bad = self.repetitive or self.avg_logprob < MIN_AVG_LOGPROB
        return bad and self.no_speech_prob > MAX_NO_SPEECH_PROB

    @property
    def repetitive(self) -> bool:
        """The text says the same again and again."""
        return self.compression_ratio > MAX_COMPRESSION_RATIO

    @property
    def acceptable(self) -> bool:
        """Whisper's own thresholds hold."""
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


def draw(hypotheses: Sequence[Decoded], temperature: float, seed: tuple[int, ...] | None) -> Decoded:
    """One of them, drawn with its probability to the power of one over the temperature.

    Divergence from Whisper, which draws token by token: CTranslate2 can do so only from a generator that a
    worker thread seeds once, so no seed would repeat anything. A beam's hypotheses repeat, cost one decode
    whatever is drawn, and none of them has lost the thread.
    """
    # Of the whole text, end included, not of its mean token.
    sums = np.array([one.avg_logprob * (len(one.tokens) + 1) for one in hypotheses])
    weights = np.exp((sums - sums.max()) / temperature)
    return hypotheses[np.random.default_rng(seed).choice(len(hypotheses), p=weights / weights.sum())]
