"""The addresses that clients build from a base URL, whatever they were told it is, as the server's own."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

DEPLOYMENT = "gateway.deployment"
"""Where in the scope the model stands that an address of Azure's names."""

_BELOW_VERSION = re.compile(r"/(?:audio|models|realtime)(?:/.*)?")
"""What a client asks for whose base URL lacks ``/v1``."""

_AZURE = re.compile(r"/openai(?:/deployments/(?P<deployment>[^/]+))?(?P<path>/(?:audio|realtime)(?:/.*)?)")
"""Azure's addresses before its own ``/openai/v1``; their ``api-version`` means nothing here."""


def canonical(path: str) -> tuple[str, str | None]:
    """``path`` as the server has it, and the deployment that it names.

    Slashes are single, none is at the end, and what belongs below ``/v1`` is there. A redirect would do as
    well for a GET; a form would be sent twice, and many clients send none of it again.
    """
    path = re.sub("/{2,}", "/", path).rstrip("/") or "/"
    deployment = None
    if azure := _AZURE.fullmatch(path):
        path, deployment = azure["path"], azure["deployment"]
    return (f"/v1{path}" if _BELOW_VERSION.fullmatch(path) else path), deployment


class AddressMiddleware:
    """Leads every request to its canonical address; keys are asked for there, as ever."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or WebSocket."""
        if scope["type"] in {"http", "websocket"}:
            scope["path"], scope[DEPLOYMENT] = canonical(scope["path"])
        await self._app(scope, receive, send)
