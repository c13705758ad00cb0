"""What is under way between clients and the server: each ends by itself, or when the server does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio


class Exchange(Protocol):
    """One request or session."""

    scope: anyio.CancelScope
    """Ends the work on it; whoever serves it says so to the client, where that can be done."""

    @property
    def is_answered(self) -> bool:
        """Part of the answer is out, so that what comes next must fit to it."""


class Exchanges:
    """All that is under way, so that the end of the server reaches those whose code looks at nothing."""

    def __init__(self) -> None:
        self._open: set[Exchange] = set()

    @contextmanager
    def place(self, exchange: Exchange) -> Iterator[None]:
        """Counts the exchange in until the context is left."""
        self._open.add(exchange)
        try:
            yield
        finally:
            self._open.discard(exchange)

    def end(self, *, unanswered: bool) -> None:
        """Ends all of them, or only those whose client has got nothing yet, and may get a whole refusal."""
        for exchange in tuple(self._open):
            if not (unanswered and exchange.is_answered):
                exchange.scope.cancel()
