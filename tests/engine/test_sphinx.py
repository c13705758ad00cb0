"""PocketSphinx on a real voice, on silence, and on rows that must not colour each other."""

import math
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, RowFailed
from gateway.engine.sphinx import SphinxEngine, SphinxSpec, _last_pause, _phrases, _segment, _timed
from gateway.transcript import Hypothesis, Word

_JFK = Path(__file__).parents[1] / "samples" / "jfk.flac"
_TEXT = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)
_EVERYTHING = DecodeOptions(words=True, logprobs=True)


def _decode(path: Path) -> Samples:
    with av.open(path) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frames = [*container.decode(audio=0), None]
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return np.concatenate(blocks).astype(np.float32)


def _word_error_rate(reference: list[str], heard: list[str]) -> float:
    """Edits per word of the reference (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != word))
    return row[-1] / len(reference)


@pytest.fixture(scope="module")
def voice() -> Samples:
    """Eleven seconds of a real speech."""
    return _decode(_JFK)


@pytest.fixture(scope="module")
def engine() -> SphinxEngine:
    """One engine for all tests here, as in a worker: none may leave a trace in it."""
    return SphinxSpec().load()


@pytest.fixture(scope="module")
def whole(engine: SphinxEngine, voice: Samples) -> Hypothesis:
    """The whole speech, with words and log-probabilities."""
    return _one(engine, voice, _EVERYTHING)


def _one(engine: SphinxEngine, samples: Samples, options: DecodeOptions = _EVERYTHING) -> Hypothesis:
    [result] = engine.transcribe([DecodeRequest(samples, options)])
    assert isinstance(result, Hypothesis)
    return result


@pytest.mark.slow
def test_real_voice(whole: Hypothesis) -> None:
    """A real voice is understood: a third of the words may be wrong; guesses are nearly all wrong."""
    heard = "".join(segment.text for segment in whole.segments).split()

    assert _word_error_rate(_TEXT.split(), heard) < 0.35
    assert whole.language == "en"


@pytest.mark.slow
def test_text_is_clean(whole: Hypothesis) -> None:
    """No fillers and no pronunciation numbers; each word and each segment begins with its space."""
    for segment in whole.segments:
        assert segment.text == "".join(word.text for word in segment.words)
        for word in segment.words:
            assert word.text[0] == " "
            assert word.text[1:].replace("'", "").isalpha()


@pytest.mark.slow
def test_tokens_join_to_text(whole: Hypothesis) -> None:
    """One token per word, counted on across segments; bytes join to the text; averages are theirs."""
    tokens = [token for segment in whole.segments for token in segment.tokens]

    assert [token.id for token in tokens] == list(range(len(tokens)))
    for segment in whole.segments:
        logprobs = [token.logprob for token in segment.tokens if token.logprob is not None]

        assert b"".join(token.raw for token in segment.tokens).decode() == segment.text
        assert logprobs == [math.log(word.probability) for word in segment.words]
        assert segment.avg_logprob == pytest.approx(sum(logprobs) / len(segment.tokens))
        assert segment.avg_logprob < 0


@pytest.mark.slow
def test_times(whole: Hypothesis) -> None:
    """Words follow each other within the chunk, and lie where the speech is: pauses at 2.3, 4.4 and 7.7 s."""
    words = [word for segment in whole.segments for word in segment.words]

    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= 11.0
    for pause in (2.7, 4.9, 7.9):
        assert not any(word.start < pause < word.end for word in words)
    assert len(whole.segments) >= 3


@pytest.mark.slow
def test_order_of_rows_does_not_matter(voice: Samples, engine: SphinxEngine) -> None:
    """To the bit, a row gives the same after silence, noise and other speech as first in a fresh engine."""
    phrase, other = voice[: 2 * SAMPLE_RATE], voice[3 * SAMPLE_RATE : 5 * SAMPLE_RATE]
    noise = np.random.default_rng(1).normal(0, 0.3, SAMPLE_RATE).astype(np.float32)
    rows = [DecodeRequest(samples, _EVERYTHING) for samples in (noise, other, np.zeros_like(other), phrase)]

    fresh = SphinxSpec().load()
    forwards = engine.transcribe(rows)
    backwards = fresh.transcribe(rows[::-1])

    assert forwards == backwards[::-1]
    assert isinstance(forwards[-1], Hypothesis)
    assert forwards[-1].segments


def test_digital_silence(engine: SphinxEngine) -> None:
    """Exact zeros, which make PocketSphinx's cepstral mean NaN and have it hear "dog", hold no words."""
    assert _one(engine, np.zeros(2 * SAMPLE_RATE, np.float32)).segments == ()


def test_faint_noise(engine: SphinxEngine) -> None:
    """A microphone's hiss holds no words."""
    hiss = np.random.default_rng(2).normal(0, 0.003, 2 * SAMPLE_RATE).astype(np.float32)

    assert _one(engine, hiss).segments == ()


@pytest.mark.parametrize("length", [0, 1, 159, 160, 399, 410, 500, 800, 1599, 1600, 2000])
def test_short_rows(
    engine: SphinxEngine, voice: Samples, length: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """No length is an error, and the decoder does not complain on stderr."""
    start = SAMPLE_RATE // 2
    assert _one(engine, voice[start : start + length]).segments == ()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_options_choose_what_is_given(engine: SphinxEngine, voice: Samples) -> None:
    """Without words and logprobs there are none, and text and averages stay what they were."""
    phrase = voice[: 2 * SAMPLE_RATE]
    full = _one(engine, phrase, _EVERYTHING).segments
    plain = _one(engine, phrase, DecodeOptions()).segments

    assert full
    assert plain == tuple(
        replace(s, words=(), tokens=tuple(replace(token, logprob=None) for token in s.tokens)) for s in full
    )


def test_failed_row_does_not_stop_the_next(engine: SphinxEngine) -> None:
    """A decoder stuck within an utterance fails its row only; the next one has a new decoder."""
    engine._decoder.start_utt()
    row = DecodeRequest(np.zeros(SAMPLE_RATE // 2, np.float32), DecodeOptions())

    failed, next_one = engine.transcribe([row, row])

    assert isinstance(failed, RowFailed)
    assert isinstance(next_one, Hypothesis)


def test_phrases_end_at_pauses() -> None:
    """Words apart by up to 0.7 s stay together."""
    words = [Word(0.0, 0.5, " a", 1.0), Word(1.2, 1.5, " b", 1.0), Word(2.3, 3.0, " c", 1.0)]

    assert _phrases(words) == [words[:2], words[2:]]
    assert _phrases([]) == []


def test_frames_become_seconds() -> None:
    """The last frame is inclusive but ends with the chunk; pronunciations vanish; posteriors fit (0, 1]."""
    heard = SimpleNamespace(word="and(2)", start_frame=10, end_frame=59, prob=0.0)

    assert _timed(heard, 5.0) == Word(0.1, 0.6, " and", 1e-10)
    assert _timed(SimpleNamespace(**vars(heard) | {"prob": 1.0001}), 0.597) == Word(0.1, 0.597, " and", 1.0)


def test_repetition_shows_in_compression_ratio() -> None:
    """The ratio rises with repetition, as the fallback rules expect."""
    varied = [Word(0, 1, f" {w}", 0.5) for w in _TEXT.split()]
    looping = [Word(0, 1, " country", 0.5) for _ in varied]

    assert _segment(varied, 0, DecodeOptions()).compression_ratio < 2.4
    assert _segment(looping, 0, DecodeOptions()).compression_ratio > 2.4


def test_spec_travels_to_workers() -> None:
    """The spec survives pickling, and any two rows may share a call."""
    spec = SphinxSpec()

    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.batch_key(DecodeOptions(seed=1)) == spec.batch_key(DecodeOptions(prompt="x"))


def test_capabilities(engine: SphinxEngine) -> None:
    """English, words and log-probabilities; nothing else is promised."""
    assert engine.capabilities == Capabilities(
        languages=frozenset({"en"}), words=True, logprobs=True, revises=True
    )


@pytest.mark.slow
def test_a_cut_word_is_left_to_the_next_row(engine: SphinxEngine, voice: Samples) -> None:
    """A row that ends within a phrase tells what was said up to the pause before it, and where that is."""
    whole, left = engine.transcribe(
        [
            DecodeRequest(voice[: int(4.0 * SAMPLE_RATE)], _EVERYTHING),
            DecodeRequest(voice[: int(4.0 * SAMPLE_RATE)], _EVERYTHING, whole=False),
        ]
    )
    assert isinstance(whole, Hypothesis)
    assert isinstance(left, Hypothesis)
    assert left.consumed is not None

    words = [word for segment in whole.segments for word in segment.words]
    told = [word for segment in left.segments for word in segment.words]
    assert whole.consumed is None
    assert 2.2 < left.consumed < 3.3
    assert 0 < len(told) < len(words)
    assert told == words[: len(told)]
    assert told[-1].end <= left.consumed <= words[len(told)].start


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], None),
        ([(1.0, 29.2)], None),
        ([(0.0, 29.9)], None),
        ([(5.0, 6.0), (12.0, 13.0), (22.0, 23.0), (23.2, 29.9)], 17.5),
        ([(5.0, 22.0), (22.0, 25.0), (25.0, 30.0)], 25.0),
        ([(5.0, 29.8)], None),
    ],
)
def test_where_a_row_may_end(words: list[tuple[float, float]], told: float | None) -> None:
    """In the widest pause of the last 10 s, else between two words; silence at its end leaves nothing."""
    assert _last_pause([Word(start, end, " word", 1.0) for start, end in words], 30.0) == told
