"""What an engine takes, as numbers: what is simulated, and what `bench.paced` sleeps for."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.engine.api import Device
from gateway.engine.sizes import row_costs


@dataclass(frozen=True, slots=True)
class Cost:
    """What an engine takes.

    Attributes:
        fixed: Seconds of a row alone, whatever its length.
        per_second: More of them for each second of its audio.
        hurried: Share of that which a partial takes.
        rates: How fast each of so many calls at a time goes on one replica, the first alone: with
            ``(1, 0.72)`` two calls take 1.4 times as long as one.
    """

    fixed: float
    per_second: float
    device: Device = "cuda"
    hurried: float = 0.6
    rates: tuple[float, ...] = (1.0,)

    def row(self, seconds: float, *, is_partial: bool = False) -> float:
        """Seconds of a row alone."""
        return (self.fixed + self.per_second * seconds) * (self.hurried if is_partial else 1.0)

    def call(self, rows: Sequence[float]) -> float:
        """Seconds of a call of rows that would take these alone: by the curve of the device."""
        costs = row_costs(self.device)
        return sum(rows) * costs[min(1 << (len(rows) - 1).bit_length(), max(costs))]
