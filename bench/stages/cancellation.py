"""What is still computed for a client that hung up."""

from collections.abc import Iterator
from pathlib import Path

from bench.server import Metrics, RunningServer, serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import spread

SECONDS = 600


def run(bench: Bench) -> Iterator[Finding]:
    """Leaves after the first delta, in full also while an engine call takes seconds."""
    file, rows, most = bench.opus(SECONDS), [], 0.0
    for name in bench.models:
        with serve(bench.model(name)) as server:
            left = [_leave(server, file) for _ in range(bench.rounds)]
        calls = [each.calls for each in left]
        rows.append((name, spread(calls, 0), spread([each.rows for each in left], 0)))
        most = max(most, *calls)
    title = f"Ended after a client left a recording of {SECONDS // 60} min at its second delta"
    yield Table(title, ("", "engine calls", "rows"), rows)
    yield Target("at most the running batch is computed", f"{most:.0f} calls at most", most <= 1)


def _leave(server: RunningServer, file: Path) -> Metrics:
    server.wait_idle()
    server.upload(file, leave_after=2)
    before = server.metrics()
    server.wait_idle()
    return server.metrics() - before
