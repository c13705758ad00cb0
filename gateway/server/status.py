"""What is served and how it is: `/v1/models`, `/health`, `/ready` and `/metrics`."""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from gateway.engine.catalog import Catalog
from gateway.engine.lifecycle import ManagedModel, ModelState, ModelStatus
from gateway.flow.speaker_source import SpeakerSource
from gateway.metrics import Metrics
from gateway.protocol.answers import HealthReport, ModelHealth, model_list, model_object
from gateway.protocol.events import encode


class Models:
    """`/v1/models`: every name that works.

    Args:
        started: Seconds since 1970; stands for the models' times of creation, which nobody knows.
    """

    def __init__(self, catalog: Catalog, *, started: int) -> None:
        self._catalog = catalog
        self._started = started

    async def one(self, request: Request) -> Response:
        """One model by any of its names.

        Raises:
            ModelNotFoundError: There is none of that name.
        """
        name = request.path_params["model"]
        own = self._catalog.find(name).name == name
        return Response(
            encode(model_object(name, own=own, created=self._started)), media_type="application/json"
        )

    async def list(self, _: Request) -> Response:
        """All names, the models' own first."""
        own = {entry.name for entry in self._catalog.entries}
        body = model_list(self._catalog.names, own=own, created=self._started)
        return Response(encode(body), media_type="application/json")


class Health:
    """`/health`, `/ready` and `/metrics`: is the process alive, can it serve, what has it done.

    Args:
        speakers: Gets what tells speakers apart.
        vad: Names the Silero file in use: two are about, and they differ audibly.
    """

    def __init__(
        self,
        models: Sequence[ManagedModel],
        speakers: SpeakerSource,
        *,
        vad: str,
        version: str,
        metrics: Metrics,
    ) -> None:
        self._models = models
        self._speakers = speakers
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

    def _status(self) -> Literal["ok", "starting", "unavailable"]:
        if self._is_ready():
            return "ok"
        has_failed = any(model.status.state is ModelState.FAILED for model in self._models)
        return "unavailable" if has_failed else "starting"

    def _answer(self, status: int) -> Response:
        body: HealthReport = {
            "status": self._status(),
            "version": self._version,
            "vad": self._vad,
            "speakers": self._speakers.state,
            "models": {model.name: _describe(model.status) for model in self._models},
        }
        return Response(encode(body), status, media_type="application/json")


def _describe(status: ModelStatus) -> ModelHealth:
    return {
        "state": status.state.value,
        "detail": status.detail,
        "workers": [{"state": worker.state.value, "reason": worker.reason} for worker in status.workers],
    }
