"""Each response format has its body and media type; `verbose_json` has what was asked for."""

import json

import pytest
import srt
from openai.types.audio import TranscriptionVerbose

from gateway.protocol.answers import Task, render
from gateway.protocol.request import TranscriptionRequest
from gateway.transcript import Segment, Token, Transcript, Word

TOKENS = (Token(1, "Hello", b"Hello", -0.5),)
SEGMENT = Segment(1.0, 2.0, " Hello.", TOKENS, (Word(1.0, 2.0, " Hello.", 0.9),), -0.5, 1.0, 0.0, 0.0)
TRANSCRIPT = Transcript("Hello.", "en", ("en",), 3.0, (SEGMENT,), TOKENS)
EMPTY = Transcript("", None, (), 3.0, (), ())


def _render(transcript: Transcript, **fields: object) -> tuple[str, str]:
    rendered = render(transcript, TranscriptionRequest.model_validate({"model": "whisper-1", **fields}))
    return rendered.body, rendered.media_type


def test_json() -> None:
    """Text, usage, languages; log-probabilities only when asked for."""
    body, media_type = _render(TRANSCRIPT)
    asked = json.loads(_render(TRANSCRIPT, include=["logprobs"])[0])

    assert json.loads(body) == {
        "text": "Hello.",
        "usage": {"type": "duration", "seconds": 3},
        "languages": [{"code": "en"}],
    }
    assert media_type == "application/json"
    assert asked["logprobs"] == [{"token": "Hello", "logprob": -0.5, "bytes": [72, 101, 108, 108, 111]}]


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
@pytest.mark.parametrize(("model", "marked"), [("whisper-large-v3-turbo", True), ("whisper-1", False)])
def test_groq(response_format: str, model: str, *, marked: bool) -> None:
    """Groq's names have its mark, without which its clients take no answer; others have none."""
    answer = json.loads(_render(TRANSCRIPT, model=model, response_format=response_format)[0])

    assert answer.get("x_groq", {}).get("id", "").startswith("req_") is marked


def test_text() -> None:
    """The text alone."""
    assert _render(TRANSCRIPT, response_format="text") == ("Hello.", "text/plain; charset=utf-8")


def test_srt() -> None:
    """A file that players read."""
    body, media_type = _render(TRANSCRIPT, response_format="srt")
    (cue,) = srt.parse(body)

    assert (cue.content, cue.start.total_seconds()) == ("Hello.", 1.0)
    assert media_type == "text/plain; charset=utf-8"


def test_vtt() -> None:
    """With its header and media type."""
    body, media_type = _render(TRANSCRIPT, response_format="vtt")

    assert body.startswith("WEBVTT\n\n")
    assert media_type == "text/vtt; charset=utf-8"


@pytest.mark.parametrize(("response_format", "body"), [("text", ""), ("srt", ""), ("vtt", "WEBVTT\n\n")])
def test_silence(response_format: str, body: str) -> None:
    """Nothing said is an empty file of the format."""
    assert _render(EMPTY, response_format=response_format)[0] == body


def test_verbose_silence() -> None:
    """Nothing said has no segments and no language."""
    answer = json.loads(_render(EMPTY, response_format="verbose_json")[0])

    assert (answer["text"], answer["segments"], answer["language"]) == ("", [], "unknown")


WORDS = (
    Word(0.5, 0.9, " «Hello,", 0.9),
    Word(0.9, 0.9, " —", 0.1),
    Word(1.0, 1.4, " it's", 0.9),
    Word(1.4, 1.9, " me.”", 0.8),
)
PHRASE = Segment(
    start=0.5,
    end=1.9,
    text=" «Hello, — it's me.”",
    tokens=(Token(11, " Hello", b" Hello", None), Token(12, " me", b" me", None)),
    words=WORDS,
    avg_logprob=-0.25,
    compression_ratio=1.1,
    no_speech_prob=0.01,
    temperature=0.2,
    seek=30,
)
SPOKEN = Transcript("Hello, it's me.", "de", ("de",), 8.4701, (PHRASE,), PHRASE.tokens)


def _answer(*granularities: str, task: Task = "transcribe") -> dict[str, object]:
    request = TranscriptionRequest.model_validate(
        {"model": "m", "response_format": "verbose_json", "timestamp_granularities": granularities}
    )
    answer: dict[str, object] = json.loads(render(SPOKEN, request, task).body)
    TranscriptionVerbose.model_validate(answer, strict=True)
    return answer


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [
        ((), {"segments"}),
        (("segment",), {"segments"}),
        (("word",), {"words"}),
        (("word", "segment"), {"words", "segments"}),
    ],
)
def test_granularities(granularities: tuple[str, ...], keys: set[str]) -> None:
    """Words alone mean no segments; nothing asked means segments."""
    assert _answer(*granularities).keys() & {"words", "segments"} == keys


def test_head() -> None:
    """Task, English name of the language, duration as a number, usage in seconds rounded up."""
    answer = _answer()

    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "german", 8.47)
    assert answer["usage"] == {"type": "duration", "seconds": 9}


def test_translations_are_english() -> None:
    """Whatever was spoken."""
    answer = _answer(task="translate")

    assert (answer["task"], answer["language"]) == ("translate", "english")


def test_segments() -> None:
    """All of Whisper's numbers, the leading space kept."""
    assert _answer()["segments"] == [
        {
            "id": 0,
            "seek": 30,
            "start": 0.5,
            "end": 1.9,
            "text": " «Hello, — it's me.”",
            "tokens": [11, 12],
            "temperature": 0.2,
            "avg_logprob": -0.25,
            "compression_ratio": 1.1,
            "no_speech_prob": 0.01,
        }
    ]


def test_words() -> None:
    """Without punctuation at their ends; a lone dash is no word, an apostrophe is part of one."""
    assert _answer("word")["words"] == [
        {"word": "Hello", "start": 0.5, "end": 0.9},
        {"word": "it's", "start": 1.0, "end": 1.4},
        {"word": "me", "start": 1.4, "end": 1.9},
    ]
