"""An upload at twice real time: do words come before all of it is there, and how soon after the last byte?"""

from functools import partial
from statistics import median

import anyio

from bench import client
from bench.report import Bench, Report, Target
from bench.server import serve
from bench.table import Table, spread

PACE = 2


def run(bench: Bench) -> Report:
    """The miniature; one client after another, as five at once doubled the wait for the last delta."""
    seconds = 30 if bench.quick else 60
    with serve(bench.miniature) as server:
        server.wait_idle()
        before = server.metrics()
        replies = [
            anyio.run(
                partial(client.transcribe, server.port, bench.opus(seconds, start), seconds=seconds / PACE)
            )
            for start in range(bench.rounds)
        ]
        after = server.metrics()
    name = "gateway_batch_seconds"
    calls = after[f"{name}_count"] - before.get(f"{name}_count", 0)
    chunk = (after[f"{name}_sum"] - before.get(f"{name}_sum", 0)) / calls
    shares = [reply.sent / reply.size for reply in replies]
    lags = [reply.deltas[-1] - reply.last_byte for reply in replies]
    rows = (
        ("share of the bytes sent at the first delta", spread(shares)),
        ("first delta, s from the first byte", spread([reply.first_delta for reply in replies])),
        ("last delta, s after the last byte", spread(lags)),
        ("one engine call, s", f"{chunk:.2f}"),
        ("deltas", spread([len(reply.deltas) for reply in replies], 0)),
    )
    return Report(
        [Table(f"{seconds} s of Opus sent in {seconds / PACE:.0f} s, miniature", ("", "value"), rows)],
        [
            Target(
                "the first delta comes before half of the bytes are sent",
                spread(shares),
                median(shares) < 0.5,
            ),
            Target(
                "the last delta comes within two chunks' time of the last byte",
                f"{median(lags) / chunk:.1f} chunks",
                median(lags) <= 2 * chunk,
            ),
        ],
    )
