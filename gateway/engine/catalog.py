"""The served models by every name clients ask for: their own, and OpenAI's, which the first one answers."""

from collections.abc import Iterable, Mapping, Sequence

from gateway.engine.api import Model
from gateway.errors import ModelNotFoundError


class Catalog:
    """Served models in their order. A model's own name goes before an alias that reads the same.

    Args:
        aliases: Names that the first model answers to.
        given: Further names, each with the model's own; they go before ``aliases``.

    Attributes:
        entries: The models.
        names: Every name that `find` knows, the models' own first.

    Raises:
        ValueError: There is no entry, or two share a name.
    """

    def __init__(
        self, entries: Iterable[Model], aliases: Sequence[str] = (), given: Mapping[str, str] | None = None
    ) -> None:
        self.entries = tuple(entries)
        if not self.entries:
            raise ValueError("no model to serve")
        own = [entry.name for entry in self.entries]
        twice = sorted({name for name in own if own.count(name) > 1})
        if twice:
            raise ValueError(f"two models are called {', '.join(twice)}")
        named = dict(zip(own, self.entries, strict=True))
        given = given or {}
        self._by_name = dict.fromkeys(aliases, self.entries[0])
        self._by_name |= {alias: named[name] for alias, name in given.items()} | named
        self.names = tuple(dict.fromkeys([*own, *given, *aliases]))

    def find(self, name: str) -> Model:
        """Returns the model that answers to ``name``.

        Raises:
            ModelNotFoundError: None does; the error lists `names`.
        """
        try:
            # A model that is asked to tell speakers apart is the model itself.
            return self._by_name[name if name in self._by_name else name.removesuffix("-diarize")]
        except KeyError:
            raise ModelNotFoundError(name, self.names) from None
