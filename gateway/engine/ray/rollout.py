"""Which replicas to start and which to retire, so that there are as many as wanted, of the newest revision.

Sans-I/O. A revision replaces another one replica by replica: the new one serves before an old one goes; only
where it finds no place beside the old ones, one of these makes room.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

ROOM_SECONDS = 20.0
"""A replica that has no place on any node after so long gets that of an old one."""


class Stage(Enum):
    """Where a replica is in its life."""

    STARTING = auto()
    SERVING = auto()
    LEAVING = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """A replica, as far as it matters here.

    Attributes:
        current: Of the newest revision.
        placed: It has a place on a node.
        since: When it was started, seconds.
    """

    name: str
    stage: Stage
    current: bool
    placed: bool
    since: float


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do now.

    Attributes:
        start: So many replicas of the newest revision.
        retire: These get no rows any more.
    """

    start: int
    retire: tuple[str, ...]


def plan(replicas: Sequence[Standing], wanted: int, now: float) -> Steps:
    """The next steps; looked at again and again they lead to ``wanted`` replicas of the newest revision."""
    staying = [each for each in replicas if each.stage is not Stage.LEAVING]
    current = [each for each in staying if each.current]
    old = [each for each in staying if not each.current]
    starting = [each for each in current if each.stage is Stage.STARTING]
    serving = [each for each in current if each.stage is Stage.SERVING]
    missing = max(0, wanted - len(current))
    if old:
        # One at a time beyond what is wanted.
        missing = min(missing, max(0, wanted + 1 - len(staying)))
    surplus = len(staying) - len(starting) - wanted
    if surplus == 0 and any(not each.placed and now - each.since > ROOM_SECONDS for each in starting):
        surplus = min(1, len(old))
    # Old ones first, of the current ones those that came last; what only starts is never in the way of it.
    leaving = [*(each.name for each in old), *(each.name for each in reversed(serving))]
    if not old and len(current) > wanted:
        leaving = [*(each.name for each in reversed(starting)), *leaving]
        surplus = len(current) - wanted
    return Steps(missing, tuple(leaving[: max(0, surplus)]))
