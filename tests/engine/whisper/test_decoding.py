"""What a decode reads first, when its result will do, and which of several is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.engine.api import DecodeOptions
from gateway.engine.whisper.decoding import (
    MAX_TEXT_TOKENS,
    Decoded,
    Prompt,
    build_prompt,
    compression_ratio,
    draw,
    prompt_text,
)
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.vocabulary import Vocabulary


@pytest.fixture
def vocabulary(engine: WhisperEngine) -> Vocabulary:
    """The miniature's."""
    return engine._vocabulary


def test_without_text(vocabulary: Vocabulary) -> None:
    """Start, language, task."""
    prompt = build_prompt(vocabulary, DecodeOptions(), language="de")
    head = tuple(vocabulary.tokenizer("de", "transcribe").sot_sequence)

    assert prompt == Prompt(head, text_tokens=0, start=0, timestamps=True)
    assert len(head) == 3


def test_text_stands_before_the_start(vocabulary: Vocabulary) -> None:
    """Keywords first, the prompt next to what follows it."""
    options = DecodeOptions(prompt=" Hello world. ", keywords=("zulu", " tango "), task="translate")
    prompt = build_prompt(vocabulary, options, language="en")
    before = [token for token in prompt.head[: prompt.start] if token != vocabulary.sot_prev]

    assert prompt.head[0] == vocabulary.sot_prev
    assert vocabulary.text(before) == " zulu, tango Hello world."
    assert prompt.text_tokens == len(before) == prompt.start - 1
    assert list(prompt.head[prompt.start :]) == vocabulary.tokenizer("en", "translate").sot_sequence


def test_a_long_prompt_keeps_its_end(vocabulary: Vocabulary) -> None:
    """As much as the model was trained with."""
    text = prompt_text(vocabulary, DecodeOptions(prompt="zero " * 300 + "Hello world."))

    assert len(text) == MAX_TEXT_TOKENS
    assert vocabulary.text(text).endswith("Hello world.")


def test_keywords_are_kept_whole_and_from_the_first(vocabulary: Vocabulary) -> None:
    """They take all room alone, half of it beside a prompt, and no keyword is cut."""
    keywords = tuple(f"hello number {n}" for n in range(100))
    alone = prompt_text(vocabulary, DecodeOptions(keywords=keywords))
    beside = prompt_text(vocabulary, DecodeOptions(keywords=keywords, prompt="zero " * 300))
    words = vocabulary.text(alone).strip().split(", ")

    assert words == list(keywords[: len(words)])
    assert MAX_TEXT_TOKENS - 20 < len(alone) <= MAX_TEXT_TOKENS
    assert len(beside) == MAX_TEXT_TOKENS
    assert vocabulary.text(beside).count("number") == pytest.approx(len(words) / 2, abs=1)


def test_a_prompt_without_its_text(vocabulary: Vocabulary) -> None:
    """Is what a request with neither prompt nor keywords gets."""
    options = DecodeOptions(prompt="Hello world.", keywords=("Kilo",))
    plain = build_prompt(vocabulary, DecodeOptions(), language="en")

    assert build_prompt(vocabulary, options, language="en").without_text == plain


GOOD = Decoded((1,), -0.3, 0.1, 1.2, 0.0, cut=False)


@pytest.mark.parametrize(
    ("decoded", "acceptable"),
    [
        (GOOD, True),
        (replace(GOOD, avg_logprob=-1.1), False),
        (replace(GOOD, compression_ratio=2.5), False),
        (replace(GOOD, avg_logprob=-1.1, no_speech_prob=0.7), True),
        (replace(GOOD, no_speech_prob=0.9), True),
    ],
)
def test_acceptable(decoded: Decoded, acceptable: bool) -> None:  # noqa: FBT001 - a table's column
    """Improbable or repetitive text is not, but silence is."""
    assert decoded.acceptable is acceptable


def test_silence_needs_an_improbable_text_or_a_loop() -> None:
    """Any other transcript is kept, whatever the no-speech token says."""
    assert replace(GOOD, no_speech_prob=0.9, avg_logprob=-1.1).silent
    assert replace(GOOD, no_speech_prob=0.9, compression_ratio=9.0).silent
    assert not replace(GOOD, no_speech_prob=0.1, compression_ratio=9.0).silent
    assert not replace(GOOD, no_speech_prob=0.9).silent


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_whole_texts_probabilities(temperature: float) -> None:
    """Of 4000 draws each text's share is within three hundredths of what the temperature makes of it."""
    sums = np.array([-4.0, -5.0, -6.5])
    lengths = [3, 4, 9]
    beam = [
        replace(GOOD, tokens=tuple(range(length)), avg_logprob=total / (length + 1))
        for total, length in zip(sums, lengths, strict=True)
    ]
    drawn = [len(draw(beam, temperature, (seed,)).tokens) for seed in range(4000)]
    weights = np.exp(sums / temperature)

    np.testing.assert_allclose(
        [drawn.count(length) / 4000 for length in lengths], weights / weights.sum(), atol=0.03
    )
    assert draw(beam, temperature, (7, 0)) is draw(beam, temperature, (7, 0))


def test_compression_ratio() -> None:
    """Repetition compresses well, short text not at all, nothing is 0."""
    assert compression_ratio("Hello world. " * 20) > 2.4
    assert compression_ratio("Seven two zero nineteen forty three thousand.") < 1.2
    assert compression_ratio("  ") == 0.0


BEGIN = 1000
"""The first timestamp; text lies below."""

TIMED = Decoded((BEGIN + 10, 1, 2, BEGIN + 200), -0.3, 0.1, 1.2, 0.0, cut=False)
"""Text from 0.2 s to 4.0 s."""


@pytest.mark.parametrize(
    "decoded",
    [
        replace(TIMED, avg_logprob=-1.1),
        replace(TIMED, compression_ratio=2.5),
        replace(TIMED, no_speech_prob=0.7),
        replace(TIMED, no_speech_prob=0.7, avg_logprob=-1.1),
        replace(TIMED, cut=True),
        replace(TIMED, tokens=()),
        replace(TIMED, tokens=(BEGIN, BEGIN + 200)),
        replace(TIMED, tokens=TIMED.tokens[:-1]),
        replace(TIMED, tokens=(*TIMED.tokens, BEGIN + 200, 3)),
        replace(TIMED, tokens=(BEGIN, 1, BEGIN + 99)),
    ],
    ids=[
        *("improbable", "repetitive", "no speech, it says", "silent", "cut", "empty", "no text"),
        *("not closed", "closed, then not", "ended early"),
    ],
)
def test_doubtful(decoded: Decoded) -> None:
    """Each sign alone is enough."""
    assert decoded.is_doubtful(frames=400, timestamp_begin=BEGIN, timestamps=True)


@pytest.mark.parametrize(
    "tokens",
    [
        TIMED.tokens,
        (BEGIN, 1, BEGIN + 100),
        (BEGIN, 1, BEGIN + 60, BEGIN + 60, 2, BEGIN + 200),
        (BEGIN, 1, BEGIN + 200, BEGIN + 200),
    ],
)
def test_believed(tokens: tuple[int, ...]) -> None:
    """Probable text that is closed within two seconds of the audio's end."""
    assert not replace(TIMED, tokens=tokens).is_doubtful(frames=400, timestamp_begin=BEGIN, timestamps=True)


def test_without_timestamps_nothing_is_expected_of_them() -> None:
    """As for partials; the other signs count."""
    plain = replace(TIMED, tokens=(1, 2))

    assert not plain.is_doubtful(frames=400, timestamp_begin=BEGIN, timestamps=False)
    assert replace(plain, avg_logprob=-1.1).is_doubtful(frames=400, timestamp_begin=BEGIN, timestamps=False)
