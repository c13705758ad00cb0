"""`usage` has the shape that belongs to the model's name."""

import pytest

from gateway.protocol.usage import usage_for
from gateway.transcript import Segment, Token, Transcript

TOKENS = (Token(1, "a", b"a", None),) * 3
TRANSCRIPT = Transcript(
    "aaa", "en", ("en",), 1.25, (Segment(0, 1, "aaa", TOKENS, (), 0, 0, 0, 0),), TOKENS, prompt_tokens=4
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
    assert usage_for(model, TRANSCRIPT) == usage
