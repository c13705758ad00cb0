"""The highest memory of server and worker while a recording is transcribed, against its length."""

from functools import partial

import anyio

from bench import client
from bench.report import Bench, Report, Target
from bench.server import forget_peak, memory_mb, serve
from bench.table import Table


def run(bench: Bench) -> Report:
    """The miniature; one whole recording of each length, in full up to 180 minutes."""
    lengths = (1, 10) if bench.quick else (1, 10, 60, 180)
    with serve(bench.miniature) as server:
        pids = [server.edge, *server.workers]
        idle = [memory_mb(pid) for pid in pids]
        rows = [("idle", *(f"{value:.0f}" for value in idle), "")]
        edge = 0.0
        for minutes in lengths:
            file = bench.opus(minutes * 60)
            for pid in pids:
                forget_peak(pid)
            reply = anyio.run(partial(client.transcribe, server.port, file))
            peaks = [memory_mb(pid, peak=True) for pid in pids]
            edge = peaks[0]
            rows.append(
                (
                    f"{minutes} min",
                    *(f"{value:.0f}" for value in peaks),
                    f"{minutes * 60 / reply.seconds:.0f}",
                )
            )
    return Report(
        [
            Table(
                "Peak memory in MB, miniature",
                ("recording", "server", "worker", "audio seconds per second"),
                tuple(rows),
            )
        ],
        [
            Target(
                f"the server at {lengths[-1]} min takes at most 120 MB more than idle",
                f"{edge - idle[0]:.0f} MB more",
                edge - idle[0] <= 120,
            )
        ],
    )
