"""Events carry what the official types expect, on one line each."""

import json
from typing import Any

import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from gateway.errors import OverloadedError
from gateway.protocol.events import EventRenderer, encode, error_body, usage_for
from gateway.protocol.parse import parse_transcription
from gateway.transcript import (
    Interim,
    Segment,
    TextDelta,
    Token,
    Transcript,
    TranscriptDone,
    TranscriptEvent,
)

TOKENS = (Token(1, "Grü", "Grü".encode(), -0.25), Token(2, "ße", "ße".encode(), -0.5))
SEGMENT = Segment(0.0, 1.0, " Grüße", TOKENS, (), -0.3, 1.0, 0.0, 0.0)
TRANSCRIPT = Transcript("Grüße", "de", ("de",), 1.25, (SEGMENT,), TOKENS, prompt_tokens=3)


def rendered(event: TranscriptEvent, *, with_logprobs: bool) -> Any:
    """The one object that an event becomes."""
    request = parse_transcription([("model", "m"), ("stream", "true")])
    (wire,) = EventRenderer(request, with_logprobs=with_logprobs).render(event)
    return wire


def test_delta_with_logprobs() -> None:
    """Token, natural log-probability and UTF-8 bytes stand in the delta, as the SDK's type wants them."""
    event = rendered(TextDelta("Grüße", TOKENS), with_logprobs=True)

    assert TranscriptionTextDeltaEvent.model_validate(event, strict=True).logprobs
    assert event["logprobs"][1] == {"token": "ße", "logprob": -0.5, "bytes": [195, 159, 101]}


def test_delta_without_logprobs_keeps_the_key() -> None:
    """Clients of some providers read the key unasked; it is null."""
    assert rendered(TextDelta("a", ()), with_logprobs=False)["logprobs"] is None


def test_done() -> None:
    """Text, languages and token usage: ten audio tokens a second, rounded up."""
    event = rendered(TranscriptDone(TRANSCRIPT), with_logprobs=True)

    assert TranscriptionTextDoneEvent.model_validate(event, strict=True).text == "Grüße"
    assert event["usage"] == {
        "type": "tokens",
        "input_tokens": 16,
        "output_tokens": 2,
        "total_tokens": 18,
        "input_token_details": {"audio_tokens": 13, "text_tokens": 3},
    }
    assert event["languages"] == [{"code": "de"}]


def test_done_without_logprobs_has_no_key() -> None:
    """The done event names log-probabilities only when they were asked for."""
    assert "logprobs" not in rendered(TranscriptDone(TRANSCRIPT), with_logprobs=False)


def test_interim() -> None:
    """Its text as it joins the deltas, and nothing else."""
    assert rendered(Interim(" Grü"), with_logprobs=True) == {
        "type": "transcript.text.interim",
        "text": " Grü",
    }


def test_an_event_is_one_line() -> None:
    """No character of a transcript ends the line, for whatever the client takes for line ends."""
    text = "a\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch\x1ci"
    line = encode({"text": text})

    assert line.splitlines() == [line]
    assert json.loads(line) == {"text": text}


def test_errors_have_all_four_keys() -> None:
    """Message, type, param and code are there, null where there is nothing to say."""
    assert error_body(OverloadedError("Full.", retry_after=2)) == {
        "error": {"message": "Full.", "type": "server_error", "param": None, "code": "rate_limit_exceeded"}
    }


COUNTED = (Token(1, "a", b"a", None),) * 3
BILLED = Transcript(
    "aaa", "en", ("en",), 1.25, (Segment(0, 1, "aaa", COUNTED, (), 0, 0, 0, 0),), COUNTED, prompt_tokens=4
)
COUNTS = {"input_tokens": 17, "output_tokens": 3, "total_tokens": 20}
DETAILS = {"input_token_details": {"audio_tokens": 13, "text_tokens": 4}}


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("whisper-1", {"type": "duration", "seconds": 2}),
        ("mini-whisper", {"type": "duration", "seconds": 2}),
        ("gpt-4o-transcribe", {"type": "tokens", **COUNTS, **DETAILS}),
        ("gpt-transcribe", {"type": "tokens", **COUNTS, **DETAILS}),
        ("openai/whisper-1", {"type": "duration", "seconds": 2, **COUNTS}),
        ("openai/gpt-4o-transcribe", {"type": "tokens", "seconds": 2, **COUNTS, **DETAILS}),
    ],
)
def test_usage(model: str, usage: dict[str, object]) -> None:
    """Seconds for whisper names, tokens for gpt names, both behind a provider's prefix."""
    assert usage_for(model, BILLED) == usage
