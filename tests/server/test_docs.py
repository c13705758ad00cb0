"""The documentation is complete and needs nobody else: every route is in it, and the pages are all ours."""

import re

import httpx
import pytest
from starlette.routing import Route

from gateway.app import Gateway
from gateway.engine.lifecycle import ModelPlan
from gateway.server.docs import Docs
from gateway.settings import Settings
from tests.scripted import ScriptedSpec

PLAN = ModelPlan("scripted", ScriptedSpec)
DOCS = Docs(version="1", secured=False)
FILES = DOCS._files


@pytest.fixture
def client() -> httpx.AsyncClient:
    """Speaks to the application without a server; its workers are not needed here."""
    app = Gateway(Settings(), [PLAN]).app
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


async def test_every_route_is_documented(client: httpx.AsyncClient) -> None:
    """With its methods, and no other; project prefixes are told in words."""
    app = Gateway(Settings(), [PLAN]).app
    routes = {
        (route.path_format, method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.include_in_schema
        if not route.path.startswith("/{project_id}/")
        for method in route.methods or ()
        if method != "HEAD"  # goes with every GET
    }
    known = {route.path for route in app.routes if isinstance(route, Route) and route.include_in_schema}
    prefixed = known - {path for path, _ in routes}
    document = (await client.get("/openapi.json")).json()
    documented = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }

    assert documented == routes
    assert {path.removeprefix("/{project_id}").replace(":path", "") for path in prefixed} == {
        path for path, _ in routes if path.startswith("/v1/")
    }


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_page_is_locked(client: httpx.AsyncClient, path: str) -> None:
    """Only its own files may run, style or be asked; nothing inline, no eval, no frames."""
    response = await client.get(path)
    policy = dict(rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; "))

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"<style|<script>| on\w+=| style=", response.text)


async def test_files_refer_to_ours_alone(client: httpx.AsyncClient) -> None:
    """What the pages and their scripts load is served, and nothing else; no other host is named."""
    text = "".join(FILES.values())
    loaded = set(re.findall(r'(?:src|href)="docs/([^"]+)"|"\./([^"#]+)"', text))
    names = {name for pair in loaded for name in pair if name}

    assert names == FILES.keys() - {"docs.html", "index.html"}
    # The one of SVG is a name, which nobody asks.
    assert set(re.findall(r"https?://[^\s\"]*", text)) == {"http://www.w3.org/2000/svg"}
    for name in names:
        response = await client.get(f"/docs/{name}")
        assert response.status_code == 200
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_where_captions_were(client: httpx.AsyncClient) -> None:
    """Bookmarks lead on, also behind a proxy that puts a path before the server's."""
    response = await client.get("/live")

    assert (response.status_code, response.headers["location"]) == (308, "./#speak")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fdocs.py", "%00"])
async def test_no_other_file(client: httpx.AsyncClient, name: str) -> None:
    """What the page has not is a 404, whatever else lies beside it."""
    response = await client.get(f"/docs/{name}")

    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith("Unknown request URL")


@pytest.mark.parametrize(("path", "method"), [("/v1/models", "DELETE"), ("/project/v1/models", "DELETE")])
async def test_wrong_method(client: httpx.AsyncClient, path: str, method: str) -> None:
    """It is a 405 that names the right ones, behind a project too."""
    response = await client.request(method, path)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
