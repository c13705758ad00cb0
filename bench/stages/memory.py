"""The highest memory of server and worker while a recording is transcribed, against its length."""

from collections.abc import Iterator

from bench.server import forget_peak, memory_mb, serve
from bench.stage import Bench, Finding, Table, Target


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; one whole recording of each length, in full up to 180 minutes."""
    lengths = (1, 10) if bench.quick else (1, 10, 60, 180)
    with serve(bench.model()) as server:
        pids = [server.edge, *server.workers]
        idle = peaks = [memory_mb(pid) for pid in pids]
        rows = [("idle", *(f"{value:.0f}" for value in idle), "")]
        for minutes in lengths:
            for pid in pids:
                forget_peak(pid)
            reply = server.upload(bench.opus(minutes * 60))
            peaks = [memory_mb(pid, peak=True) for pid in pids]
            rate = minutes * 60 / reply.seconds
            rows.append((f"{minutes} min", *(f"{value:.0f}" for value in peaks), f"{rate:.0f}"))
    columns = ("recording", "server", "worker", "audio seconds per second")
    yield Table("Peak memory in MB, miniature", columns, rows)
    text = f"the server at {lengths[-1]} min takes at most 120 MB more than idle"
    more = peaks[0] - idle[0]
    yield Target(text, f"{more:.0f} MB more", more <= 120)
