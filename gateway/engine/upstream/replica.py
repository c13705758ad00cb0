"""An upstream as a replica: rows go over HTTP, and who cannot be reached counts as lost."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus

import anyio
from anyio.abc import TaskGroup

from gateway.engine.api import Capabilities, DecodeRequest, RowFailed
from gateway.engine.upstream.answer import hypothesis_of
from gateway.engine.upstream.client import Answer, Client, RefusedError
from gateway.engine.upstream.forms import fields_of, path_of
from gateway.engine.upstream.probe import Found, probe
from gateway.engine.upstream.wave import wave
from gateway.errors import WorkerLostError
from gateway.transcript import Hypothesis

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 5
"""Rows that fail one after the other, before the upstream is asked anew what it can do."""

WATCH_SECONDS = 10.0
"""How often an upstream that has nothing to do is asked whether it is there."""

STATUSES_OF_ROWS = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422}
"""They say that something is wrong with the row, not with the upstream."""


class UpstreamReplica:
    """A `Replica` behind an OpenAI-compatible endpoint.

    It is lost, like a process that died, when it cannot be reached, refuses our key or fails again and again:
    then no rows are sent, its successor asks until it answers (`start`), and what it held waits, or goes to
    another one.

    Args:
        model: The model's name there; None: the only one that it has.
    """

    def __init__(self, client: Client, url: str, model: str | None) -> None:
        self._client = client
        self._url = url
        self._model = model
        self._found: Found | None = None
        self._scope = anyio.CancelScope()
        self._exited = False
        self._failures = 0
        self._heard_at = 0.0

    @property
    def pid(self) -> None:
        """It has no process here."""
        return None

    @property
    def exited(self) -> bool:
        """No rows are sent any more."""
        return self._exited

    @property
    def retired(self) -> bool:
        """It is needed for as long as its batcher runs."""
        return False

    @property
    def load(self) -> int:
        """What others ask of it, nobody tells us."""
        return 0

    async def start(self, tasks: TaskGroup, on_exit: Callable[[], None] = lambda: None) -> Capabilities:
        """Asks what it can do; ``tasks`` then asks now and then whether it is there."""
        try:
            self._found = await probe(self._client, self._model)
        except WorkerLostError:
            self._exited = True
            raise
        able = self._found.abilities
        logger.info("upstream %s serves %s: %s", self._url, self._found.model, able)
        self._heard_at = time.monotonic()
        tasks.start_soon(self._watch, on_exit)
        return able.capabilities

    async def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Sends the rows one after the other; specs make batches of one."""
        return [await self._transcribe(request) for request in batch]

    async def stop(self) -> None:
        """Closes its connections."""
        self._exited = True
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._client.close()

    async def _transcribe(self, request: DecodeRequest) -> Hypothesis | RowFailed:
        file = wave(request.samples)
        try:
            answer = await self._ask(request, file)
            hypothesis = hypothesis_of(answer.body, request)
            candidates = request.options.languages
            if hypothesis.segments and candidates and hypothesis.language not in candidates:
                # No upstream takes several languages: the likeliest of them is asked for.
                language = request.expected if request.expected in candidates else candidates[0]
                answer = await self._ask(request, file, language)
                hypothesis = hypothesis_of(answer.body, request)
        except RefusedError as refusal:
            return self._failed(refusal)
        except ValueError as error:
            return self._failed(RefusedError(str(error), HTTPStatus.OK))
        except WorkerLostError:
            self._exited = True
            raise
        self._failures = 0
        self._heard_at = time.monotonic()
        seconds = {"upstream": answer.seconds, "retry": answer.lost}
        return Hypothesis(
            hypothesis.segments, hypothesis.language, hypothesis.language_probability, seconds=seconds
        )

    async def _ask(self, request: DecodeRequest, file: bytes, language: str | None = None) -> Answer:
        if self._found is None:
            raise WorkerLostError("not started")
        fields = fields_of(request, self._found.model, self._found.abilities, language)
        return await self._client.post(path_of(request.options), fields, file)

    def _failed(self, refusal: RefusedError) -> RowFailed:
        """What becomes of the row.

        Raises:
            WorkerLostError: It is the upstream's fault, and will be that of the next row, too.
        """
        if refusal.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            self._exited = True
            logger.error("upstream %s: %s", self._url, refusal)
            raise WorkerLostError(f"upstream answers HTTP {refusal.status}")
        if refusal.status not in STATUSES_OF_ROWS:
            self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            self._exited = True
            logger.error("upstream %s failed %d times in a row: %s", self._url, self._failures, refusal)
            raise WorkerLostError("upstream fails again and again")
        return RowFailed(f"upstream {self._url}: {refusal}", refusal.error)

    async def _watch(self, on_exit: Callable[[], None]) -> None:
        """Finds out that it is gone while nobody wants anything of it."""
        with self._scope:
            while True:
                await anyio.sleep(WATCH_SECONDS)
                if time.monotonic() - self._heard_at < WATCH_SECONDS:
                    continue
                for last in (False, True):
                    with suppress(WorkerLostError):
                        await self._client.get("models")
                        break
                    if last:
                        self._exited = True
                        on_exit()
                        return
