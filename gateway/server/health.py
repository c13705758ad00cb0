"""`/health`, `/ready` and `/metrics`: is the process alive, can it serve, what has it done."""

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from gateway.engine.supervisor import WorkerStatus
from gateway.metrics import Metrics
from gateway.protocol.events import encode


class Watched(Protocol):
    """A recognizer whose workers can be asked how they are."""

    @property
    def name(self) -> str:
        """The served model."""

    @property
    def ready(self) -> bool:
        """A worker can serve."""

    @property
    def state(self) -> Sequence[WorkerStatus]:
        """How each worker is."""


class Health:
    """The endpoints.

    Args:
        vad: Names the Silero file in use: two are about, and they differ audibly.
    """

    def __init__(self, recognizers: Sequence[Watched], *, vad: str, version: str, metrics: Metrics) -> None:
        self._recognizers = recognizers
        self._vad = vad
        self._version = version
        self._metrics = metrics

    async def health(self, _: Request) -> Response:
        """200 while the process lives; the body says how its parts are."""
        return self._answer(200)

    async def ready(self, _: Request) -> Response:
        """200 once every served model has a worker that can serve, else 503."""
        return self._answer(200 if self._is_ready() else 503)

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def _is_ready(self) -> bool:
        return all(recognizer.ready for recognizer in self._recognizers)

    def _answer(self, status: int) -> Response:
        body = {
            "status": "ok" if self._is_ready() else "starting",
            "version": self._version,
            "vad": self._vad,
            "models": {
                recognizer.name: [
                    {"state": worker.state.value, "reason": worker.reason} for worker in recognizer.state
                ]
                for recognizer in self._recognizers
            },
        }
        return Response(encode(body), status, media_type="application/json")
