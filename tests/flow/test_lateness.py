"""How late live texts come is counted from the arrival of the audio that they are of."""

import pytest

from gateway.errors import EngineFailedError, InvalidRequestError
from gateway.flow.lateness import GRAIN_SECONDS, KEPT_SECONDS, MOST, Lateness
from gateway.metrics import Metrics
from gateway.transcript import Transcript
from gateway.transcript.events import (
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    Refused,
    SpeechStarted,
)

FRAME = 0.1
DONE = Transcript("", None, (), 1.0, (), ())


class Talk:
    """A session whose client sends a tenth of a second each tenth of a second."""

    def __init__(self) -> None:
        self.now = 100.0
        self.metrics = Metrics()
        self.lateness = Lateness(lambda: self.now, self.metrics)

    def send(self, seconds: float, *, is_ahead: bool = False) -> None:
        """Sends so much; ahead: at once."""
        for _ in range(round(seconds / FRAME)):
            if not is_ahead:
                self.now += FRAME
            self.lateness.received(FRAME, is_ahead=is_ahead)

    def value(self, name: str, **labels: str) -> float:
        """A sample's."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def test_a_turn_is_measured_from_its_audio() -> None:
    """First words from where speech begins, the text from where the turn ends, whenever that is found out."""
    talk = Talk()
    talk.send(5.0)  # 100 s to 105 s
    talk.lateness.emitted(SpeechStarted("a", 2.0))
    talk.lateness.emitted(ItemDelta("a", "x", (), logprobs=False))
    talk.lateness.emitted(ItemDelta("a", "y", (), logprobs=False))
    talk.lateness.emitted(BufferCommitted("a", 4.0))
    talk.now = 106.0
    talk.lateness.emitted(ItemCompleted("a", DONE, "m", logprobs=False))

    assert talk.value("gateway_first_delta_seconds_count", source="live") == 1
    assert talk.value("gateway_first_delta_seconds_sum", source="live") == pytest.approx(3.0)
    assert talk.value("gateway_speech_end_to_final_seconds_count") == 1
    assert talk.value("gateway_speech_end_to_final_seconds_sum") == pytest.approx(2.0)


def test_who_is_faster_than_speech_is_not_measured() -> None:
    """His audio was there long before anybody could have said it."""
    talk = Talk()
    talk.send(5.0, is_ahead=True)
    talk.lateness.emitted(SpeechStarted("a", 2.0))
    talk.lateness.emitted(BufferCommitted("a", 4.0))
    talk.lateness.emitted(ItemDelta("a", "x", (), logprobs=False))
    talk.lateness.emitted(ItemCompleted("a", DONE, "m", logprobs=False))

    assert talk.value("gateway_first_delta_seconds_count", source="live") == 0
    assert talk.value("gateway_speech_end_to_final_seconds_count") == 0


def test_failures_and_mistakes_are_refusals() -> None:
    """Each by its reason; nothing is kept of an item that failed."""
    talk = Talk()
    talk.send(5.0)
    talk.lateness.emitted(SpeechStarted("a", 2.0))
    talk.lateness.emitted(BufferCommitted("a", 4.0))
    talk.lateness.emitted(ItemFailed("a", EngineFailedError("x")))
    talk.lateness.emitted(Refused(InvalidRequestError("x", code="unknown_parameter"), None))

    assert talk.value("gateway_refusals_total", status="500", reason="engine_failed") == 1
    assert talk.value("gateway_refusals_total", status="400", reason="unknown_parameter") == 1
    assert not talk.lateness._begun
    assert not talk.lateness._ended


def test_hours_of_silence_are_forgotten() -> None:
    """What is remembered is bounded by what waits, and by a number."""
    talk = Talk()
    for _ in range(600):
        talk.send(1.0)
        talk.lateness.cut(talk.now - 100.0)

    assert len(talk.lateness._arrivals) <= (KEPT_SECONDS + 2) / GRAIN_SECONDS * 2
    talk.send(600.0)  # nothing of it is cut

    assert len(talk.lateness._arrivals) == MOST
