"""`GET /v1/models`: what is served, under every name that works."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.engine.catalog import Catalog
from gateway.protocol.answers import model_list, model_object
from gateway.protocol.events import encode


class Models:
    """The endpoint.

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
        body = model_list(self._catalog.names(), own=own, created=self._started)
        return Response(encode(body), media_type="application/json")
