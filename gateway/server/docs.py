"""The page at `/`, `/docs` to read `/openapi.json`: our own pages, which need no network."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.errors import NotFoundError
from gateway.protocol.events import encode
from gateway.protocol.openapi import openapi_document

_PAGE = Path(__file__).parent / "page"
_MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

_HEADERS = {
    # The pages' own files and this server's answers, nothing else: no inline code, no eval, no built markup.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    # A recording that was dropped on the page is played from there.
    "img-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
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

    async def home(self, _: Request) -> Response:
        """Speak, drop a recording, read captions. From here it needs no leave to ask another origin."""
        return self._file("index.html")

    async def reference(self, _: Request) -> Response:
        """The document, to read."""
        return self._file("docs.html")

    async def live(self, _: Request) -> Response:
        """Where live captions were before; the page has them now, also behind a proxy's path."""
        return RedirectResponse("./#speak", 308)

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
