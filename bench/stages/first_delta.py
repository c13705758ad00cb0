"""How long until the first words, whatever the length: from the file's first byte, and through the SDK."""

import io
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from openai import OpenAI

from bench.server import RunningServer, serve
from bench.stage import Bench, Finding, Plot, Table, Target
from bench.stats import interleaved, ratios, spread

MINUTES = (1, 10, 60, 180)
ROUNDS = 15
"""Each is short and noisy: with 5 rounds the ratio of two lengths came out anywhere from 1.0 to 1.2."""


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature, Opus of 16 kb/s, one client."""
    files = {minutes: bench.opus(minutes * 60) for minutes in MINUTES}
    with serve(bench.model()) as server:
        _raw(server, files[1])
        raw = interleaved({m: partial(_raw, server, files[m]) for m in MINUTES}, ROUNDS)
        sdk = interleaved({m: partial(_sdk, server, files[m]) for m in MINUTES}, ROUNDS)
    sizes = {m: f"{m} min, {files[m].stat().st_size / 1e6:.1f} MB" for m in MINUTES}
    yield Table(
        "Milliseconds to the first delta, miniature, Opus 16 kb/s",
        ("recording", "from the file's first byte, reading while writing", "SDK, from its last byte"),
        [(sizes[m], spread(raw[m], 0), spread(sdk[m], 0)) for m in MINUTES],
    )
    growth = ratios(raw[180], raw[1])
    yield Target("180 min take at most 1.2 times as long as 1 min", spread(growth), median(growth) <= 1.2)
    sides = {"from the first byte": raw, "SDK, from its last byte": sdk}
    lines = {name: [(m, median(values[m])) for m in MINUTES] for name, values in sides.items()}
    yield Plot("First delta", "minutes of audio", "ms", lines)


def _raw(server: RunningServer, path: Path) -> float:
    server.wait_idle()
    return 1000 * server.upload(path, leave_after=1).first_delta


class _Watched(io.BytesIO):
    """Notes when its last byte was taken, which is when the SDK hands it to the kernel."""

    name = "talk.ogg"
    ended = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.ended = time.perf_counter()
        return data


def _sdk(server: RunningServer, path: Path) -> float:
    server.wait_idle()
    file = _Watched(path.read_bytes())
    api = OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="unused", max_retries=0)
    with api.audio.transcriptions.create(model="whisper-1", file=file, stream=True, language="en") as events:
        for event in events:
            if event.type == "transcript.text.delta":
                return 1000 * (time.perf_counter() - file.ended)
    raise RuntimeError("no delta came")
