"""`/health`, `/ready` and `/metrics`: is the process alive, can it serve, what has it done."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from gateway.engine.lifecycle import ManagedModel, ModelState, ModelStatus
from gateway.metrics import Metrics
from gateway.protocol.events import encode


class Health:
    """The endpoints.

    Args:
        vad: Names the Silero file in use: two are about, and they differ audibly.
    """

    def __init__(self, models: Sequence[ManagedModel], *, vad: str, version: str, metrics: Metrics) -> None:
        self._models = models
        self._vad = vad
        self._version = version
        self._metrics = metrics

    async def health(self, _: Request) -> Response:
        """200 while the process lives; the body says how its parts are."""
        return self._answer(200)

    async def ready(self, _: Request) -> Response:
        """200 once every pinned model has a worker that can serve, else 503."""
        return self._answer(200 if self._is_ready() else 503)

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def _is_ready(self) -> bool:
        pinned = [model for model in self._models if model.is_pinned]
        return all(model.ready for model in pinned or self._models)

    def _status(self) -> str:
        if self._is_ready():
            return "ok"
        has_failed = any(model.status.state is ModelState.FAILED for model in self._models)
        return "unavailable" if has_failed else "starting"

    def _answer(self, status: int) -> Response:
        body = {
            "status": self._status(),
            "version": self._version,
            "vad": self._vad,
            "models": {model.name: _describe(model.status) for model in self._models},
        }
        return Response(encode(body), status, media_type="application/json")


def _describe(status: ModelStatus) -> dict[str, Any]:
    return {
        "state": status.state.value,
        "detail": status.detail,
        "workers": [{"state": worker.state.value, "reason": worker.reason} for worker in status.workers],
    }
