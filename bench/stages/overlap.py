"""An upload at twice real time: do words come before all of it is there, and how soon after the last byte?"""

from collections.abc import Iterator
from statistics import median

from bench.server import serve
from bench.stage import Bench, Finding, Table, Target
from bench.stats import spread

PACE = 2


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; one client after another, as five at once doubled the wait for the last delta."""
    seconds = 30 if bench.quick else 60
    with serve(bench.model()) as server:
        server.wait_idle()
        before = server.metrics()
        files = [bench.opus(seconds, start) for start in range(bench.rounds)]
        replies = [server.upload(file, seconds=seconds / PACE) for file in files]
        call = (server.metrics() - before).call_seconds
    shares = [reply.sent_first / reply.size for reply in replies]
    lags = [reply.deltas[-1] - reply.last_byte for reply in replies]
    rows = [
        ("share of the bytes sent at the first delta", spread(shares)),
        ("first delta, s from the first byte", spread([reply.first_delta for reply in replies])),
        ("last delta, s after the last byte", spread(lags)),
        ("one engine call, s", f"{call:.2f}"),
        ("deltas", spread([len(reply.deltas) for reply in replies], 0)),
    ]
    yield Table(f"{seconds} s of Opus sent in {seconds / PACE:.0f} s, miniature", ("", "value"), rows)
    text = "the first delta comes before half of the bytes are sent"
    yield Target(text, spread(shares), median(shares) < 0.5)
    text = "the last delta comes within two chunks' time of the last byte"
    yield Target(text, f"{median(lags) / call:.1f} chunks", median(lags) <= 2 * call)
