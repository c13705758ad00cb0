"""Every name that clients send finds its model, and no other does."""

import pytest

from gateway.engine.batcher import Batcher
from gateway.engine.budget import MemoryBudget
from gateway.engine.catalog import Catalog
from gateway.engine.lifecycle import ManagedModel, ModelPlan
from gateway.errors import ModelNotFoundError
from gateway.metrics import Metrics
from tests.scripted import ScriptedSpec

_ALIASES = ("whisper-1", "gpt-4o-transcribe", "openai/whisper-1")


def model(name: str) -> ManagedModel:
    """A model that is not loaded."""
    plan = ModelPlan(name, ScriptedSpec)
    return ManagedModel(plan, lambda spec: Batcher(spec, Metrics()), MemoryBudget())


_FIRST, _SECOND = model("first"), model("second")


@pytest.mark.parametrize("name", _ALIASES)
def test_first_model_answers_to_aliases(name: str) -> None:
    """Clients written for another provider reach the first model without a change."""
    catalog = Catalog([_FIRST, _SECOND], _ALIASES)

    assert catalog.find(name) is _FIRST
    assert name in catalog.names


def test_own_names() -> None:
    """Each model answers to its own name, and own names come first in the list."""
    catalog = Catalog([_FIRST, _SECOND], _ALIASES)

    assert [catalog.find(name) for name in ("first", "second")] == [_FIRST, _SECOND]
    assert catalog.names == ("first", "second", *_ALIASES)
    assert catalog.entries == (_FIRST, _SECOND)


def test_own_name_beats_alias() -> None:
    """An operator who calls a model `whisper-1` gets that one, and it is listed once."""
    named = model("whisper-1")
    catalog = Catalog([_FIRST, named], _ALIASES)

    assert catalog.find("whisper-1") is named
    assert catalog.find("gpt-4o-transcribe") is _FIRST
    assert catalog.names.count("whisper-1") == 1


def test_given_names() -> None:
    """Names of the operator's own reach the model they were given to, also where OpenAI has such a name."""
    catalog = Catalog([_FIRST, _SECOND], _ALIASES, {"captions": "second", "whisper-1": "second"})

    assert catalog.find("captions") is catalog.find("whisper-1") is _SECOND
    assert catalog.find("gpt-4o-transcribe") is _FIRST
    assert catalog.names[:3] == ("first", "second", "captions")


def test_unknown_model() -> None:
    """The refusal names what was asked and what is served."""
    with pytest.raises(ModelNotFoundError) as caught:
        Catalog([_FIRST, _SECOND], _ALIASES).find("whisper-2")

    assert "whisper-2" in caught.value.message
    assert "first, second, whisper-1" in caught.value.message


@pytest.mark.parametrize(("names", "text"), [([], "no model"), (["a", "b", "a"], "called a")])
def test_refused_catalogs(names: list[str], text: str) -> None:
    """An empty catalog and two models of one name are mistakes of the operator, told at start."""
    with pytest.raises(ValueError, match=text):
        Catalog([model(name) for name in names])


def test_foreign_names_reach_the_model_of_their_size() -> None:
    """A name that nobody serves, but that means a size, gets it, or else the first; it is not listed."""
    sizes = {"Systran/large": "large", "large": "large", "second": "large", "tiny": "tiny"}
    catalog = Catalog([_FIRST, _SECOND], _ALIASES, size_of=sizes.get)

    assert catalog.find("Systran/large") is catalog.find("large-diarize") is _SECOND
    assert catalog.find("tiny") is _FIRST
    assert "tiny" not in catalog.names
    with pytest.raises(ModelNotFoundError):
        catalog.find("nonsense")
