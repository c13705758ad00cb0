"""Which pages and names a server without keys listens to, and CORS for those that the operator allows.

A page of any site can have a browser send requests to this machine, and by DNS rebinding read the answers
under a name of its own. Where keys are needed a page lacks one; where they are not, `Origin` and `Host` must
be right.
"""

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import PermissionDeniedError

EXPOSED = ("openai-processing-ms", "retry-after", "warning", "x-request-id")
"""Headers of ours that scripts may read."""

ANY = "*"


@dataclass(frozen=True, slots=True)
class Origins:
    """What is let in.

    Attributes:
        allowed: Origins beside the server's own (``https://captions.example``); ``*`` is any.
        hosts: Names of this server, beside addresses, names without a dot, and the machine's own.
        open: No keys are needed, so foreign origins are refused.
        local: Only this machine reaches the server, so its names are known.
    """

    allowed: Sequence[str] = ()
    hosts: Sequence[str] = ()
    open: bool = True
    local: bool = True

    def check(self, scope: Scope) -> None:
        """Returns where the request may be served.

        Raises:
            PermissionDeniedError: A page of another site sent it, or it was sent to a name that is not ours.
        """
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        # A name of somebody else's counts everywhere here, and elsewhere in browsers, which send an origin.
        if self.open and (self.local or origin is not None) and not self._is_ours(host):
            raise PermissionDeniedError(
                f"This server is not called '{host[:100]}'; its operator can add that to "
                "GATEWAY_ALLOWED_HOSTS.",
                code="host_not_allowed",
            )
        if origin is None or ANY in self.allowed or origin in self.allowed:
            return
        if (self.open or self.allowed) and urlsplit(origin).netloc.lower() != host.lower():
            raise PermissionDeniedError(
                f"Pages of '{origin[:100]}' may not use this server; its operator can add that to "
                "GATEWAY_ALLOWED_ORIGINS.",
                code="origin_not_allowed",
            )

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        with suppress(ValueError):
            ipaddress.ip_address(name)
            return True
        known = {socket.gethostname().lower(), *(each.lower() for each in self.hosts)}
        # No site of the internet has a name without a dot.
        return "." not in name or name.endswith(".localhost") or name in known or ANY in self.hosts

    def cors(self) -> list[Middleware]:
        """The layer that tells browsers which pages may read answers, where there are any."""
        if not self.allowed:
            return []
        return [
            Middleware(
                CORSMiddleware,
                allow_origins=self.allowed,
                allow_methods=["GET", "POST"],
                allow_headers=[ANY],
                expose_headers=EXPOSED,
            )
        ]


class OriginMiddleware:
    """Refuses requests that pages of other sites sent; handshakes too, which no browser asks about first."""

    def __init__(self, app: ASGIApp, *, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may come in.

        Raises:
            PermissionDeniedError: It may not.
        """
        if scope["type"] in ("http", "websocket"):
            self._origins.check(scope)
        await self._app(scope, receive, send)
