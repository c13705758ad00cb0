"""Traces of what is under way: a span for each step, from a request to its rows. Off they cost nothing.

Whoever serves requests begins a trace, or does not; everybody below asks for spans of the one that he is in.
A task is in the trace of whoever started it. Where there is none, nothing is made. Attributes hold neither
what was said nor what a client sent.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

Value: TypeAlias = str | int | float | bool

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


class Span(Protocol):
    """A step of a trace; times are those of its calls."""

    @property
    def trace_id(self) -> str:
        """Of the trace, 32 hexadecimal digits."""

    def child(self, name: str, **attributes: Value) -> "Span":
        """A step within this one begins."""

    def note(self, **attributes: Value) -> None:
        """Something is known of it."""

    def mark(self, event: str) -> None:
        """Something happens in it."""

    def fail(self, reason: str) -> None:
        """It failed, for this reason in a word."""

    def end(self) -> None:
        """It is over; ending it again changes nothing."""


class _Nothing:
    """Where there is no trace, or none that is kept."""

    def __init__(self, trace_id: str = "") -> None:
        self.trace_id = trace_id

    def child(self, name: str, **attributes: Value) -> Span:  # noqa: ARG002 - a protocol's signature
        return self

    def note(self, **attributes: Value) -> None:
        pass

    def mark(self, event: str) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def end(self) -> None:
        pass


NOTHING: Span = _Nothing()

_current: ContextVar[Span] = ContextVar("span", default=NOTHING)


class Tracer(Protocol):
    """Begins traces."""

    def begin(self, name: str, headers: Mapping[str, str], **attributes: Value) -> Span:
        """The first span here of a request; a trace that its headers name goes on."""

    def close(self) -> None:
        """Sends off what is not sent yet; takes seconds where nobody receives it."""


class NoTracer:
    """Keeps nothing; but the log still tells the id of a trace that a client began."""

    def begin(self, name: str, headers: Mapping[str, str], **attributes: Value) -> Span:  # noqa: ARG002
        """Nothing, which knows the trace's id."""
        given = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
        return NOTHING if given is None else _Nothing(given[1])

    def close(self) -> None:
        """Nothing is left."""


def current() -> Span:
    """The span that the caller is in."""
    return _current.get()


@contextmanager
def within(span: Span) -> Iterator[Span]:
    """What is done in the context, and in tasks that are started there, belongs to the span.

    The context's end is not the span's.
    """
    token = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(token)


@contextmanager
def step(name: str, **attributes: Value) -> Iterator[Span]:
    """The context is a span of its own."""
    parent = _current.get()
    span = parent.child(name, **attributes)
    if span is parent:  # there is no trace
        yield span
        return
    with within(span):
        try:
            yield span
        except BaseException as error:
            span.fail(type(error).__name__)
            raise
        finally:
            span.end()
