"""How many recordings are transcribed, or connections open, at the same time, over all endpoints."""

import math
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
    ) -> None:
        self._limit = limit
        self._refusal = refusal
        self._open = 0
        self._changed = Changed()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place until the context is left.

        Raises:
            OverloadedError: There is none.
        """
        if self._open >= self._limit:
            raise OverloadedError(self._refusal)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._changed.notify()

    async def all_left(self) -> None:
        """Returns when every place is free."""
        await self._changed.until(lambda: not self._open)
