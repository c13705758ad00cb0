"""How many rows share a call: as many as lower the cost of each, while the call stays short. Sans-I/O.

The sizes are powers of two. A size's time is the mean of its recent calls; one that was not tried is foretold
by the next smaller one and the curve of its kind of device, and tried where that is short enough. So the
sizes settle within a few calls, for each batch key, and follow a machine that becomes slower.
"""

import tomllib
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gateway.engine.api import Device

CALL_SECONDS: Mapping[Device, float] = {"cpu": 1.0, "cuda": 0.25}
"""A call of several rows may take about so long: a clip or a live final that comes meanwhile waits for it."""

LEAST_GAIN = 0.05
"""A batch of twice the size must save this share of a row's cost, or its rows only wait for each other."""

PATIENCE = 1.5
"""A batch may take so many times what one row takes, where one alone takes longer than a call should."""

MEMORY = 0.2
"""Weight of the newest call in the mean."""

FORGOTTEN_AFTER = 500
"""A size that so many calls did without is tried again."""


@cache
def row_costs(device: Device) -> Mapping[int, float]:
    """What a row costs in batches of so many rows, alone being 1; kept in ``curves.toml``."""
    curves = tomllib.loads(Path(__file__).with_name("curves.toml").read_text("utf-8"))
    return {int(rows): cost for rows, cost in curves[device]["row_cost"].items()}


@dataclass(slots=True)
class _Seen:
    """A size's recent calls."""

    seconds: float
    at: int


@dataclass(slots=True)
class _Key:
    """What is known of rows of one batch key."""

    calls: int = 0
    sizes: dict[int, _Seen] = field(default_factory=dict)


class BatchSizes:
    """The largest batch for each batch key.

    Args:
        most: No batch is larger.
        device: Where the calls run.
    """

    def __init__(self, most: int, device: Device) -> None:
        self._most = most
        self._limit = CALL_SECONDS[device]
        self._costs = row_costs(device)
        self._keys: defaultdict[Hashable, _Key] = defaultdict(_Key)

    def limit(self, key: Hashable) -> int:
        """The most rows of the next batch."""
        known = self._keys.get(key)
        if known is None or 1 not in known.sizes:
            return 1
        alone = known.sizes[1].seconds
        size, seconds = 1, alone
        while 2 * size <= self._most:
            larger = self._seconds(known, 2 * size, seconds)
            saves = 2 * size not in known.sizes or larger <= 2 * (1 - LEAST_GAIN) * seconds
            if not saves or larger > max(self._limit, PATIENCE * alone):
                return size
            size, seconds = 2 * size, larger
        return self._most

    def observe(self, key: Hashable, rows: int, seconds: float) -> None:
        """Takes a call into account."""
        known = self._keys[key]
        known.calls += 1
        size = 1 << (rows - 1).bit_length()
        scaled = seconds * size / rows  # a batch of 3 tells of one of 4
        seen = known.sizes.get(size)
        mean = scaled if seen is None else seen.seconds + MEMORY * (scaled - seen.seconds)
        known.sizes[size] = _Seen(mean, known.calls)
        for other, one in list(known.sizes.items()):
            if other > 1 and known.calls - one.at > FORGOTTEN_AFTER:
                del known.sizes[other]

    def _seconds(self, known: _Key, size: int, half: float) -> float:
        """Of a call of ``size`` rows, where one of half as many takes ``half`` seconds."""
        if size in known.sizes:
            return known.sizes[size].seconds
        return 2 * half * self._cost(size) / self._cost(size // 2)

    def _cost(self, size: int) -> float:
        return self._costs[min(size, max(self._costs))]
