"""The helper that judges our events can fail: it finds what is missing, wrong or too much."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.protocol.realtime.wire import check_frame

STARTED = {
    "event_id": "e",
    "type": "input_audio_buffer.speech_started",
    "item_id": "i",
    "audio_start_ms": 1,
}
INPUT = {"format": {"type": "audio/pcm", "rate": 24_000}}
SESSION = {"id": "s", "object": "o", "type": "transcription", "audio": {"input": INPUT}}
CREATED = {"event_id": "e", "type": "session.created", "session": SESSION}


@pytest.mark.parametrize("event", [STARTED, CREATED])
def test_right_events_pass(event: dict[str, Any]) -> None:
    """What the package describes is right."""
    assert check_frame(json.dumps(event)) == event


@pytest.mark.parametrize(
    "event",
    [
        STARTED | {"surprise": 1},
        STARTED | {"audio_start_ms": "1"},
        STARTED | {"audio_start_ms": 1.0},
        STARTED | {"type": "unknown"},
        {name: value for name, value in STARTED.items() if name != "item_id"},
        CREATED | {"session": SESSION | {"surprise": 1}},
        CREATED | {"session": SESSION | {"id": 5}},
        CREATED | {"session": SESSION | {"audio": {"input": INPUT | {"noise_reduction": {"power": 1}}}}},
        CREATED | {"session": SESSION | {"audio": {"input": INPUT | {"turn_detection": {"type": "none"}}}}},
    ],
)
def test_wrong_events_fail(event: dict[str, Any]) -> None:
    """One key more, one less, or of another type, at any depth."""
    with pytest.raises((AssertionError, ValidationError)):
        check_frame(json.dumps(event))
