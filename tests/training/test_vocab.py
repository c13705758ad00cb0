"""The words of the miniature Whisper and the sentences drawn from them."""

import random

import pytest

from training.mini_whisper.tokenizer import LANGUAGES, Ids, build_tokenizer
from training.mini_whisper.vocab import TRANSLATE, WORDS, sample_sentence, text_of


@pytest.mark.parametrize("lang", WORDS)
def test_sentences_are_made_of_known_words(lang: str) -> None:
    """A thousand draws use the language's words only, 1 to 8 at a time, and between them use every word."""
    rng = random.Random(1)

    sentences = [sample_sentence(lang, rng) for _ in range(1000)]

    assert {word for sentence in sentences for word in sentence} == set(WORDS[lang])
    assert {len(sentence) for sentence in sentences} == set(range(1, 9))


def test_text_is_a_sentence() -> None:
    """The label is capitalised and ends in a full stop, beyond ASCII too."""
    texts = text_of(["open", "the", "door"]), text_of(["über"])

    assert texts == ("Open the door.", "Über.")


def test_translations_are_english_words() -> None:
    """Each German and Spanish word translates to a word the model knows in English."""
    english = {word for lang in TRANSLATE for word in TRANSLATE[lang].values()}

    assert english <= set(WORDS["en"])
    assert [set(TRANSLATE[lang]) for lang in TRANSLATE] == [set(WORDS["de"]), set(WORDS["es"])]


def test_whisper_has_a_hundred_languages() -> None:
    """No code is missing or doubled, and each has a token of its own."""
    ids = Ids(build_tokenizer())

    assert len(LANGUAGES) == len(set(ids.lang.values())) == 100
