"""Each response format has its body and media type."""

import json

import pytest
import srt

from gateway.protocol.formats import render
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
