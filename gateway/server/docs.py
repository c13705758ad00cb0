"""`/openapi.json`, `/docs` to read it and try it, `/live` to speak: our own pages, which need no network."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import NotFoundError
from gateway.protocol.events import encode
from gateway.protocol.openapi import openapi_document

_PAGE = Path(__file__).parent / "page"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

_HEADERS = {
    # The pages' own files and this server's answers, nothing else: no inline code, no eval, no built markup.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # A new version shows at once; the files are small.
    "cache-control": "no-cache",
}


class Docs:
    """The endpoints. The files are read once, so that serving them touches no disk.

    Args:
        secured: API keys are configured.
    """

    def __init__(self, *, version: str, secured: bool) -> None:
        self._document = encode(openapi_document(version=version, secured=secured))
        self._files = {path.name: path.read_text("utf-8") for path in sorted(_PAGE.iterdir())}

    async def openapi(self, _: Request) -> Response:
        """The document."""
        return Response(self._document, media_type="application/json")

    async def page(self, _: Request) -> Response:
        """The page."""
        return self._file("docs.html")

    async def live(self, _: Request) -> Response:
        """The page with live captions. Served from here, it needs no permission to ask another origin."""
        return self._file("live.html")

    async def asset(self, request: Request) -> Response:
        """The pages' styles and scripts.

        Raises:
            NotFoundError: They have no such file.
        """
        name = request.path_params["asset"]
        if name not in self._files:
            raise NotFoundError(f"Unknown request URL: GET {request.url.path}.")
        return self._file(name)

    def _file(self, name: str) -> Response:
        return Response(self._files[name], headers=_HEADERS, media_type=_MEDIA_TYPES[Path(name).suffix])
