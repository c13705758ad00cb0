"""Engines alone."""

from collections.abc import Sequence

import numpy as np
import pytest

from bench.engines import Cost, Decoder, measure
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, RowFailed
from gateway.transcript import Hypothesis

OPTIONS = DecodeOptions(language="en")
CHUNK = Chunk(100, np.zeros(SAMPLE_RATE, np.float32), ends_utterance=False)


class Counting:
    """Hears nothing, and keeps what it was asked."""

    name = "counting"
    capabilities = Capabilities(frozenset({"en"}))

    def __init__(self, answer: Hypothesis | RowFailed | None = None) -> None:
        self.requests: list[DecodeRequest] = []
        self._answer = answer or Hypothesis((), "en", 1.0)

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """As `Engine`."""
        self.requests += batch
        return [self._answer for _ in batch]


def test_the_same_is_decoded_once() -> None:
    """What differs in its options or in its haste is not the same."""
    engine = Counting()
    decoder = Decoder(engine)
    for _ in range(2):
        decoder.decode(CHUNK, OPTIONS)
        decoder.decode(CHUNK, OPTIONS, hurried=True)
        decoder.decode(CHUNK, DecodeOptions(language="en", beam_size=1))

    assert [request.hurried for request in engine.requests] == [False, True, False]
    assert [request.retry for request in engine.requests] == [True, False, True]


def test_a_failed_row_is_told() -> None:
    """No figure comes of it."""
    decoder = Decoder(Counting(RowFailed("out of words")))

    with pytest.raises(RuntimeError, match="out of words"):
        decoder.decode(CHUNK, OPTIONS)


def test_costs_lie_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the short and the long speech that were timed, each the median."""
    engine, times = Counting(), iter(range(1000))

    def process_time() -> float:
        """Between two calls, half a second for a second of speech, and a tenth beside; once much more."""
        if next(times) % 2 == 0:
            return 0.0
        outlier = 9.0 if len(engine.requests) == 1 else 0.0
        return 0.1 + 0.5 * len(engine.requests[-1].samples) / SAMPLE_RATE + outlier

    monkeypatch.setattr("time.process_time", process_time)
    cost = measure(engine, np.zeros(20 * SAMPLE_RATE, np.float32), OPTIONS)

    assert cost == Cost(0.1, 0.5)
    assert cost.of(2 * SAMPLE_RATE) == pytest.approx(1.1)
