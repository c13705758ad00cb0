"""What clients of whisper-asr-webservice ask becomes a request, and the answer is written as they read it."""

import json

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.asr_webservice import ASR, DETECT_LANGUAGE
from gateway.transcript import Segment, Transcript

SEGMENTS = (
    Segment(0.0, 1.5, " One,\ttwo.", (), (), -0.1, 1.0, 0.0, 0.0),
    Segment(1.5, 2.25, " Three.", (), (), -0.1, 1.0, 0.0, 0.0),
)
TRANSCRIPT = Transcript("One, two. Three.", "de", ("de",), 3.0, SEGMENTS, (), language_probability=0.98765)


def test_without_a_query_it_is_text() -> None:
    """Nothing has to be said; null is nothing."""
    asked = ASR.read([])

    assert asked == ASR.read([("language", "null"), ("initial_prompt", ""), ("word_timestamps", "false")])
    assert (asked.request.response_format, asked.task, asked.pcm_rate) == ("text", "transcribe", None)
    assert ASR.render(TRANSCRIPT, asked).body == TRANSCRIPT.text


def test_bazarrs_query() -> None:
    """Subtitles in English of bare samples, as it sends them."""
    asked = ASR.read([("task", "translate"), ("language", "ger"), ("output", "srt"), ("encode", "false")])

    assert (asked.task, asked.pcm_rate, asked.request.language) == ("translate", 16_000, "de")
    assert asked.request.response_format == "srt"


def test_json_is_whispers_own() -> None:
    """The language is its code; words only where they are asked for."""
    plain, with_words = (
        ASR.read([("output", "JSON"), ("word_timestamps", word), ("initial_prompt", "So.")])
        for word in ("false", "true")
    )
    answer = json.loads(ASR.render(TRANSCRIPT, plain).body)

    assert answer["language"] == "de"
    assert [segment["end"] for segment in answer["segments"]] == [1.5, 2.25]
    assert "words" not in answer
    assert plain.request.prompt == "So."
    assert with_words.request.timestamp_granularities == ("segment", "word")


def test_tab_separated_values() -> None:
    """Milliseconds, and no tab within the text."""
    rendered = ASR.render(TRANSCRIPT, ASR.read([("output", "tsv")]))

    assert rendered.body == "start\tend\ttext\n0\t1500\tOne, two.\n1500\t2250\tThree.\n"
    assert rendered.media_type.startswith("text/")


def test_the_language_alone() -> None:
    """Of the first half minute, with the model's confidence; of silence nothing is known."""
    asked = DETECT_LANGUAGE.read([("encode", "false")])
    silence = Transcript("", None, (), 3.0, (), ())

    assert (asked.pcm_rate, asked.head_seconds) == (16_000, 30.0)
    assert json.loads(DETECT_LANGUAGE.render(TRANSCRIPT, asked).body) == {
        "detected_language": "german",
        "language_code": "de",
        "confidence": 0.9877,
    }
    assert json.loads(DETECT_LANGUAGE.render(silence, asked).body) == {
        "detected_language": "unknown",
        "language_code": None,
        "confidence": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "value"), [("task", "sing"), ("output", "docx"), ("encode", "perhaps"), ("language", "x" * 40)]
)
def test_wrong_values(name: str, value: str) -> None:
    """Each names its parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        ASR.read([(name, value)])

    assert caught.value.param == name
