"""Which path leads where, what each route asks of its clients, and the layers every request passes."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from gateway.errors import GatewayError, MethodNotAllowedError, NotFoundError
from gateway.metrics import Metrics
from gateway.server.addresses import AddressMiddleware
from gateway.server.admission import Admission
from gateway.server.auth import Keys
from gateway.server.captions import Captions
from gateway.server.client_secrets import ClientSecrets
from gateway.server.docs import Docs
from gateway.server.exchanges import Exchanges
from gateway.server.middleware import RequestMiddleware
from gateway.server.origins import OriginMiddleware, Origins
from gateway.server.realtime import Realtime
from gateway.server.status import Health, Models
from gateway.server.transcriptions import Transcriptions
from gateway.server.transcriptions_ws import TranscriptionsWs
from gateway.server.websocket import WebSocketMiddleware, envelope_frame, event_frame
from gateway.tracing import Tracer

Check = Callable[[Scope], None]


class _Keyed(BaseRoute):
    _check: Check

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves who has a key.

        Raises:
            AuthenticationError: The request or the handshake has none.
        """
        if scope.get("method") != "OPTIONS":
            self._check(scope)
        await super().handle(scope, receive, send)


class KeyRoute(_Keyed, Route):
    """An endpoint that needs a key, whatever the method; only a browser's OPTIONS has none to give."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        check: Check,
        methods: Collection[str] | None = None,
        include_in_schema: bool = True,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, include_in_schema=include_in_schema)
        self._check = check


class KeyWebSocketRoute(_Keyed, WebSocketRoute):
    """An endpoint that needs a key; ``error_frame`` is how it tells errors, None where a bare close does."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        check: Check,
        error_frame: Callable[[GatewayError], str | None],
    ) -> None:
        super().__init__(path, endpoint)
        self._check = check
        self.error_frame = error_frame


class _Unknown:
    """What no route leads to; below the version nobody learns without a key what there is."""

    def __init__(self, default: ASGIApp, check: Check) -> None:
        self._default = default
        self._check = check
        self._below = [Mount(path, default) for path in ("/v1", "/{project_id:path}/v1")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_below = any(mount.matches(scope)[0] is Match.FULL for mount in self._below)
        if is_below and scope.get("method") != "OPTIONS":
            self._check(scope)
        await self._default(scope, receive, send)


def build_routes(  # noqa: PLR0913 - each endpoint once
    *,
    transcriptions: Transcriptions,
    translations: Transcriptions,
    dialects: Mapping[str, Transcriptions],
    transcriptions_ws: TranscriptionsWs,
    realtime: Realtime,
    client_secrets: ClientSecrets,
    models: Models,
    health: Health,
    captions: Captions,
    docs: Docs,
    keys: Keys,
    origins: Origins,
    sessions: Admission,
    exchanges: Exchanges,
    metrics: Metrics,
    tracer: Tracer,
    lifespan: Lifespan[Starlette],
) -> Starlette:
    """The ASGI application."""
    route = partial(KeyRoute, check=keys.check)
    post = partial(route, methods=["POST"])
    api = [
        each
        # Some providers put a project before the version; it means nothing here. A Mount would take "v1"
        # itself for a project, and answer 404 where a path has the wrong method.
        for version in ("/v1", "/{project_id}/v1")
        for each in (
            post(f"{version}/audio/transcriptions", transcriptions),
            post(f"{version}/audio/translations", translations),
            KeyWebSocketRoute(
                f"{version}/audio/transcriptions",
                transcriptions_ws,
                check=keys.check,
                error_frame=envelope_frame,
            ),
            KeyWebSocketRoute(
                f"{version}/realtime", realtime, check=keys.check_session, error_frame=event_frame
            ),
            post(f"{version}/realtime/client_secrets", client_secrets.create),
            post(f"{version}/realtime/transcription_sessions", client_secrets.create_session),
            route(f"{version}/models", models.list),
            route(f"{version}/models/{{model:path}}", models.one),
        )
    ]
    app = Starlette(
        routes=[
            Route("/health", health.health),
            Route("/ready", health.ready),
            Route("/metrics", health.metrics),
            Route("/openapi.json", docs.openapi),
            Route("/", docs.home),
            Route("/docs", docs.reference),
            Route("/live", docs.live),
            Route("/captions/{token}", captions.read),
            Route("/docs/{asset}", docs.asset),
            *api,
            # Whoever speaks a dialect has its document already.
            *(post(path, endpoint, include_in_schema=False) for path, endpoint in dialects.items()),
        ],
        middleware=[
            *origins.cors(),
            Middleware(AddressMiddleware),
            Middleware(RequestMiddleware, exchanges=exchanges, metrics=metrics, tracer=tracer),
            Middleware(
                WebSocketMiddleware, sessions=sessions, exchanges=exchanges, metrics=metrics, tracer=tracer
            ),
            Middleware(OriginMiddleware, origins=origins),
        ],
        exception_handlers={HTTPException: _raise_ours},
        lifespan=lifespan,
    )
    # Addresses are canonical here; a redirect would have a recording sent twice.
    app.router.redirect_slashes = False
    app.router.default = _Unknown(app.router.default, keys.check)
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
