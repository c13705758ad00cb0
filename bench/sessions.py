"""What sessions show: how late texts came, whether they were kept to, and how many words were wrong.

Lateness is on the clock of the client's audio: an event's arrival less the position it is about, which was
said at that moment. A client cannot send it before its append is over, up to 0.1 s later.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.realtime import Item, Session
from training.mini_whisper.scoring import align, normalise


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all sessions of one run, in seconds; shares and rates from 0 to 1, NaN where there was nothing.

    Attributes:
        finals: From the end that the server tells of (silence included), or the client's commit.
        speech_ends: From the last word's true end to the final; the silence window is within.
        firsts: From an utterance's start (prefix padding included) to its first text.
        intervals: Between two deltas of an utterance that went on.
        words: From a word's true end to the delta that has it.
        begins: Of the finals with text released before the end: those that begin with it.
        equals: Of all finals: those that equal their deltas' text.
        early: Of all finals: those with text before the end; ``released`` is how many.
        lost: Items without a final.
        broken: Sessions that were admitted and then closed by the server, or told of an error.
    """

    finals: tuple[float, ...]
    speech_ends: tuple[float, ...]
    firsts: tuple[float, ...]
    intervals: tuple[float, ...]
    words: tuple[float, ...]
    begins: float
    equals: float
    early: float
    released: int
    errors: float
    lost: int
    refused: int
    broken: int
    late: float


def figures(sessions: Sequence[Session]) -> Figures:
    """Of the sessions that were admitted; the refused are counted."""
    admitted = [session for session in sessions if not session.refused]
    items = [item for session in admitted for item in session.items]
    done = [(item, item.completed) for item in items if item.completed is not None]
    early = [item for item, _ in done if item.released]
    return Figures(
        finals=tuple(at - item.audio_end for item, at in done if item.audio_end is not None),
        speech_ends=tuple(late for session in admitted for late in _speech_ends(session)),
        firsts=tuple(
            item.deltas[0][0] - item.audio_start
            for item, _ in done
            if item.deltas and item.audio_start is not None
        ),
        intervals=tuple(gap for item, _ in done for gap in _gaps(item)),
        words=tuple(late for session in admitted for late in _word_lateness(session)),
        begins=_share(item.transcript.startswith(_text(item, item.released)) for item in early),
        equals=_share(item.transcript == _text(item, None) for item, _ in done),
        early=_share(bool(item.released) for item, _ in done),
        released=len(early),
        errors=_errors(admitted, lambda session: " ".join(item.transcript for item in session.items)),
        lost=sum(item.completed is None for item in items),
        refused=len(sessions) - len(admitted),
        broken=sum(session.broken for session in admitted),
        late=max((session.late for session in admitted), default=0.0),
    )


def file_errors(sessions: Sequence[Session], files: Mapping[str, str]) -> float:
    """The word error rate of the same phrases where each was uploaded as a file of its own."""
    admitted = [session for session in sessions if not session.refused]
    return _errors(admitted, lambda session: " ".join(files[said.phrase.text] for said in session.said))


def _errors(sessions: Sequence[Session], text: Callable[[Session], str]) -> float:
    """Wrong, missing and surplus words over all true words."""
    errors = words = 0
    for session in sessions:
        truth = normalise(" ".join(said.phrase.text for said in session.said))
        errors += align(truth, normalise(text(session)))[0]
        words += len(truth)
    return errors / words if words else math.nan


def _text(item: Item, count: int | None) -> str:
    return "".join(text for _, text in item.deltas[:count])


def _share(holds: Iterable[bool]) -> float:
    found = list(holds)
    return sum(found) / len(found) if found else math.nan


def _gaps(item: Item) -> list[float]:
    times = [at for at, _ in item.deltas[: item.released]]
    return [later - sooner for sooner, later in pairwise(times)]


def _speech_ends(session: Session) -> list[float]:
    found = []
    for item in session.items:
        ends = [said.end for said in session.said if item.audio_end is not None and said.end < item.audio_end]
        if ends and item.completed is not None:
            found.append(item.completed - ends[-1])
    return found


def _word_lateness(session: Session) -> list[float]:
    """Of the words that were heard right."""
    true = [(normalise(word)[0], end) for said in session.said for word, end in said.words]
    told = [pair for item in session.items for pair in told_words(item)]
    _, pairs = align([word for word, _ in true], [word for word, _ in told])
    return [told[hyp][1] - true[ref][1] for ref, hyp in pairs]


def told_words(item: Item) -> list[tuple[str, float]]:
    """The words of an item's deltas, each with the time at which its end was there."""
    words: list[tuple[str, float]] = []
    text = ""
    for at, delta in item.deltas:
        text += delta
        # A word that a delta goes on with counts as told by that one.
        known = words
        words = [
            known[number] if number < len(known) and known[number][0] == word else (word, at)
            for number, word in enumerate(normalise(text))
        ]
    return words
