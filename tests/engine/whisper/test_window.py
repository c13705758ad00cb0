"""One window of each row: what is asked of the model for words, log-probabilities and cut texts."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.audio.types import Samples
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.whisper.decoder import Decoder
from gateway.engine.whisper.decoding import Prompt
from gateway.engine.whisper.engine import WhisperEngine
from gateway.engine.whisper.features import Encoded, mel_features
from gateway.engine.whisper.row import Row, Run
from gateway.engine.whisper.window import WindowDecoder

pytestmark = pytest.mark.slow  # each test encodes windows of 30 s


class Recorder:
    """The real model; counts the rows of each alignment, and can make a search look bad."""

    def __init__(self, model: Any, score: dict[int, float] | None = None) -> None:
        self._model = model
        self._score = score or {}
        self.aligned: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def align(self, features: Any, *args: Any, **how: Any) -> Any:
        """As `ctranslate2.models.Whisper.align`."""
        self.aligned.append(features.shape[0])
        return self._model.align(features, *args, **how)

    def generate(self, *args: Any, **how: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`."""
        return [
            SimpleNamespace(
                sequences_ids=result.sequences_ids,
                scores=[self._score.get(at, result.scores[0])],
                no_speech_prob=result.no_speech_prob,
            )
            for at, result in enumerate(self._model.generate(*args, **how))
        ]


def decode(
    engine: WhisperEngine, requests: list[DecodeRequest], *, max_tokens: int = 224, last: bool = False
) -> tuple[list[Row], list[int]]:
    """The rows after one window, and the rows of each alignment that was made."""
    model = Recorder(engine._model)
    windows = WindowDecoder(
        model,
        engine._vocabulary,
        Decoder(engine._model, engine._vocabulary, max_tokens=max_tokens),
        aligns=True,
        beam_size=1,
    )
    rows = [
        Row(request, mel_features(engine._extractor, request.samples), request.options.language)
        for request in requests
    ]
    windows.decode(Encoded(engine._model, [row.window for row in rows]), rows, last=last)
    return rows, model.aligned


def test_alignment_only_for_rows_that_ask(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """One call per language and task; none for silence."""
    plain = DecodeOptions(language="en")
    rows, aligned = decode(
        engine,
        [
            DecodeRequest(speech["en_hello"], plain),
            DecodeRequest(speech["en_hello"], replace(plain, words=True)),
            DecodeRequest(speech["en_numbers"], replace(plain, logprobs=True)),
            DecodeRequest(speech["de_zahlen"], DecodeOptions(language="de", words=True)),
            DecodeRequest(speech["silence_noise"], replace(plain, words=True)),
        ],
    )

    assert sorted(aligned) == [1, 2]
    assert [bool(row.segments) for row in rows] == [True, True, True, True, False]
    assert [bool(row.segments[0].words) for row in rows[:4]] == [False, True, False, True]
    assert [row.segments[0].tokens[0].logprob is not None for row in rows[:4]] == [False, False, True, False]
    assert not any(row.unfinished for row in rows)


def test_a_cut_text_ends_before_its_last_word(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Without a closing timestamp alignment tells where the next window goes on, asked for or not."""
    request = DecodeRequest(speech["en_numbers"], DecodeOptions(language="en"))
    (row,), aligned = decode(engine, [request], max_tokens=5)
    (segment,) = row.segments

    assert aligned == [1]
    assert segment.text == " Seven two zero"
    assert row.seek == pytest.approx(147, abs=30)
    assert segment.end == row.seek / 100
    assert row.unfinished


def test_the_last_window_keeps_what_there_is(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Even half a text, up to the chunk's end."""
    request = DecodeRequest(speech["en_numbers"], DecodeOptions(language="en"))
    (row,), _ = decode(engine, [request], max_tokens=5, last=True)

    assert row.segments[0].text == " Seven two zero nineteen"
    assert not row.unfinished


def test_what_a_shortened_context_spoiled_is_left_as_it_was(
    engine: WhisperEngine, speech: dict[str, Samples]
) -> None:
    """It is given back untouched; its mates, before and behind it, get their own words and are done."""
    options = DecodeOptions(language="en", words=True, logprobs=True)
    model = Recorder(engine._model, score={1: -3.0})
    windows = WindowDecoder(
        model,
        engine._vocabulary,
        Decoder(model, engine._vocabulary),
        aligns=True,
        beam_size=1,
    )
    rows = [
        Row(request, mel_features(engine._extractor, request.samples), "en")
        for request in (
            DecodeRequest(speech[name], options) for name in ("en_hello", "en_numbers", "en_hello")
        )
    ]
    doubtful = windows.decode(Encoded(model, [row.window for row in rows], 500), rows, last=False)

    assert doubtful == [rows[1]]
    assert (rows[1].seek, rows[1].segments, rows[1].unfinished) == (0, [], True)
    assert model.aligned == [2]
    for row in (rows[0], rows[2]):
        assert [word.text for word in row.segments[0].words] == [" Hello", " world."]
        assert not row.unfinished


def test_a_language_that_is_a_guess_is_doubtful(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """However good the text looks; in the whole window it is believed, for nothing is surer."""
    request = DecodeRequest(speech["en_hello"], DecodeOptions())
    left = []
    for frames in (500, 3000):
        row = Row(request, mel_features(engine._extractor, request.samples), None)
        row.runs = [Run(row.window.shape[1], "en", 0.49)]
        left.append(engine._windows.decode(Encoded(engine._model, [row.window], frames), [row], last=False))

    assert [len(rows) for rows in left] == [1, 0]


@pytest.mark.parametrize("speaks", [True, False])
def test_a_prompt_is_read_only_where_somebody_speaks(
    engine: WhisperEngine, speech: dict[str, Samples], monkeypatch: pytest.MonkeyPatch, *, speaks: bool
) -> None:
    """The model is asked without the prompt, of the rows that have one; then it reads it, or does not."""
    asked: list[tuple[list[int], list[int]]] = []

    def no_speech(
        _decoder: Decoder, _encoded: Encoded, rows: list[int], prompts: list[Prompt]
    ) -> list[float]:
        asked.append((rows, [prompt.text_tokens for prompt in prompts]))
        return [0.1 if speaks else 0.9 for _ in rows]

    monkeypatch.setattr(Decoder, "no_speech", no_speech)
    plain = DecodeOptions(language="en")
    options = (plain, replace(plain, prompt="Hello world."), replace(plain, keywords=("Kilo",)))
    rows, _ = decode(engine, [DecodeRequest(speech["en_hello"], each) for each in options])

    assert asked == [([1, 2], [0, 0])]
    assert [row.prompt_tokens > 0 for row in rows] == [False, speaks, speaks]


def test_what_is_soon_replaced_costs_one_search(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """However bad it looks, in however little context; it writes no timestamps, and is one segment."""
    model = Recorder(engine._model, score={0: -3.0})
    windows = WindowDecoder(
        model, engine._vocabulary, Decoder(model, engine._vocabulary), aligns=True, beam_size=1
    )
    request = DecodeRequest(speech["en_numbers"], DecodeOptions(language="en"), retry=False)
    row = Row(request, mel_features(engine._extractor, request.samples), "en")
    doubtful = windows.decode(Encoded(model, [row.window], 500), [row], last=False)

    assert doubtful == []
    assert not row.unfinished
    assert [segment.start for segment in row.segments] == [0]
    assert row.segments[0].text.startswith(" Seven two")
