"""The model objects of `/v1/models`."""

from collections.abc import Collection, Iterable
from typing import Any


def model_object(name: str, *, own: bool, created: int) -> dict[str, Any]:
    """One model; aliases of OpenAI's names are owned by the gateway, which answers for them."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "local" if own else "transcription-gateway",
    }


def model_list(names: Iterable[str], *, own: Collection[str], created: int) -> dict[str, Any]:
    """All models in their order."""
    return {
        "object": "list",
        "data": [model_object(name, own=name in own, created=created) for name in names],
    }
