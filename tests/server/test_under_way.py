"""Long messages take turns, and short ones never wait."""

import pytest

from gateway.metrics import Metrics
from gateway.server.under_way import SHORT, STEP, UnderWay

MEGABYTE = 1024 * 1024
LONG = 3 * MEGABYTE


class Connection:
    """Reads of its message what it may."""

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way
        self.held = 0
        self.waits = False

    def read(self, size: int = STEP) -> None:
        """Reads once."""
        assert not self.waits
        self.held += size
        self._under_way.hold(self, self.held)

    def done(self) -> None:
        """The message is worked on."""
        self.held = 0
        self._under_way.hold(self, 0)

    def wait(self) -> None:
        """Reads no more for now."""
        assert not self.waits
        self.waits = True

    def go_on(self) -> None:
        """Reads again."""
        assert self.waits
        self.waits = False


def told(metrics: Metrics) -> float:
    """What the gauge says."""
    return metrics.registry.get_sample_value("gateway_websocket_bytes") or 0.0


def test_everybody_gets_done_within_the_limit() -> None:
    """However many send, all messages become whole, and no more is held than the limit and one message."""
    metrics = Metrics()
    under_way = UnderWay(metrics, limit=4 * MEGABYTE)
    connections = [Connection(under_way) for _ in range(10)]
    done, most = 0, 0.0
    while done < len(connections):
        readers = [each for each in connections if not each.waits and each.held < LONG]
        assert readers
        for each in readers:
            if not each.waits:
                each.read()
                most = max(most, told(metrics))
            if each.held >= LONG:
                each.done()
                connections.remove(each)

    assert most <= 4 * MEGABYTE + LONG + 10 * STEP
    assert told(metrics) == 0


def test_all_at_once_and_none_ready() -> None:
    """Where everybody has half a message and all room is taken, who was first still goes on."""
    under_way = UnderWay(Metrics(), limit=MEGABYTE)
    connections = [Connection(under_way) for _ in range(5)]
    for each in connections:
        each.read(MEGABYTE)

    assert [each.waits for each in connections] == [False, True, True, True, True]
    connections[0].read(MEGABYTE)
    connections[0].done()
    assert [each.waits for each in connections] == [False, False, True, True, True]
    for each in connections[1:4]:
        each.done()
    assert [each.waits for each in connections] == [False] * 5


def test_who_leaves_makes_room() -> None:
    """A connection that breaks in its message holds nothing any more, whether it waited or not."""
    under_way = UnderWay(Metrics(), limit=MEGABYTE)
    first, second, third = (Connection(under_way) for _ in range(3))
    for each in (first, second, third):
        each.read(MEGABYTE)
    second.done()
    assert not second.waits
    assert third.waits
    first.done()
    assert not third.waits


@pytest.mark.parametrize("size", [1, SHORT])
def test_short_messages_never_wait(size: int) -> None:
    """However full it is."""
    under_way = UnderWay(Metrics(), limit=1)
    long, short = Connection(under_way), Connection(under_way)
    long.read(LONG)
    short.read(size)

    assert not short.waits
