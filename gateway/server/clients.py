"""What each client may take: a key's share, or, where there are no keys, that of an address."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from starlette.types import Scope

from gateway.errors import AuthenticationError, OverloadedError
from gateway.flow.inbox import Share
from gateway.keys import ClientLimits

CLIENT = "gateway.client"
"""Where in the scope the client stands."""

KEY_NAME = "gateway.key_name"
"""Where the name of its API key does, if it came with one."""

MAX_KNOWN = 10_000
"""Clients that are remembered; the longest unseen one without anything open is forgotten first."""


UNKNOWN = "unknown"
"""A client whose address is none."""


class Allowance:
    """So much a minute, a minute's worth at once; what is taken beyond it is paid off before there is more.

    Args:
        per_minute: 0 is no limit.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left = per_minute
        self._at = clock()

    def take(self, amount: float) -> None:
        """Takes note of what was taken."""
        if self._per_minute:
            self._refill()
            self._left -= amount

    def wait(self, least: float) -> float:
        """Seconds until there is ``least``; 0 where there is."""
        if not self._per_minute:
            return 0.0
        self._refill()
        return max(0.0, (min(least, self._per_minute) - self._left) * 60 / self._per_minute)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._per_minute, self._left + (now - self._at) * self._per_minute / 60)
        self._at = now


class Client:
    """One client, over all its connections.

    Attributes:
        name: The key's, or the address.
        share: Its live audio that waits.
        is_out: Its key was taken away: what it has open takes no more audio.
    """

    def __init__(self, name: str, limits: ClientLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.limits = limits
        self._requests = Allowance(limits.requests_per_minute, clock)
        self._audio = Allowance(limits.audio_minutes * 60, clock)
        self.share = Share(limits.waiting_bytes)
        self._open = {"streams": 0, "sessions": 0}
        self.is_out = False

    @property
    def is_idle(self) -> bool:
        """It has nothing open."""
        return not any(self._open.values())

    def admit(self) -> None:
        """Counts a request.

        Raises:
            OverloadedError: There were too many within a minute.
        """
        if wait := self._requests.wait(1):
            limit = f"{self.limits.requests_per_minute:g}"
            raise OverloadedError(
                f"Rate limit reached: {limit} requests per minute.",
                retry_after=math.ceil(wait),
                reason="client_requests",
            )
        self._requests.take(1)

    def hear(self, seconds: float) -> None:
        """Counts audio."""
        self._audio.take(seconds)

    def check_audio(self) -> None:
        """Returns where there may be more audio.

        Raises:
            AuthenticationError: Its key was taken away.
            OverloadedError: There was too much.
        """
        if self.is_out:
            raise AuthenticationError("The API key of this session was taken away.")
        # With a second of it left, so that nobody comes back for a trickle.
        if wait := self._audio.wait(1):
            raise OverloadedError(
                f"Rate limit reached: {self.limits.audio_minutes:g} minutes of audio per minute.",
                retry_after=math.ceil(wait),
                reason="client_audio",
            )

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A recording's place until the context is left.

        Raises:
            OverloadedError: There is none, or there was too much audio.
        """
        with self._place("streams", self.limits.streams, "recordings being transcribed"):
            yield

    @contextmanager
    def session(self) -> Iterator[None]:
        """A live session's place until the context is left.

        Raises:
            OverloadedError: There is none, or there was too much audio.
        """
        with self._place("sessions", self.limits.sessions, "live sessions open"):
            yield

    @contextmanager
    def _place(self, kind: str, limit: int, what: str) -> Iterator[None]:
        self.check_audio()
        if limit and self._open[kind] >= limit:
            raise OverloadedError(
                f"This client has as many {what} as it may: {limit}.", reason=f"client_{kind}"
            )
        self._open[kind] += 1
        try:
            yield
        finally:
            self._open[kind] -= 1


class Clients:
    """Everybody who was here lately, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Client] = OrderedDict()

    def get(self, name: str, limits: ClientLimits) -> Client:
        """The client of that name; with other limits than before it begins anew."""
        client = self._known.get(name)
        if client is None or client.is_out or client.limits != limits:
            client = self._known[name] = Client(name, limits, self._clock)
        self._known.move_to_end(name)
        if len(self._known) > MAX_KNOWN:
            idle = next((known for known, each in self._known.items() if each.is_idle), None)
            if idle is not None and idle != name:
                del self._known[idle]
        return client

    def turn_out(self, names: Iterable[str]) -> None:
        """Ends what these have open, with its next audio; who comes under such a name again is new."""
        for name in names:
            if (client := self._known.get(name)) is not None:
                client.is_out = True


UNLIMITED = ClientLimits()


def client_of(scope: Scope) -> Client:
    """The client whose request this is; one without limits where no door was passed."""
    client = scope.get(CLIENT)
    return client if isinstance(client, Client) else Client("", UNLIMITED)


def address_of(scope: Scope) -> str:
    """What stands for a client without a key: its address; of IPv6 the 64 bits that one subscriber has.

    A proxy may pass on whatever a client says it is: what is no address is nobody's name, in limits and logs.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return UNKNOWN if host else ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:  # as proxies that listen on both write those of the older kind
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
