"""A client has its share and no more: requests and audio by the minute, recordings and sessions at a time."""

import pytest

from gateway.errors import OverloadedError
from gateway.keys import ClientLimits
from gateway.server.clients import MAX_KNOWN, Clients, address_of, client_of


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def test_requests_by_the_minute() -> None:
    """A minute's worth at once, then as they come back; the refusal says when."""
    clock = Seconds()
    client = Clients(clock).get("ann", ClientLimits(requests_per_minute=3))
    for _ in range(3):
        client.admit()
    with pytest.raises(OverloadedError) as caught:
        client.admit()
    clock.now += 19.9
    with pytest.raises(OverloadedError):
        client.admit()
    clock.now += 0.1
    client.admit()

    assert caught.value.retry_after == 20


def test_audio_by_the_minute() -> None:
    """One recording may be longer than a minute's worth; it is paid off before the next one."""
    clock = Seconds()
    client = Clients(clock).get("ann", ClientLimits(audio_minutes=2))
    with client.stream():
        client.hear(240)
    with pytest.raises(OverloadedError, match="2 minutes of audio") as caught, client.session():
        pass
    clock.now += 60.5
    with client.session():
        client.check_audio()

    assert caught.value.retry_after == 61


@pytest.mark.parametrize("kind", ["stream", "session"])
def test_places(kind: str) -> None:
    """As many as there are, free again when they are left; another client has its own."""
    limits = ClientLimits(streams=1, sessions=1)
    clients = Clients()
    ann, ben = clients.get("ann", limits), clients.get("ben", limits)
    with getattr(ann, kind)(), getattr(ben, kind)(), pytest.raises(OverloadedError), getattr(ann, kind)():
        pass
    with getattr(ann, kind)():
        pass

    assert ann.is_idle


def test_without_limits_everything_goes() -> None:
    """Zero is none."""
    client = client_of({})
    for _ in range(1000):
        client.admit()
        client.hear(1000)
    with client.stream(), client.stream(), client.session():
        client.check_audio()


def test_who_is_known_is_bounded() -> None:
    """The longest unseen is forgotten, unless it has something open; changed limits hold at once."""
    clients = Clients()
    busy = clients.get("busy", ClientLimits())
    with busy.stream():
        for number in range(MAX_KNOWN + 5):
            clients.get(str(number), ClientLimits())

        assert clients.get("busy", ClientLimits()) is busy
        assert len(clients._known) == MAX_KNOWN
    assert clients.get("busy", ClientLimits(streams=1)) is not busy


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("evil level=ERROR\x1b[31m", 1), "unknown"),
        (("A" * 30_000, 1), "unknown"),
        (("1.2.3.4", 5), "1.2.3.4"),
        (("2001:db8:1:2:3::4", 5), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (None, ""),
        (("what:ever", 1), "unknown"),
    ],
)
def test_addresses(client: tuple[str, int] | None, name: str) -> None:
    """Whoever has an IPv6 address has 2^64 of them."""
    assert address_of({"client": client}) == name
