"""What is still computed for a client that hung up."""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from bench import client
from bench.report import Bench, Report, Target
from bench.server import RunningServer, serve
from bench.table import Table, spread

SECONDS = 600


def run(bench: Bench) -> Report:
    """Leaves after the first delta, in full also while an engine call takes seconds."""
    cases = [("miniature", bench.miniature)]
    if not bench.quick:
        cases.append(("tiny", bench.tiny))
    file = bench.opus(SECONDS)
    rows, most = [], 0.0
    for name, model in cases:
        with serve(model) as server:
            left = [
                _leave(server, partial(client.transcribe, server.port, file, leave_after=2))
                for _ in range(bench.rounds)
            ]
        calls = [calls for calls, _ in left]
        rows.append((name, spread(calls, 0), spread([rows for _, rows in left], 0)))
        most = max(most, *calls)
    return Report(
        [
            Table(
                f"Ended after a client left a recording of {SECONDS // 60} min at its second delta",
                ("", "engine calls", "rows"),
                tuple(rows),
            )
        ],
        [Target("at most the running batch is computed", f"{most:.0f} calls at most", most <= 1)],
    )


def _leave(server: RunningServer, transcribe: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    server.wait_idle()
    anyio.run(transcribe)
    before = server.metrics()
    server.wait_idle()
    after = server.metrics()
    calls = after["gateway_batch_seconds_count"] - before["gateway_batch_seconds_count"]
    rows = after["gateway_decoded_rows_total"] - before["gateway_decoded_rows_total"]
    return calls, rows
