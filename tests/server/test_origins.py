"""Without keys no page of another site drives the server, under no name; allowed origins get CORS."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import PermissionDeniedError
from gateway.metrics import Metrics
from gateway.server.exchanges import Exchanges
from gateway.server.middleware import RequestMiddleware
from gateway.server.origins import OriginMiddleware, Origins
from gateway.tracing import NoTracer


def scope_of(host: str, origin: str | None) -> dict[str, Any]:
    """A request to this name, from a page or from none."""
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return {"type": "http", "headers": headers}


OPEN = Origins()
NETWORK = Origins(local=False)
KEYED = Origins(open=False)
LISTED = Origins(("https://a.example",), open=False)


@pytest.mark.parametrize(
    ("origins", "host", "origin"),
    [
        (OPEN, "127.0.0.1:8000", None),
        (OPEN, "localhost:8000", "http://localhost:8000"),
        (OPEN, "[::1]:8000", "http://[::1]:8000"),
        (OPEN, "gateway:8000", None),
        (OPEN, "app.localhost:8000", "http://app.localhost:8000"),
        (NETWORK, "gateway.lan:8000", None),
        (NETWORK, "192.168.1.2:8000", "http://192.168.1.2:8000"),
        (KEYED, "anything.example", "https://other.example"),
        (LISTED, "captions.example", "https://a.example"),
        (LISTED, "captions.example", "https://captions.example"),
        (Origins(("*",)), "localhost", "https://whatever.example"),
        (Origins(hosts=("box.example",)), "box.example:8000", "http://box.example:8000"),
        (Origins(hosts=("*",)), "box.example:8000", "http://box.example:8000"),
    ],
)
def test_let_in(origins: Origins, host: str, origin: str | None) -> None:
    """Programs, the server's own pages, and what the operator allows."""
    origins.check(scope_of(host, origin))


@pytest.mark.parametrize(
    ("origins", "host", "origin", "code"),
    [
        (OPEN, "127.0.0.1:8000", "https://evil.example", "origin_not_allowed"),
        (OPEN, "127.0.0.1:8000", "null", "origin_not_allowed"),
        (OPEN, "localhost:8000", "http://localhost:3000", "origin_not_allowed"),
        (OPEN, "evil.example:8000", "http://evil.example:8000", "host_not_allowed"),
        (OPEN, "evil.example:8000", None, "host_not_allowed"),
        (OPEN, "127.0.0.1.evil.example", None, "host_not_allowed"),
        (OPEN, "[bad", None, "host_not_allowed"),
        (NETWORK, "evil.example:8000", "http://evil.example:8000", "host_not_allowed"),
        (NETWORK, "192.168.1.2", "https://evil.example", "origin_not_allowed"),
        (LISTED, "captions.example", "https://evil.example", "origin_not_allowed"),
    ],
)
def test_kept_out(origins: Origins, host: str, origin: str | None, code: str) -> None:
    """Pages of other sites, and other sites' names for this machine (DNS rebinding)."""
    with pytest.raises(PermissionDeniedError) as caught:
        origins.check(scope_of(host, origin))

    assert (caught.value.status, caught.value.code) == (403, code)


async def test_cors() -> None:
    """Listed origins are told yes before and with the answer; others hear nothing."""

    async def fine(request: Request) -> Response:
        return Response("fine")

    app = Starlette(
        routes=[Route("/", fine, methods=["POST"])],
        middleware=[
            *LISTED.cors(),
            Middleware(RequestMiddleware, exchanges=Exchanges(), metrics=Metrics(), tracer=NoTracer()),
            Middleware(OriginMiddleware, origins=LISTED),
        ],
    )
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        asked = await client.options("/", headers={"origin": "https://a.example", **ask})
        answered = await client.post("/", headers={"origin": "https://a.example"})
        foreign = await client.options("/", headers={"origin": "https://evil.example", **ask})
        refused = await client.post("/", headers={"origin": "https://evil.example"})

    assert asked.headers["access-control-allow-origin"] == "https://a.example"
    assert "authorization" in asked.headers["access-control-allow-headers"]
    assert answered.headers["access-control-allow-origin"] == "https://a.example"
    for name in ("x-request-id", "warning"):
        assert name in answered.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in foreign.headers
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in refused.headers
    assert Origins().cors() == []
