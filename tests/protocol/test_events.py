"""Events carry what the official types expect, on one line each."""

import json

from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from gateway.errors import OverloadedError
from gateway.protocol.events import EventRenderer, delta_event, done_event, encode, error_body
from gateway.protocol.parse import parse_transcription
from gateway.transcript import Interim, Segment, TextDelta, Token, Transcript

TOKENS = (Token(1, "Grü", "Grü".encode(), -0.25), Token(2, "ße", "ße".encode(), -0.5))
SEGMENT = Segment(0.0, 1.0, " Grüße", TOKENS, (), -0.3, 1.0, 0.0, 0.0)
TRANSCRIPT = Transcript("Grüße", "de", ("de",), 1.25, (SEGMENT,), TOKENS, prompt_tokens=3)


def test_delta_with_logprobs() -> None:
    """Token, natural log-probability and UTF-8 bytes stand in the delta, as the SDK's type wants them."""
    event = delta_event(TextDelta("Grüße", TOKENS), with_logprobs=True)

    assert TranscriptionTextDeltaEvent.model_validate(event, strict=True).logprobs
    assert event["logprobs"][1] == {"token": "ße", "logprob": -0.5, "bytes": [195, 159, 101]}


def test_delta_without_logprobs_keeps_the_key() -> None:
    """Clients of some providers read the key unasked; it is null."""
    assert delta_event(TextDelta("a", ()), with_logprobs=False)["logprobs"] is None


def test_done() -> None:
    """Text, languages and token usage: ten audio tokens a second, rounded up."""
    event = done_event(TRANSCRIPT, with_logprobs=True)

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
    assert "logprobs" not in done_event(TRANSCRIPT, with_logprobs=False)


def test_interim() -> None:
    """Its text as it joins the deltas, and nothing else."""
    request = parse_transcription([("model", "m"), ("stream", "true")])
    rendered = EventRenderer(request, with_logprobs=True).render(Interim(" Grü"))

    assert rendered == [{"type": "transcript.text.interim", "text": " Grü"}]


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
