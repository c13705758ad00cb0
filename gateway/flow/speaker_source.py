"""The networks that tell speakers apart: fetched and loaded when somebody first asks for speakers."""

import logging
import math
from collections.abc import Callable
from typing import Literal

import anyio

from gateway.aio import Changed, run_abandonable
from gateway.audio.speaker_model import SpeakerModel
from gateway.errors import ModelUnavailableError, UnavailableError, UnsupportedValueError

logger = logging.getLogger(__name__)

FAILED_SECONDS = 30.0
"""How long it is left at that, where they could not be had: each try asks the network."""


class SpeakerSource:
    """`run` gets the networks, `get` waits for them.

    Args:
        load: Finds or fetches, and loads them, in a thread that nobody waits for at the end.
        wait: Seconds a request waits before it is told to come back.
    """

    def __init__(self, load: Callable[[], SpeakerModel], *, wait: float) -> None:
        self._load = load
        self._wait = wait
        self._model: SpeakerModel | None = None
        self._is_wanted = False
        self._failed_at = -math.inf
        self._changed = Changed()

    @property
    def state(self) -> Literal["unused", "fetching", "ready", "failed"]:
        """How far they are."""
        if self._model is not None:
            return "ready"
        if self._is_wanted:
            return "fetching"
        return "unused" if self._failed_at == -math.inf else "failed"

    async def get(self, *, param: str = "response_format") -> SpeakerModel:
        """The networks, loaded.

        Raises:
            UnsupportedValueError: They cannot be had; names ``param``.
            UnavailableError: They are still on their way.
        """
        if anyio.current_time() >= self._failed_at + FAILED_SECONDS:
            self._is_wanted = True
            self._changed.notify()
        with anyio.move_on_after(self._wait):
            await self._changed.until(lambda: self._model is not None or not self._is_wanted)
        if self._model is not None:
            return self._model
        if self._is_wanted:
            raise UnavailableError(
                "What tells speakers apart is still being fetched; `/health` says when it is there.",
                retry_after=5,
            )
        raise UnsupportedValueError(
            "Speakers cannot be told apart here, as what does it could not be had. Whoever runs the server "
            "gets it: `pip install 'transcription-gateway[speakers]'` and `gateway models pull speakers`.",
            param=param,
        )

    async def run(self) -> None:
        """Gets them once they are wanted; returns when they are there."""
        while self._model is None:
            await self._changed.until(lambda: self._is_wanted)
            try:
                self._model = await run_abandonable(self._load)
            except ModelUnavailableError as error:
                logger.warning("speakers cannot be told apart: %s", error)
                self._failed_at = anyio.current_time()
            except Exception:
                logger.exception("what tells speakers apart could not be loaded")
                self._failed_at = anyio.current_time()
            self._is_wanted = False
            self._changed.notify()
