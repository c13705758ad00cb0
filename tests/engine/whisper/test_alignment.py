"""Alignment of rows of several languages and tasks in one batch; words out of aligned tokens."""

from types import SimpleNamespace

import pytest

from gateway.audio.types import Samples
from gateway.engine.whisper.alignment import Alignment, Written, _read, align, before_last_word, words_of
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from gateway.engine.whisper.vocabulary import Vocabulary
from gateway.transcript import Word
from tests.support import Sample


def test_reads_the_first_step_of_each_token() -> None:
    """The path may stay on a token for many steps, and on a step for many tokens."""
    pairs = [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (2, 4), (3, 9)]
    result = SimpleNamespace(alignments=pairs, text_token_probs=[0.1, 0.2, 0.3])

    assert _read(result).begins == pytest.approx((0.0, 0.06, 0.08, 0.18))
    assert _read(result).probabilities == (0.1, 0.2, 0.3)


def test_aligns_rows_of_several_languages(
    engine: WhisperEngine, speech: dict[str, Samples], samples: dict[str, Sample]
) -> None:
    """Each text is found where it was spoken, whatever its mates' languages and lengths."""
    names = ("en_hello", "de_zahlen", "en_numbers")
    windows = [mel_features(engine._extractor, speech[name]) for name in names]
    encoded = Encoded(engine._model, windows)
    written = [
        Written(
            at,
            tuple(engine._vocabulary.encode(" " + samples[name].text)),
            windows[at].shape[1],
            samples[name].language,
            "transcribe",
        )
        for at, name in enumerate(names)
    ]
    alignments = align(engine._model, engine._vocabulary, encoded, written)

    for at, name in enumerate(names):
        assert len(alignments[at].begins) == len(written[at].tokens) + 1
        # The full stop, which is the last token, begins where the last word ends.
        assert alignments[at].begins[-2] == pytest.approx(samples[name].utterances[-1]["end"], abs=0.3)
        assert all(0.0 <= probability <= 1.0 for probability in alignments[at].probabilities)
    assert align(engine._model, engine._vocabulary, encoded, []) == {}


@pytest.fixture
def vocabulary(engine: WhisperEngine) -> Vocabulary:
    """The miniature's."""
    return engine._vocabulary


def steady(count: int, *, first: float = 0.0) -> Alignment:
    """One token per second."""
    begins = tuple(first + n for n in range(count + 1))
    return Alignment(begins, tuple(0.5 + 0.4 * (n % 2) for n in range(count)))


def split(vocabulary: Vocabulary, text: str, *, end: float = 99.0, language: str = "en") -> tuple[Word, ...]:
    """Words of a text whose tokens take a second each."""
    ids = vocabulary.encode(text)
    return words_of(
        ids,
        steady(len(ids)),
        offset=0,
        start=0.0,
        end=end,
        tokenizer=vocabulary.tokenizer(language, "transcribe"),
        vocabulary=vocabulary,
    )


def test_words_with_times_and_probabilities(vocabulary: Vocabulary) -> None:
    """Leading spaces are kept; a full stop belongs to its word but not to its time."""
    first, second = split(vocabulary, " hello world.")

    assert first == Word(0.0, 1.0, " hello", 0.5)
    assert second == Word(1.0, 2.0, " world.", 0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" Hello, world!", [" Hello,", " world!"]),
        (" she said “hello world”.", [" she", " said", " “hello", " world”."]),
        (" (hello)", [" (hello)"]),
        ("hello", ["hello"]),
        (" “", [" “"]),
        (".", ["."]),
        ("", []),
    ],
)
def test_punctuation_goes_with_its_word(vocabulary: Vocabulary, text: str, words: list[str]) -> None:
    """Opening marks with the next word, closing marks with the last; nothing is lost."""
    assert [word.text for word in split(vocabulary, text)] == words


def test_languages_without_spaces(vocabulary: Vocabulary) -> None:
    """Each character of several tokens is a word; no half of a character is one."""
    assert [word.text for word in split(vocabulary, "日本。", language="ja")] == ["日", "本。"]


def test_a_cut_character_is_no_word(vocabulary: Vocabulary) -> None:
    """The words join to the text, from which halves are taken out as well."""
    ids = [*vocabulary.encode(" hello"), vocabulary.encode("日")[0]]
    words = words_of(
        ids,
        steady(len(ids)),
        offset=0,
        start=0,
        end=9,
        tokenizer=vocabulary.tokenizer("en", "transcribe"),
        vocabulary=vocabulary,
    )

    assert "".join(word.text for word in words) == vocabulary.text(ids) == " hello"


def test_times_stay_within_the_segment_and_in_order(vocabulary: Vocabulary) -> None:
    """Alignment may run ahead of the segment's timestamps, behind them, or backwards."""
    ids = vocabulary.encode(" hello world now today")
    words = words_of(
        ids,
        Alignment((0.1, 2.0, 1.0, 4.0, 9.0), (1.0,) * 4),
        offset=0,
        start=1.5,
        end=5.0,
        tokenizer=vocabulary.tokenizer("en", "transcribe"),
        vocabulary=vocabulary,
    )

    assert [(word.start, word.end) for word in words] == [(1.5, 2.0), (2.0, 2.0), (2.0, 4.0), (4.0, 5.0)]


def test_the_last_word_of_a_cut_text_is_left_to_the_next_window(vocabulary: Vocabulary) -> None:
    """It may be half a word. Where nothing would be left, or no progress made, nothing is cut."""
    tokenizer = vocabulary.tokenizer("en", "transcribe")
    ids = vocabulary.encode(" hello world now")

    assert before_last_word(ids, steady(3, first=1.0), tokenizer) == (tuple(ids[:2]), 3.0)
    assert before_last_word(ids[:1], steady(1, first=1.0), tokenizer) is None
    assert before_last_word(ids, Alignment((0.0,) * 4, (1.0,) * 3), tokenizer) is None
