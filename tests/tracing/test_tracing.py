"""Spans nest as code and tasks do; where nothing is traced there is nothing, but for a trace's id."""

import anyio
import pytest

from gateway.tracing import NOTHING, NoTracer, Span, Value, current, step, within

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Noted:
    """A span that remembers what was done to it."""

    trace_id = "1" * 32

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: list[Noted] = []
        self.reason = ""
        self.ends = 0

    def child(self, name: str, **attributes: Value) -> Span:
        """Another one, below."""
        self.children.append(Noted(name))
        return self.children[-1]

    def note(self, **attributes: Value) -> None:
        """Nobody asks for them here."""

    def mark(self, event: str) -> None:
        """Nor for those."""

    def fail(self, reason: str) -> None:
        """Why."""
        self.reason = reason

    def end(self) -> None:
        """Once more."""
        self.ends += 1


async def test_a_task_is_in_the_span_that_started_it() -> None:
    """Also when it goes on after that one is left."""
    root, seen = Noted("root"), []

    async def work(left: anyio.Event) -> None:
        await left.wait()
        with step("work"):
            seen.append(current())

    async with anyio.create_task_group() as tasks:
        left = anyio.Event()
        with within(root):
            tasks.start_soon(work, left)
        left.set()

    assert seen == root.children
    assert current() is NOTHING


def test_a_step_that_fails_says_so() -> None:
    """It ends, and what failed is raised."""
    root = Noted("root")
    with within(root), pytest.raises(ValueError, match="x"), step("work"):
        raise ValueError("x")

    [work] = root.children
    assert (work.reason, work.ends) == ("ValueError", 1)


def test_nothing_is_made_of_nothing() -> None:
    """Not even an object."""
    with step("work", rows=1) as span:
        assert span is NOTHING
        assert span.child("more") is NOTHING
        span.note(rows=2)
        span.mark("x")
        span.fail("x")
        span.end()


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-00f067aa0ba902b7-01\nx", ""),
        ("", ""),
    ],
)
def test_a_clients_trace_is_known_by_its_id(header: str, trace_id: str) -> None:
    """As W3C's recommendation has it, and whatever else stands there is nothing."""
    assert NoTracer().begin("x", {"traceparent": header}).trace_id == trace_id
