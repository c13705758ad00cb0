"""A gateway whose engine takes a given time and no processor: what `bench.simulation` is held against.

As a command it serves like ``gateway serve``: decoding, voice detection, queue, workers, HTTP are real.
"""

import argparse
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib import import_module

from bench.costs import Cost
from gateway.app import Gateway
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Device, RowFailed
from gateway.engine.lifecycle import ModelPlan
from gateway.engine.process import ProcessSpec
from gateway.serving import Server
from gateway.settings import Settings
from gateway.transcript import Hypothesis, Segment, Token

NAME = "paced"


@dataclass(frozen=True, slots=True)
class PacedSpec(ProcessSpec):
    """An engine that sleeps for what its calls would cost."""

    cost: Cost
    max_batch: int = 16
    name: str = NAME
    memory_bytes: int = 50_000_000

    @property
    def device(self) -> Device:
        """Whose curve the calls follow."""
        return self.cost.device

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """As Whisper's."""
        return options.beam_size

    def load(self) -> "PacedEngine":
        """At once."""
        return PacedEngine(self.cost)


class PacedEngine:
    """See `PacedSpec`."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    @property
    def capabilities(self) -> Capabilities:
        """Of one that hears English alone."""
        return Capabilities(languages=frozenset({"en"}))

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Says the same of each row, after its time."""
        alone = [self._cost.row(len(row.samples) / SAMPLE_RATE, is_partial=row.hurried) for row in batch]
        time.sleep(self._cost.call(alone))
        return [_said(len(row.samples) / SAMPLE_RATE) for row in batch]


def _said(seconds: float) -> Hypothesis:
    token = Token(0, " word", b" word", -0.1)
    segment = Segment(0.0, seconds, " word", (token,), (), -0.1, 1.0, 0.0, 0.0)
    return Hypothesis((segment,), "en", 1.0)


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-level", default="warning")
    parser.add_argument("--fixed", type=float, required=True)
    parser.add_argument("--per-second", type=float, required=True)
    parser.add_argument("--workers", type=int, required=True)
    given = parser.parse_args()
    settings = Settings(port=given.port, log_level=given.log_level, workers=given.workers, max_streams=1024)
    spec = PacedSpec(Cost(given.fixed, given.per_second))
    Server(Gateway(settings, [ModelPlan(NAME, lambda: spec)]), settings).run()


if __name__ == "__main__":
    # Under its own name, by which workers find the spec that they unpickle.
    import_module("bench.paced").main()
