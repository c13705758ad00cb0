"""`verbose_json` has what was asked for, in the shape the official types know."""

import pytest
from openai.types.audio import TranscriptionVerbose

from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.verbose import verbose_transcript
from gateway.transcript import Segment, Token, Transcript, Word

WORDS = (
    Word(0.5, 0.9, " «Hello,", 0.9),
    Word(0.9, 0.9, " —", 0.1),
    Word(1.0, 1.4, " it's", 0.9),
    Word(1.4, 1.9, " me.”", 0.8),
)
SEGMENT = Segment(
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
TRANSCRIPT = Transcript("Hello, it's me.", "de", ("de",), 8.4701, (SEGMENT,), SEGMENT.tokens)


def _answer(*granularities: str, task: str = "transcribe") -> dict[str, object]:
    request = TranscriptionRequest.model_validate(
        {"model": "m", "response_format": "verbose_json", "timestamp_granularities": granularities}
    )
    answer = verbose_transcript(TRANSCRIPT, request, task=task)
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
