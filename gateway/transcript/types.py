"""The value objects every room agrees on. Times are seconds; whose zero they count from is said per class."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the engine's vocabulary.

    Attributes:
        id: The engine's token id; engines without a vocabulary count from 0 in order of appearance.
        text: ``raw`` as UTF-8, with U+FFFD where a character is split between tokens.
        raw: The token's bytes. The bytes of consecutive tokens join to the text's bytes, exactly.
        logprob: Natural logarithm of the token's probability, or None where it was not asked for.
    """

    id: int
    text: str
    raw: bytes
    logprob: float | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its times; ``text`` keeps leading space and trailing punctuation, as Whisper gives them."""

    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A phrase between two timestamps.

    Attributes:
        start: Seconds; from the chunk's first sample as an engine gives it, from the recording's start
            in a `Transcript`.
        text: As the engine gave it, a leading space kept. The bytes of ``tokens`` join to it, exactly.
        tokens: Text tokens, without timestamps and other special tokens.
        words: Empty where words were not asked for.
        avg_logprob: Mean natural log-probability of the segment's tokens.
        compression_ratio: UTF-8 length over zlib length; high values mean repetition.
        temperature: The sampling temperature that gave this text.
        speaker: Name or letter, where speakers were told apart.
        seek: Start of the decoded chunk in the recording, in hundredths of a second, as Whisper counts.
    """

    start: float
    end: float
    text: str
    tokens: tuple[Token, ...]
    words: tuple[Word, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    speaker: str | None = None
    seek: int = 0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What an engine heard in one chunk. Segment times count from the chunk's first sample.

    Attributes:
        language: ISO 639-1 code (Whisper's own where there is none), or None where the engine cannot tell.
        language_probability: 1.0 where the language was given.
        prompt_tokens: Tokens of prompt and keywords that went in, for `usage`.
        consumed: Seconds from the chunk's first sample that are told, more than 0, where the engine leaves
            the rest to the next chunk (if it was allowed to); None for all.
        seconds: Of the engine's work, by what was done, where it tells; a batch's are shared out evenly.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float
    prompt_tokens: int = 0
    consumed: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole recording. Segment times count from the recording's start.

    Attributes:
        text: The join of all deltas, exactly.
        language: The one decided for the request, else the likeliest of any chunk, None where none told.
        languages: All that were heard, in order of appearance.
        duration: Seconds of decoded audio.
        segments: Text and tokens as the engine gave them, leading spaces kept.
        tokens: Those of the deltas: their bytes join to the text's bytes, exactly.
        prompt_tokens: Tokens of prompt and keywords of all chunks together.
        language_probability: The highest that any chunk gave ``language``; 0.0 where none told.
    """

    text: str
    language: str | None
    languages: tuple[str, ...]
    duration: float
    segments: tuple[Segment, ...]
    tokens: tuple[Token, ...]
    prompt_tokens: int = 0
    language_probability: float = 0.0
