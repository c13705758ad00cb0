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

FRAMES = 1000
"""More than any of them has."""

LOOP = "Good morning. " * 20


class Recorder:
    """The real model, whose first beam search can be made to repeat itself.

    Attributes:
        calls: Rows, start positions and keyword arguments of each call.
        instead: What the first search writes, by the row's place in its call; others keep theirs.
    """

    def __init__(self, model: Any, instead: dict[int, list[int]] | None = None) -> None:
        self._model = model
        self.calls: list[SimpleNamespace] = []
        self._instead = instead or {}

    def generate(self, features: Any, starts: list[list[int]], **how: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`."""
        results = self._model.generate(features, starts, **how)
        first = not self.calls
        self.calls.append(SimpleNamespace(rows=features.shape[0], starts=starts, **how))
        return [
            SimpleNamespace(
                sequences_ids=[self._instead[at]] if first and at in self._instead else result.sequences_ids,
                scores=result.scores,
                no_speech_prob=result.no_speech_prob,
            )
            for at, result in enumerate(results)
        ]


@pytest.fixture(scope="module")
def encoded(engine: WhisperEngine, speech: dict[str, Samples]) -> Encoded:
    """Three recordings."""
    return Encoded(engine._model, [mel_features(engine._extractor, speech[name]) for name in NAMES])


def prompt(engine: WhisperEngine, text: str | None = None, *, timestamps: bool = True) -> Prompt:
    """An English prompt."""
    return build_prompt(engine._vocabulary, DecodeOptions(prompt=text), language="en", timestamps=timestamps)


def said(engine: WhisperEngine, tokens: tuple[int, ...]) -> str:
    """Text tokens as text."""
    return engine._vocabulary.text(list(filter(engine._vocabulary.is_text, tokens))).strip()


def test_rows_of_one_kind_share_one_call(engine: WhisperEngine, encoded: Encoded) -> None:
    """Three clear rows, one beam search, nothing tried again."""
    model = Recorder(engine._model)
    rows = [Decode(prompt(engine), 5, FRAMES)] * 3
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
    rows = [
        Decode(prompt(engine), 5, FRAMES),
        Decode(prompt(engine, "Hello world."), 5, FRAMES),
        Decode(prompt(engine, timestamps=False), 5, FRAMES),
    ]
    results = Decoder(model, engine._vocabulary).decode(encoded, rows)

    assert [call.rows for call in model.calls] == [1, 1, 1]
    assert said(engine, results[2].tokens) == "Good morning world. Please start the music."


def looping(engine: WhisperEngine, at: int) -> Recorder:
    """A model whose first search has a row say the same again and again."""
    return Recorder(engine._model, {at: engine._vocabulary.encode(LOOP)})


def test_only_the_row_that_repeats_itself_is_searched_again(engine: WhisperEngine, encoded: Encoded) -> None:
    """Once, with a penalty, and for no more than twice its first text; its mates have one search."""
    model = looping(engine, 1)
    rows = [Decode(prompt(engine), 5, FRAMES)] * 3
    results = Decoder(model, engine._vocabulary).decode(encoded, rows)

    assert said(engine, results[1].tokens) == "Seven two zero nineteen forty three thousand."
    assert [call.rows for call in model.calls] == [3, 1]
    assert model.calls[1].repetition_penalty > 1
    assert model.calls[1].max_length <= 4 * len(engine._vocabulary.encode(LOOP))


def test_a_doubtful_text_is_kept(
    engine: WhisperEngine, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other search made anything better of those, so it is for the caller to judge."""
    monkeypatch.setattr(decoding, "MIN_AVG_LOGPROB", 1.0)
    model = Recorder(engine._model)
    results = Decoder(model, engine._vocabulary).decode(encoded, [Decode(prompt(engine), 5, FRAMES)] * 3)

    assert len(model.calls) == 1
    assert not any(result.acceptable for result in results)
    assert said(engine, results[0].tokens) == "Hello world."


def test_previews_are_not_tried_again(engine: WhisperEngine, encoded: Encoded) -> None:
    """They are replaced by newer ones soon."""
    model = looping(engine, 0)
    row = Decode(prompt(engine), 1, FRAMES, retry=False)
    Decoder(model, engine._vocabulary).decode(encoded, [row])

    assert len(model.calls) == 1


def test_a_short_sound_has_a_short_text(engine: WhisperEngine, encoded: Encoded) -> None:
    """Half a second bounds a search to a fifth of what half a minute may have."""
    model = Recorder(engine._model)
    decoder = Decoder(model, engine._vocabulary)
    for frames in (50, 3000):
        decoder.decode(encoded, [Decode(prompt(engine), 1, frames)])

    assert model.calls[0].max_length < model.calls[1].max_length / 4


def test_a_text_is_no_longer_than_it_can_be(engine: WhisperEngine, encoded: Encoded) -> None:
    """By what is known of it, where that is less than its sound allows."""
    model = Recorder(engine._model)
    decoder = Decoder(model, engine._vocabulary)
    short, long = decoder.decode(
        encoded, [Decode(prompt(engine), 1, FRAMES, most_tokens=most) for most in (2, 10_000)]
    )
    decoder.decode(encoded, [Decode(prompt(engine), 1, FRAMES, most_tokens=2)])

    assert (len(short.tokens), short.cut) == (2, True)
    assert len(long.tokens) > 2
    assert not long.cut
    assert model.calls[1].max_length < model.calls[0].max_length


def text(result: Hypothesis | RowFailed) -> str:
    """All text of a row that did not fail."""
    assert isinstance(result, Hypothesis), result
    return "".join(segment.text for segment in result.segments)


def test_real_repetition_is_not_mistaken_for_a_loop(
    engine: WhisperEngine, speech: dict[str, Samples]
) -> None:
    """It compresses as well as a loop, so it is searched again, which says the same: it is kept."""
    request = DecodeRequest(np.tile(speech["en_hello"], 6), DecodeOptions(language="en"))
    said = text(engine.transcribe([request])[0])

    assert decoding.compression_ratio(said) > decoding.MAX_COMPRESSION_RATIO
    assert said == " Hello world." * 6


def test_a_seed_draws_the_same_beside_other_rows(engine: WhisperEngine, encoded: Encoded) -> None:
    """Each row is drawn for itself; other seeds draw otherwise."""
    decoder = Decoder(engine._model, engine._vocabulary)
    seeds = [(seed,) for seed in range(20)]
    rows = [Decode(prompt(engine), 1, FRAMES, temperature=2.0, seed=seed) for seed in seeds]
    first = [decoder.decode(encoded, [row] * 3) for row in rows]
    again = [decoder.decode(encoded, [rows[0], row, row]) for row in rows]

    assert [results[1:] for results in first] == [results[1:] for results in again]
    assert len({results[2].tokens for results in first}) > 1


def test_a_cold_draw_is_the_beam_search(engine: WhisperEngine, encoded: Encoded) -> None:
    """Near temperature 0 the most probable hypothesis is drawn, and it costs one call."""
    model = Recorder(engine._model)
    decoder = Decoder(model, engine._vocabulary)
    cold = decoder.decode(encoded, [Decode(prompt(engine), 5, FRAMES, temperature=1e-3)] * 3)
    searched = decoder.decode(encoded, [Decode(prompt(engine), 5, FRAMES)] * 3)

    assert len(model.calls) == 2
    assert [result.tokens for result in cold] == [result.tokens for result in searched]
    assert [result.temperature for result in cold] == [1e-3] * 3


def test_the_length_limit_cuts(engine: WhisperEngine, encoded: Encoded) -> None:
    """Whether drawn or not; a short row is not touched."""
    decoder = Decoder(engine._model, engine._vocabulary, max_tokens=6)
    for temperature in (0.0, 0.01):
        results = decoder.decode(encoded, [Decode(prompt(engine), 5, FRAMES, temperature)] * 3)

        assert [result.cut for result in results] == [False, True, True]
        assert [len(result.tokens) for result in results[1:]] == [6, 6]


def test_how_probably_nobody_speaks(engine: WhisperEngine, encoded: Encoded) -> None:
    """One step for each row, and the same as a whole search says of it."""
    model = Recorder(engine._model)
    decoder = Decoder(model, engine._vocabulary)
    found = decoder.no_speech(encoded, [2, 0], [prompt(engine)] * 2)
    searched = decoder.decode(encoded, [Decode(prompt(engine), 1, FRAMES)] * 3)

    assert found == pytest.approx([searched[at].no_speech_prob for at in (2, 0)], rel=0.01)
    assert model.calls[0].max_length < model.calls[1].max_length / 10


def test_a_full_prompt_leaves_room_for_the_text(engine: WhisperEngine, encoded: Encoded) -> None:
    """223 tokens of prompt, the start tokens and 221 of text are all positions there are."""
    decoder = Decoder(engine._model, engine._vocabulary)
    full = prompt(engine, "Hello world. " * 200)
    results = decoder.decode(encoded, [Decode(full, 5, FRAMES)] * 3)

    assert not any(result.cut for result in results)
    assert decoder._limit(Decode(full, 5, FRAMES)) == 221
