"""How many recordings are transcribed, or connections open, at the same time, over all endpoints."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.aio import Changed
from gateway.errors import OverloadedError


class Admission:
    """Counts what is open and refuses what is too much."""

    def __init__(
        self,
        limit: float = math.inf,
        refusal: str = "Too many recordings are being transcribed. Please try again soon.",
        *,
        reason: str = "streams_full",
    ) -> None:
        self._limit = limit
        self._refusal = refusal
        self._reason = reason
        self._open = 0
        self._changed = Changed()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place until the context is left.

        Raises:
            OverloadedError: There is none.
        """
        if self._open >= self._limit:
            raise OverloadedError(self._refusal, reason=self._reason)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._changed.notify()

    async def all_left(self) -> None:
        """Returns when every place is free."""
        await self._changed.until(lambda: not self._open)


class KeyAdmission:
    """Counts what is open under each ephemeral key: whoever has a page's key can open no more than a few."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = Counter[str]()

    @contextmanager
    def place(self, key: str | None, own: int | None = None) -> Iterator[None]:
        """Takes one of the key's places until the context is left; without a key there is no limit.

        Args:
            own: A lower limit that the key has itself.

        Raises:
            OverloadedError: There is none.
        """
        if key is None:
            yield
            return
        limit = self._limit if own is None else min(self._limit, own)
        if self._open[key] >= limit:
            raise OverloadedError(
                f"This ephemeral key may have {limit} sessions open, and this one has.",
                reason="ephemeral_key_sessions",
            )
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
