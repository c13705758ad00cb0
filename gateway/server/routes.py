"""Which path leads where, and the layers every request passes."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Lifespan

from gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from gateway.metrics import Metrics
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.server.client_secrets import ClientSecrets
from gateway.server.docs import Docs
from gateway.server.health import Health
from gateway.server.middleware import AuthMiddleware, RequestMiddleware
from gateway.server.models import Models
from gateway.server.realtime import Realtime
from gateway.server.transcriptions import Transcriptions
from gateway.server.transcriptions_ws import TranscriptionsWs
from gateway.server.websocket import Sessions, WebSocketMiddleware


def build_routes(  # noqa: PLR0913 - each endpoint once
    *,
    transcriptions: Transcriptions,
    translations: Transcriptions,
    transcriptions_ws: TranscriptionsWs,
    realtime: Realtime,
    client_secrets: ClientSecrets,
    signer: SecretSigner,
    models: Models,
    health: Health,
    docs: Docs,
    sessions: Sessions,
    metrics: Metrics,
    api_keys: tuple[str, ...],
    lifespan: Lifespan[Starlette],
) -> Starlette:
    """The ASGI application."""
    api = [
        route
        # Some providers put a project before the version; it means nothing here. A Mount would take "v1"
        # itself for a project, and answer 404 where a path has the wrong method.
        for version in ("/v1", "/{project_id}/v1")
        for route in (
            Route(f"{version}/audio/transcriptions", transcriptions, methods=["POST"]),
            Route(f"{version}/audio/translations", translations, methods=["POST"]),
            WebSocketRoute(f"{version}/audio/transcriptions", transcriptions_ws),
            WebSocketRoute(f"{version}/realtime", realtime),
            Route(f"{version}/realtime/client_secrets", client_secrets.create, methods=["POST"]),
            Route(
                f"{version}/realtime/transcription_sessions", client_secrets.create_session, methods=["POST"]
            ),
            Route(f"{version}/models", models.list),
            Route(f"{version}/models/{{model:path}}", models.one),
        )
    ]
    app = Starlette(
        routes=[
            Route("/health", health.health),
            Route("/ready", health.ready),
            Route("/metrics", health.metrics),
            Route("/openapi.json", docs.openapi),
            Route("/docs", docs.page),
            Route("/live", docs.live),
            Route("/docs/{asset}", docs.asset),
            *api,
        ],
        middleware=[
            Middleware(RequestMiddleware, metrics=metrics),
            Middleware(WebSocketMiddleware, sessions=sessions, metrics=metrics),
            Middleware(AuthMiddleware, api_keys=api_keys, signer=signer),
        ],
        exception_handlers={HTTPException: _raise_ours},
        lifespan=lifespan,
    )
    # A slash too many is answered in our envelope, not by a redirect that has a recording sent twice.
    app.router.redirect_slashes = False
    return app


async def _raise_ours(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, as ours, so that every error leaves in the one envelope."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    if status == 404:
        raise NotFoundError(f"Unknown request URL: {request.method} {request.url.path}.") from error
    if status == 405:
        allow = (headers or {}).get("Allow")
        raise MethodNotAllowedError(f"Not allowed: {request.method} {request.url.path}.", allow) from error
    raise GatewayError("Internal error.") from error
