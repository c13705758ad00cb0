"""Sampling: the distribution, the rules for timestamps, and the walk along a greedy continuation."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import ctranslate2
import numpy as np
import pytest

from gateway.engine.whisper.decoding import Prompt
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.sampling import SampledRow, apply_timestamp_rules, follow, host_logits
from gateway.engine.whisper.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

EOT, NO_TIMESTAMPS, STAMP, SIZE = 4, 6, 7, 12
"""A vocabulary of four text tokens, end, another special, no-timestamps, and five timestamps."""


def row(*, temperature: float = 1.0, max_deviations: int = 99, limit: int = 99, seed: int = 0) -> SampledRow:
    """A fresh row."""
    prompt = Prompt((5,), (), 0, 0, timestamps=True)
    return SampledRow(prompt, temperature, np.random.default_rng(seed), limit, max_deviations)


def allowed(*tokens: int) -> set[int]:
    """Ids that may follow ``tokens``, when text and timestamps are about as probable."""
    logits = np.zeros(SIZE, np.float32)
    logits[: EOT + 1] = 3.0
    apply_timestamp_rules(logits, tokens, eot=EOT, no_timestamps=NO_TIMESTAMPS, max_initial=2)
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ((), {7, 8, 9}),
        ((8,), {0, 1, 2, 3, 4, 5}),
        ((8, 1), {0, 1, 2, 3, 4, 5, 9, 10, 11}),
        ((8, 1, 9), {4, 5, 9, 10, 11}),
        ((8, 1, 9, 9), {0, 1, 2, 3, 4, 5}),
        ((8, 1, 9, 9, 2), {0, 1, 2, 3, 4, 5, 10, 11}),
    ],
)
def test_timestamps_come_in_pairs_and_grow(written: tuple[int, ...], expected: set[int]) -> None:
    """The first is early; one opens text, one closes it, the next opens again; none goes back in time."""
    assert allowed(*written) == expected


def test_probable_timestamps_win_together() -> None:
    """When all of them together are more probable than any text token, text must not follow."""
    logits = np.zeros(SIZE, np.float32)
    apply_timestamp_rules(logits, (8, 1), eot=EOT, no_timestamps=NO_TIMESTAMPS)

    assert set(np.flatnonzero(np.isfinite(logits))) == {9, 10, 11}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    """Of 4000 draws each token's share is within two hundredths; forbidden tokens never come."""
    logits = np.array([0.0, 1.0, 2.0, -np.inf, 0.5, -np.inf], np.float32)
    sampled = row(temperature=temperature)
    drawn = [sampled.draw(logits, 99) for _ in range(4000)]
    weights = np.exp(logits.astype(np.float64) / temperature)

    np.testing.assert_allclose(np.bincount(drawn, minlength=6) / 4000, weights / weights.sum(), atol=0.025)


def test_log_probabilities_are_those_at_temperature_one() -> None:
    """So that results of different temperatures can be compared."""
    sampled = row(temperature=0.01)
    sampled.draw(np.log(np.array([0.25, 0.75], np.float32)), 99)

    assert sampled.logprob == pytest.approx(np.log(0.75))


def test_a_timestamp_is_its_most_probable_value() -> None:
    """Random times serve nobody."""
    logits = np.array([-9.0, 0.0, 0.1, 0.2, 0.0], np.float32)
    sampled = row(temperature=2.0)

    assert {sampled.draw(logits, 1) for _ in range(50)} <= {0, 3}


def test_after_enough_deviations_the_rest_is_greedy() -> None:
    """This bounds what a hopeless row may cost."""
    sampled = row(max_deviations=0)

    assert {sampled.draw(np.array([0.0, 0.1], np.float32), 99) for _ in range(50)} == {1}


def test_reads_logits_of_half_precision() -> None:
    """As a GPU gives them; what was suppressed becomes minus infinity."""
    view = ctranslate2.StorageView.from_array(np.array([[1.5, -65504.0]], np.float16))

    np.testing.assert_array_equal(host_logits(view), np.array([1.5, -np.inf], np.float32))


Results = Callable[[list[int], list[dict[int, float]]], SimpleNamespace]


@pytest.fixture
def vocabulary(engine: WhisperEngine) -> Vocabulary:
    """The miniature's."""
    return engine._vocabulary


@pytest.fixture
def result(vocabulary: Vocabulary) -> Results:
    """Makes what CTranslate2 returns, from the few tokens that are possible at each step."""

    def make(written: list[int], steps: list[dict[int, float]]) -> SimpleNamespace:
        views = []
        for step in steps:
            logits: NDArray[np.float32] = np.full((1, vocabulary.timestamp_begin + 1501), -3e38, np.float32)
            for token, logit in step.items():
                logits[0, token] = logit
            views.append(ctranslate2.StorageView.from_array(logits))
        return SimpleNamespace(sequences_ids=[written], logits=[views])

    return make


def test_walks_while_it_draws_what_is_there(vocabulary: Vocabulary, result: Results) -> None:
    """One call is enough for a sure text, end included."""
    stamp, eot = vocabulary.timestamp_begin, vocabulary.eot
    sampled = row()
    follow(sampled, result([stamp, 1, 2], [{stamp: 0}, {1: 0}, {2: 0}, {eot: 0}]), vocabulary)

    assert sampled.tokens == [stamp, 1, 2]
    assert sampled.done
    assert not sampled.cut
    assert sampled.logprob == pytest.approx(0.0)
    assert sampled.deviations == 0


def test_stops_where_it_draws_otherwise(vocabulary: Vocabulary, result: Results) -> None:
    """What the greedy decode wrote behind that place holds no longer; the next call forces the new token."""
    stamp, eot = vocabulary.timestamp_begin, vocabulary.eot
    sampled = row()
    follow(sampled, result([stamp, 1, 2], [{stamp: 0}, {3: 0}, {2: 0}, {eot: 0}]), vocabulary)
    stopped = list(sampled.tokens)
    follow(sampled, result([stamp, 3, 2], [{}, {}, {2: 0}, {eot: 0}]), vocabulary)

    assert stopped == [stamp, 3]
    assert sampled.tokens == [stamp, 3, 2]
    assert sampled.done
    assert sampled.deviations == 1


def test_does_not_trust_what_follows_a_timestamp_behind_forced_tokens(
    vocabulary: Vocabulary, result: Results
) -> None:
    """CTranslate2 takes it for the first of all and wants text, where only an end or a time may follow."""
    stamp, eot = vocabulary.timestamp_begin, vocabulary.eot
    sampled = row()
    sampled.tokens = [stamp, 1]
    follow(sampled, result([stamp, 1, stamp + 9, 2], [{}, {}, {stamp + 9: 0}, {2: 0}, {eot: 0}]), vocabulary)

    assert sampled.tokens == [stamp, 1, stamp + 9]
    assert not sampled.done


def test_stops_at_the_length_limit(vocabulary: Vocabulary, result: Results) -> None:
    """And says that the text was cut."""
    stamp = vocabulary.timestamp_begin
    sampled = row(limit=2)
    follow(sampled, result([stamp, 1, 2], [{stamp: 0}, {1: 0}, {2: 0}]), vocabulary)

    assert sampled.tokens == [stamp, 1]
    assert sampled.done
    assert sampled.cut
