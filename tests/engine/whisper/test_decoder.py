"""The decoder on the real miniature: which rows share a call, who is tried again, and that it repeats."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.audio.types import Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed
from gateway.engine.whisper import decoding
from gateway.engine.whisper.decoder import Decoder
from gateway.engine.whisper.decoding import Decode, Prompt, build_prompt
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from gateway.transcript import Hypothesis

pytestmark = pytest.mark.slow  # each test encodes windows of 30 s

NAMES = ("en_hello", "en_numbers", "en_flite_slt")


class Recorder:
    """The real model, whose beam searches can be made to look bad.

    Attributes:
        calls: Rows, start positions and keyword arguments of each call.
        score: What beam search says of a row, by its place in the first call; others keep theirs.
    """

    def __init__(self, model: Any, score: dict[int, float] | None = None) -> None:
        self._model = model
        self.calls: list[SimpleNamespace] = []
        self._score = score or {}

    def generate(self, features: Any, starts: list[list[int]], **how: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`."""
        results = self._model.generate(features, starts, **how)
        first = not self.calls
        self.calls.append(SimpleNamespace(rows=features.shape[0], starts=starts, **how))
        return [
            SimpleNamespace(
                sequences_ids=result.sequences_ids,
                scores=[self._score[at]] if first and at in self._score else result.scores,
                no_speech_prob=result.no_speech_prob,
                logits=result.logits,
            )
            for at, result in enumerate(results)
        ]


@pytest.fixture(scope="module")
def encoded(engine: WhisperEngine, speech: dict[str, Samples]) -> Encoded:
    """Three recordings."""
    return Encoded(engine._model, [mel_features(engine._extractor, speech[name]) for name in NAMES])


def prompt(engine: WhisperEngine, text: str | None = None, prefix: tuple[int, ...] = ()) -> Prompt:
    """An English prompt."""
    return build_prompt(engine._vocabulary, DecodeOptions(prompt=text), language="en", prefix=prefix)


def said(engine: WhisperEngine, tokens: tuple[int, ...]) -> str:
    """Text tokens as text."""
    return engine._vocabulary.text(list(filter(engine._vocabulary.is_text, tokens))).strip()


def test_rows_of_one_kind_share_one_call(engine: WhisperEngine, encoded: Encoded) -> None:
    """Three clear rows, one beam search, nothing tried again."""
    model = Recorder(engine._model)
    rows = [Decode(prompt(engine), beam_size=5)] * 3
    results = Decoder(model, engine._vocabulary).decode(encoded, rows)

    assert [call.rows for call in model.calls] == [3]
    assert model.calls[0].beam_size == 5
    assert [said(engine, result.tokens) for result in results] == [
        "Hello world.",
        "Seven two zero nineteen forty three thousand.",
        "Good morning world. Please start the music.",
    ]
    assert all(result.temperature == 0.0 and result.acceptable and not result.cut for result in results)


def test_rows_are_split_where_ctranslate2_demands_it(engine: WhisperEngine, encoded: Encoded) -> None:
    """By the position of the start token and the number of task tokens."""
    model = Recorder(engine._model)
    prefix = tuple(engine._vocabulary.encode(" Good morning"))
    rows = [
        Decode(prompt(engine), beam_size=5),
        Decode(prompt(engine, "Hello world."), beam_size=5),
        Decode(prompt(engine, prefix=prefix), beam_size=5),
    ]
    results = Decoder(model, engine._vocabulary).decode(encoded, rows)

    assert [call.rows for call in model.calls] == [1, 1, 1]
    assert said(engine, results[2].tokens) == "Good morning world. Please start the music."


def test_only_the_row_that_looks_bad_is_tried_again(engine: WhisperEngine, encoded: Encoded) -> None:
    """Its mates are not decoded twice, and the encoder not at all; the first good temperature is taken."""
    model = Recorder(engine._model, score={1: -3.0})
    rows = [Decode(prompt(engine), beam_size=5)] * 3
    results = Decoder(model, engine._vocabulary).decode(encoded, rows)

    assert [result.temperature for result in results] == [0.0, 0.2, 0.0]
    assert said(engine, results[1].tokens) == "Seven two zero nineteen forty three thousand."
    assert model.calls[0].rows == 3
    assert all(call.rows <= 2 and call.return_logits_vocab for call in model.calls[1:])


def test_without_fallback_a_bad_row_is_left_bad(engine: WhisperEngine, encoded: Encoded) -> None:
    """One call, and the result as it is, for the caller to judge."""
    model = Recorder(engine._model, score={1: -3.0})
    rows = [Decode(prompt(engine), beam_size=5)] * 3
    results = Decoder(model, engine._vocabulary).decode(encoded, rows, fall_back=False)

    assert len(model.calls) == 1
    assert [result.acceptable for result in results] == [True, False, True]


def test_where_nothing_will_do_the_most_probable_is_taken(
    engine: WhisperEngine, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All temperatures were tried by then."""
    monkeypatch.setattr(decoding, "MIN_AVG_LOGPROB", 1.0)
    model = Recorder(engine._model, score={0: -3.0})
    (result,) = Decoder(model, engine._vocabulary).decode(encoded, [Decode(prompt(engine), beam_size=5)])
    sampled = [call for call in model.calls if call.beam_size == 1]

    assert sampled
    assert result.avg_logprob > -3.0
    assert result.temperature > 0.0


def test_previews_are_not_tried_again(engine: WhisperEngine, encoded: Encoded) -> None:
    """A row with a forced prefix is replaced by the next one soon."""
    model = Recorder(engine._model, score={0: -3.0})
    row = Decode(prompt(engine, prefix=tuple(engine._vocabulary.encode(" Hello"))), beam_size=1)
    Decoder(model, engine._vocabulary).decode(encoded, [row])

    assert len(model.calls) == 1


def noisy(samples: Samples, decibels: float) -> Samples:
    """White noise that is louder than the speech."""
    noise = np.random.default_rng(5).normal(size=len(samples)) * samples.std() * 10 ** (decibels / 20)
    mixed = samples + noise
    return np.asarray(0.9 * mixed / np.abs(mixed).max(), np.float32)


def text(result: Hypothesis | RowFailed) -> str:
    """All text of a row that did not fail."""
    assert isinstance(result, Hypothesis), result
    return "".join(segment.text for segment in result.segments)


def test_noise_leads_through_all_temperatures_and_repeats(
    engine: WhisperEngine, speech: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same transcript each time, alone or beside others."""
    recorder = Recorder(engine._model)
    monkeypatch.setattr(engine._windows._decoder, "_model", recorder)
    options = DecodeOptions(language="en")
    bad = DecodeRequest(noisy(speech["en_heldout_voice"], 11.0), options)
    good = DecodeRequest(speech["en_hello"], options)
    first = engine.transcribe([bad])
    tried_again = len(recorder.calls) > 1
    beside, *_ = engine.transcribe([bad, good, good])

    assert tried_again
    assert engine.transcribe([bad]) == first
    assert text(beside) == text(first[0])


def test_real_repetition_is_not_mistaken_for_a_loop(
    engine: WhisperEngine, speech: dict[str, Samples]
) -> None:
    """It compresses as well as a loop, so all temperatures are tried; all say the same, and it is kept."""
    request = DecodeRequest(np.tile(speech["en_hello"], 6), DecodeOptions(language="en"))
    said = text(engine.transcribe([request])[0])

    assert decoding.compression_ratio(said) > decoding.MAX_COMPRESSION_RATIO
    assert said == " Hello world." * 6


def test_a_seed_draws_the_same_beside_other_rows(engine: WhisperEngine, encoded: Encoded) -> None:
    """Each row has a generator of its own; other seeds and temperatures draw otherwise."""
    decoder = Decoder(engine._model, engine._vocabulary)
    rows = [Decode(prompt(engine), 1, temperature=2.0, seed=(seed,)) for seed in (1, 2, 3)]
    together = decoder.decode(encoded, rows)
    again = decoder.decode(encoded, rows)
    shuffled = decoder.decode(encoded, [rows[0], rows[2], rows[1]])

    assert together == again
    assert shuffled[0].tokens == together[0].tokens
    assert shuffled[1].tokens != together[1].tokens


def test_a_cold_seed_is_greedy(engine: WhisperEngine, encoded: Encoded) -> None:
    """Near temperature 0 sampling and greedy decoding are the same, log-probability included."""
    decoder = Decoder(engine._model, engine._vocabulary)
    cold = decoder.decode(encoded, [Decode(prompt(engine), 1, temperature=1e-3, seed=(1,))] * 3)
    greedy = decoder.decode(encoded, [Decode(prompt(engine), 1)] * 3)

    assert [result.tokens for result in cold] == [result.tokens for result in greedy]
    assert [result.avg_logprob for result in cold] == pytest.approx(
        [result.avg_logprob for result in greedy], abs=1e-3
    )


def test_the_length_limit_cuts(engine: WhisperEngine, encoded: Encoded) -> None:
    """For searched and for sampled rows; a short row is not touched."""
    decoder = Decoder(engine._model, engine._vocabulary, max_tokens=6)
    for row in (Decode(prompt(engine), 5), Decode(prompt(engine), 1, temperature=0.01, seed=(1,))):
        results = decoder.decode(encoded, [row] * 3)

        assert [result.cut for result in results] == [False, True, True]
        assert [len(result.tokens) for result in results[1:]] == [6, 6]


def test_a_full_prompt_leaves_room_for_the_text(engine: WhisperEngine, encoded: Encoded) -> None:
    """223 tokens of prompt, the start tokens and 221 of text are all positions there are."""
    decoder = Decoder(engine._model, engine._vocabulary)
    results = decoder.decode(encoded, [Decode(prompt(engine, "Hello world. " * 200), 5)] * 3)

    assert not any(result.cut for result in results)
    assert decoder._limit(prompt(engine, "Hello world. " * 200)) == 221
