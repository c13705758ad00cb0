"""The served models by every name clients ask for: their own, and OpenAI's, which the first one answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from gateway.engine.api import Model
from gateway.errors import ModelNotFoundError


class Catalog:
    """Served models in their order. A model's own name goes before an alias that reads the same.

    Args:
        aliases: Names that the first model answers to.
        given: Further names, each with the model's own; they go before ``aliases``.
        size_of: Reads a name that nobody serves: what size of model it means, None where it means none. Such
            a name gets the served model of that size, or else the first.

    Attributes:
        entries: The models.
        names: Every name that `find` knows, the models' own first.

    Raises:
        ValueError: There is no entry, or two share a name.
    """

    def __init__(
        self,
        entries: Iterable[Model],
        aliases: Sequence[str] = (),
        given: Mapping[str, str] | None = None,
        size_of: Callable[[str], str | None] = lambda _: None,
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
        self._size_of = size_of
        self._by_size = {size: named[name] for name in reversed(own) if (size := size_of(name)) is not None}
        self.names = tuple(dict.fromkeys([*own, *given, *aliases]))

    def find(self, name: str) -> Model:
        """Returns the model that answers to ``name``.

        Raises:
            ModelNotFoundError: None does; the error lists `names`.
        """
        # A model that is asked to tell speakers apart is the model itself.
        plain = name if name in self._by_name else name.removesuffix("-diarize")
        if plain in self._by_name:
            return self._by_name[plain]
        size = self._size_of(plain)
        if size is None:
            raise ModelNotFoundError(name, self.names)
        return self._by_size.get(size, self.entries[0])
