"""What gateways, the keeper and the replicas tell each other; pickled, so all of them run one version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.engine.api import Capabilities, Engine, ReplicaOptions, RowFailed
from gateway.transcript import Hypothesis

PROTOCOL = 1
"""Raised whenever something here changes its meaning; gateways of different ones do not share replicas."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a replica is made of.

    Attributes:
        load: Finds the weights where it is called, and loads them.
        environment: Variables set before that, as OMP_WAIT_POLICY.
        lanes: Engine calls at the same time.
        max_batch: The most rows of one.
        options: How long they may take.
    """

    load: Callable[[], Engine]
    environment: Mapping[str, str]
    lanes: int
    max_batch: int
    options: ReplicaOptions


@dataclass(frozen=True, slots=True)
class Placement:
    """What a replica takes of a node, and how many there are.

    Attributes:
        cpus: Cores, or parts of one.
        gpus: GPUs, or a part of one.
        least: So many replicas there are at any time.
        most: Never more than so many.
        up_seconds: Rows that wait for so long bring one more.
        down_seconds: One that was not needed for so long goes.
        linger: Seconds after the last gateway was heard of until all of them go.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    least: int = 1
    most: int = 1
    up_seconds: float = 5.0
    down_seconds: float = 60.0
    linger: float = 300.0


@dataclass(frozen=True, slots=True)
class Offer:
    """How one gateway would have a model served.

    Attributes:
        revision: Of several offers the one with the highest is served; of equal ones the first.
        version: The gateway's, for messages to operators.
    """

    model: str
    recipe: Recipe
    placement: Placement
    revision: int = 0
    version: str = ""
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Member:
    """A replica that takes rows.

    Attributes:
        name: Of the actor, in the gateway's namespace.
        handle: Of the actor.
    """

    name: str
    handle: Any
    revision: int


@dataclass(frozen=True, slots=True)
class Roster:
    """Which replicas there are; what is not in it any more gets no new rows.

    Attributes:
        keeper: Who says so: another one knows nothing of what was offered to this one.
        version: Counts changes.
        failure: Why none can be loaded.
        warning: Why those of the highest revision cannot, though others serve.
    """

    keeper: str
    version: int
    members: tuple[Member, ...] = ()
    failure: "LoadFailure | None" = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """The engine could not be loaded where a replica was placed."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class Load:
    """What a replica has to do.

    Attributes:
        incarnation: Another one knows nothing of the calls before it: Ray started the actor again.
        rows: Of all gateways, waiting or under way.
        busy: Engine calls under way.
    """

    incarnation: str
    rows: int
    busy: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A call's results, in the order of its rows, and what else the replica has to do."""

    results: list[Hypothesis | RowFailed]
    load: Load


@dataclass(frozen=True, slots=True)
class Undecoded:
    """The engine raised; the replica lives."""

    reason: str
    out_of_memory: bool
    load: Load = field(default_factory=lambda: Load("", 0, 0))
