"""The wire as it was recorded: every frame, event, answer, status and close code, to the letter but for ids.

The engine is the scripted one, whose text follows from a chunk's length: no processor's kernels have a say. A
change on the wire shows here as a difference. Where it is meant, this records anew, and how the recordings
change belongs into the review::

    RECORD=1 pytest tests/e2e/test_recorded.py
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.recorder import Log
from tests.e2e.sessions import SCRIPTS, SERVERS
from tests.scripted import ScriptedSpec
from tests.support import LiveServer, live_server

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[str], LiveServer]]:
    """Starts each server of the sessions when it is wanted first."""
    running: dict[str, LiveServer] = {}
    with ExitStack() as stack:

        def start(name: str) -> LiveServer:
            if name not in running:
                running[name] = stack.enter_context(live_server([ScriptedSpec()], **SERVERS[name]))
            return running[name]

        yield start


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_as_recorded(serve: Callable[[str], LiveServer], name: str) -> None:
    """All that the server says in this session is what it said."""
    server, script = SCRIPTS[name]
    log = Log(serve(server).url)

    script(log)

    recording = RECORDED / f"{name}.jsonl"
    if os.environ.get("RECORD"):
        recording.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in log.lines))

    recorded = [json.loads(line) for line in recording.read_text().splitlines()]
    assert [*map(_unordered, log.lines)] == [*map(_unordered, recorded)]


def _unordered(line: list[str]) -> list[object]:
    """The OpenAPI document is generated, and read by programs: the order of its keys means nothing."""
    return [json.loads(part) if str(part).startswith('{"openapi":') else part for part in line]


def test_nothing_else_is_recorded() -> None:
    """Each recording has its session."""
    assert {path.stem for path in RECORDED.glob("*.jsonl")} == set(SCRIPTS)
