"""What waits to be decoded: one request, whose it is, and what became of it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import cast

from gateway.engine.api import DecodeRequest, Priority
from gateway.tracing import NOTHING, Span, current
from gateway.transcript import Hypothesis


@dataclass(eq=False, slots=True)
class Row:
    """One request on its way to its answer; compared by identity.

    Attributes:
        stream: Whose row it is.
        on_settled: Called once, when the row has its outcome.
        key: The batch key, set by the queue.
        alone: It was in a batch that failed, so it is decoded without others, lest it harm them again.
        put_at: When it came, in seconds.
        span: The step of a trace that it is part of.
        waiting: Its wait as a step of that.
        outcome: Its result, or what is raised to its caller.
        deaths: So many workers were lost while it was alone in them.
        kills: The same, where the worker was killed from outside.
    """

    request: DecodeRequest
    stream: Hashable
    priority: Priority = Priority.FILE
    on_settled: Callable[[], None] = lambda: None
    key: Hashable = field(default=None, init=False)
    alone: bool = field(default=False, init=False)
    put_at: float = field(default=0.0, init=False)
    span: Span = field(default_factory=current, init=False)
    waiting: Span = field(default=NOTHING, init=False)
    outcome: Hypothesis | Exception | None = field(default=None, init=False)
    deaths: int = field(default=0, init=False)
    kills: int = field(default=0, init=False)

    @property
    def is_replaceable(self) -> bool:
        """A stream's newer partial makes the older one useless: it has one utterance at a time."""
        return self.priority is Priority.LIVE_PARTIAL

    def settle(self, outcome: Hypothesis | Exception) -> None:
        """Answers the caller; a second answer is ignored."""
        if self.outcome is None:
            self.outcome = outcome
            self.on_settled()

    def result(self) -> Hypothesis:
        """The answer to a settled row, raised if it is an error."""
        if isinstance(self.outcome, Hypothesis):
            return self.outcome
        raise cast("Exception", self.outcome)
