"""Which path leads where, and the layers every request passes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan

from gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from gateway.metrics import Metrics
from gateway.server.health import Health
from gateway.server.middleware import AuthMiddleware, RequestMiddleware
from gateway.server.models import Models
from gateway.server.transcriptions import Transcriptions


def build_routes(
    *,
    transcriptions: Transcriptions,
    models: Models,
    health: Health,
    metrics: Metrics,
    api_keys: tuple[str, ...],
    lifespan: Lifespan[Starlette],
) -> Starlette:
    """The ASGI application."""
    return Starlette(
        routes=[
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/models", models.list),
            Route("/health", health.health),
            Route("/ready", health.ready),
            Route("/metrics", health.metrics),
        ],
        middleware=[
            Middleware(RequestMiddleware, metrics=metrics),
            Middleware(AuthMiddleware, api_keys=api_keys),
        ],
        exception_handlers={HTTPException: _raise_ours},
        lifespan=lifespan,
    )


async def _raise_ours(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, as ours, so that every error leaves in the one envelope."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        raise NotFoundError(f"Unknown request URL: {request.method} {request.url.path}.") from error
    if status == 405:
        raise MethodNotAllowedError(f"Not allowed: {request.method} {request.url.path}.") from error
    raise GatewayError("Internal error.") from error
