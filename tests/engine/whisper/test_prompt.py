"""What a decode reads first: order, cuts and padding of keywords and prompt."""

import pytest

from gateway.engine.api import DecodeOptions
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.prompt import MAX_TEXT_TOKENS, Prompt, build_prompt, prompt_text
from gateway.engine.whisper.vocabulary import Vocabulary


@pytest.fixture
def vocabulary(engine: WhisperEngine) -> Vocabulary:
    """The miniature's."""
    return engine._vocabulary


def test_without_text(vocabulary: Vocabulary) -> None:
    """Start, language, task."""
    prompt = build_prompt(vocabulary, DecodeOptions(), language="de")
    head = tuple(vocabulary.tokenizer("de", "transcribe").sot_sequence)

    assert prompt == Prompt(head, (), text_tokens=0, start=0, timestamps=True)
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


def test_padding_to_few_lengths(vocabulary: Vocabulary) -> None:
    """Rows with different prompts get the same start position; rows without a prompt are not padded."""
    lengths = (32, 64, 128, 223)
    prompts = [
        build_prompt(vocabulary, DecodeOptions(prompt=text), language="en", lengths=lengths)
        for text in ("Hello.", "Hello world. " * 5, "Hello world. " * 15, "Hello world. " * 300, None)
    ]

    assert [prompt.start for prompt in prompts] == [33, 33, 65, 224, 0]
    assert prompts[0].text_tokens == 2
    assert set(prompts[0].head[:31]) == {vocabulary.sot_prev}


def test_a_prefix_goes_without_timestamps(vocabulary: Vocabulary) -> None:
    """CTranslate2's timestamp rules would not look at it."""
    prompt = build_prompt(vocabulary, DecodeOptions(), language="en", prefix=(5, 6))

    assert prompt.head[-1] == vocabulary.no_timestamps
    assert prompt.prefix == (5, 6)
    assert not prompt.timestamps
