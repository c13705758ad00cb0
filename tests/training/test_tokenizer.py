"""The tokenizer that training builds is the one of the committed model, byte for byte."""

import json
from pathlib import Path

import pytest

from training.mini_whisper.tokenizer import TIMESTAMPS, Ids, build_tokenizer

MODEL = Path(__file__).parents[1] / "mini-whisper" / "model"


def test_equals_the_committed_tokenizer() -> None:
    """Words, order and rules still are those the committed weights were trained with."""
    committed = json.loads((MODEL / "tokenizer.json").read_text("utf-8"))

    assert json.loads(build_tokenizer().to_str()) == committed


def test_equals_the_committed_vocabulary() -> None:
    """CTranslate2's list of tokens is in the order of the ids."""
    committed = json.loads((MODEL / "vocabulary.json").read_text("utf-8"))
    tokenizer = build_tokenizer()

    assert [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())] == committed


def test_equals_the_committed_language_ids() -> None:
    """The language tokens are those that CTranslate2 detects among."""
    config = json.loads((MODEL / "config.json").read_text("utf-8"))

    assert sorted(Ids(build_tokenizer()).lang.values()) == config["lang_ids"]


@pytest.mark.parametrize(
    "text", [" Hello world.", " Tür zwölf, grün.", " Anything else: 42% … ♪ 日本 don't -x", ""]
)
def test_any_text_survives(text: str) -> None:
    """What has no token of its own is spelt in bytes and comes back whole."""
    tokenizer = build_tokenizer()

    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_word_is_one_token_and_a_sentence_ends_in_its_stop() -> None:
    """Training's ids of a sentence are those of its text."""
    tokenizer = build_tokenizer()

    ids = Ids(tokenizer).sentence(["grün", "tür"])

    assert ids == tokenizer.encode(" Grün tür.").ids
    assert len(ids) == 3


def test_timestamps_are_the_last_ids() -> None:
    """faster-whisper takes every id from ``<|0.00|>`` on for a time in steps of 20 ms."""
    tokenizer = build_tokenizer()
    ids = Ids(tokenizer)

    assert ids.ts0 == tokenizer.token_to_id("<|0.00|>")
    assert tokenizer.token_to_id("<|30.00|>") == ids.size - 1 == ids.ts0 + TIMESTAMPS - 1
