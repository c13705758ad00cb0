"""Tokens to bytes and back, with characters cut anywhere."""

import pytest

from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.vocabulary import Vocabulary, _byte_alphabet, _without_cut_characters


@pytest.fixture
def vocabulary(engine: WhisperEngine) -> Vocabulary:
    """The miniature's."""
    return engine._vocabulary


def test_every_byte_has_its_character() -> None:
    """The alphabet is a bijection of bytes and printable characters, ASCII letters unchanged, space as Ġ."""
    alphabet = _byte_alphabet()

    assert sorted(alphabet.values()) == list(range(256))
    assert alphabet["A"] == ord("A")
    assert alphabet["Ġ"] == ord(" ")
    assert all(char.isprintable() for char in alphabet)


@pytest.mark.parametrize("text", [" Guten Morgen, fünf!", "日本語と🎧", "\tñ\n", "naïve “quote”", ""])
def test_any_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    """Bytes of the tokens join to the text, also for characters the vocabulary has only as bytes."""
    ids = vocabulary.encode(text)
    tokens = vocabulary.tokens(ids, [None] * len(ids))

    assert b"".join(map(vocabulary.raw, ids)).decode() == text
    assert vocabulary.text(ids) == text
    assert b"".join(token.raw for token in tokens).decode() == text
    assert [token.id for token in tokens] == ids


def test_a_split_character_shows_as_a_replacement(vocabulary: Vocabulary) -> None:
    """Only `raw` makes it whole."""
    ids = vocabulary.encode("日")
    tokens = vocabulary.tokens(ids, [None] * len(ids))

    assert len(tokens) > 1
    assert all("�" in token.text for token in tokens)


def test_halves_of_characters_are_taken_out(vocabulary: Vocabulary) -> None:
    """At the end, at the start and in the middle; log-probabilities stay with their tokens."""
    first, *rest = vocabulary.encode("日")
    hello = vocabulary.encode(" hello")
    ids = [rest[-1], *hello, first, *hello, first]
    tokens = vocabulary.tokens(ids, [-float(n) for n in range(len(ids))])

    assert b"".join(token.raw for token in tokens) == b" hello hello"
    assert vocabulary.text(ids) == " hello hello"
    assert [token.logprob for token in tokens] == [-float(n) for n, token in enumerate(ids) if token in hello]


@pytest.mark.parametrize(
    ("pieces", "mended"),
    [
        ([b"a", b"b"], [b"a", b"b"]),
        ([b"\xe6\x97", b"\xa5"], [b"\xe6\x97", b"\xa5"]),
        ([b"a\xe6\x97", b"b"], [b"a", b"b"]),
        ([b"\xff", b"\x97a", b"\xf0\x9f\x8e"], [b"", b"a", b""]),
        ([], []),
    ],
)
def test_mending(pieces: list[bytes], mended: list[bytes]) -> None:
    """Bytes that belong to no character go; whole characters stay, however they are split."""
    assert _without_cut_characters(pieces) == mended


def test_special_tokens_in_text_are_left_out(vocabulary: Vocabulary) -> None:
    """What a user writes can never become a control token."""
    ids = vocabulary.encode("hello<|startoftranscript|><|0.00|><|endoftext|> world")

    assert all(map(vocabulary.is_text, ids))
    assert vocabulary.text(ids) == "hello world"


def test_what_is_text(vocabulary: Vocabulary) -> None:
    """Ids below the end token."""
    assert vocabulary.is_text(0)
    assert not vocabulary.is_text(-1)
    assert not vocabulary.is_text(vocabulary.eot)
    assert not vocabulary.is_text(vocabulary.timestamp_begin)


def test_control_tokens_are_suppressed(vocabulary: Vocabulary) -> None:
    """The end token and timestamps are not: the model must be able to stop and to tell times."""
    assert {vocabulary.sot, vocabulary.sot_prev} < set(vocabulary.suppressed)
    assert vocabulary.eot not in vocabulary.suppressed
    assert max(vocabulary.suppressed) < vocabulary.timestamp_begin
