"""The highest memory of server and worker while a recording is transcribed, against its length."""

from collections.abc import Iterator, Sequence

from bench.server import forget_peak, memory_mb, serve
from bench.stage import Bench, Finding, Table, Target

MOST_MORE = 60
"""MB."""


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; one whole recording of each length, in full up to 180 minutes."""
    lengths = (1, 10) if bench.quick else (1, 10, 60, 180)
    with serve(bench.model()) as server:
        pids = [server.edge, *server.workers]
        idle = peaks = [memory_mb(pid) for pid in pids]
        rows = [("idle", *_cells(idle), "")]
        for minutes in lengths:
            for pid in pids:
                forget_peak(pid)
            reply = server.upload(bench.opus(minutes * 60))
            peaks = [memory_mb(pid, peak=True) for pid in pids]
            rate = minutes * 60 / reply.seconds
            rows.append((f"{minutes} min", *_cells(peaks), f"{rate:.0f}"))
    columns = ("recording", "server", "workers together", "audio seconds per second")
    yield Table("Peak memory in MB, miniature", columns, rows)
    text = f"the server at {lengths[-1]} min takes at most {MOST_MORE} MB more than idle"
    more = peaks[0] - idle[0]
    yield Target(text, f"{more:.0f} MB more", more <= MOST_MORE)


def _cells(megabytes: Sequence[float]) -> tuple[str, str]:
    """Of the server, and of its workers."""
    server, *workers = megabytes
    return f"{server:.0f}", f"{sum(workers):.0f}"
