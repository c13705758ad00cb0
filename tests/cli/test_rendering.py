"""Several files are told apart in every form; one alone is printed as it is."""

import json

import pytest

from gateway.cli.rendering import Rendering, printable
from gateway.protocol.parse import parse_transcription
from gateway.transcript import TextDelta, Transcript, TranscriptDone

_TRANSCRIPT = Transcript("One.\nTwo.", "en", ("en",), 3.0, (), ())
_EVENTS = (TextDelta("One.", ()), TextDelta("\nTwo.", ()), TranscriptDone(_TRANSCRIPT))


def _rendering(form: str, *, with_names: bool) -> Rendering:
    request = parse_transcription([("model", "whisper-1"), ("response_format", form)])
    return Rendering(request, "transcribe", with_names)


@pytest.mark.parametrize("with_names", [True, False])
def test_text(*, with_names: bool) -> None:
    """Whole or streamed, it is the same text; with names each line has its own."""
    rendering = _rendering("text", with_names=with_names)
    whole = rendering.result("a", _TRANSCRIPT)
    streamed = "".join(rendering.event("a", event) for event in _EVENTS)

    assert whole == streamed == ("a: One.\na: Two.\n" if with_names else "One.\nTwo.\n")


def test_silence_has_a_line_too() -> None:
    """So that each file is there."""
    silence = Transcript("", None, (), 3.0, (), ())

    assert _rendering("text", with_names=True).result("a", silence) == "a: \n"


@pytest.mark.parametrize("form", ["json", "verbose_json"])
def test_json(form: str) -> None:
    """One line for each object, the name first."""
    line = _rendering(form, with_names=True).result("a", _TRANSCRIPT)

    assert line.count("\n") == 1
    assert next(iter(json.loads(line))) == "file"
    assert json.loads(line)["text"] == "One.\nTwo."
    assert "file" not in json.loads(_rendering(form, with_names=False).result("a", _TRANSCRIPT))


def test_names_of_any_bytes() -> None:
    """They stay in their line, whatever they hold."""
    assert printable("a\nb\x1b[31m\udcff.wav") == "a\ufffdb\ufffd[31m\ufffd.wav"
    assert printable("Gespräch – 1.wav") == "Gespräch – 1.wav"
