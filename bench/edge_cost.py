"""CPU time outside the engine: by stage, and of the server for a short clip."""

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import numpy as np

from bench import client
from bench.report import Bench, Report, Target
from bench.server import cpu_seconds, serve
from bench.table import Table, interleaved
from gateway.audio.chunker import Chunker
from gateway.audio.decode import decode
from gateway.audio.loudness import RunningGain
from gateway.audio.silero import SileroModel
from gateway.audio.types import Chunk, Samples
from gateway.audio.vad import VadOptions
from gateway.engine.whisper.features import mel_features

CLIP_SECONDS = 3
LONG_SECONDS = 60
REPEATS = {CLIP_SECONDS: 20, LONG_SECONDS: 3}
"""As the kernel counts a process's CPU time in steps of 10 ms, and as a server's caches are warm."""


_NOTE = (
    "Stages alone, in one thread. The server's process: HTTP, multipart, spool, threads, rows to the worker "
    "and back, events, SSE, and the stages but the features, which the worker computes."
)


def run(bench: Bench) -> Report:
    """The miniature's features and answers; the stages are the gateway's own."""
    rows, values = [], {}
    with serve(bench.miniature) as server:
        for seconds in (CLIP_SECONDS, LONG_SECONDS):
            file = bench.opus(seconds)
            stages = _Stages(file.read_bytes())
            sides: dict[str, Callable[[], float]] = {
                name: partial(_cpu_ms, stage, REPEATS[seconds]) for name, stage in stages.all().items()
            }
            sides["server"] = partial(_server_ms, server.edge, server.port, file, REPEATS[seconds])
            values[seconds] = {name: median(one) for name, one in interleaved(sides, bench.rounds).items()}
            own = values[seconds]
            own["rest"] = own["server"] - sum(own[name] for name in ("decode", "loudness", "VAD", "cutting"))
    for name, label in _LABELS.items():
        short, long = values[CLIP_SECONDS][name], values[LONG_SECONDS][name]
        rows.append((label, f"{short:.1f}", f"{long:.1f}", f"{long / LONG_SECONDS:.2f}"))
    clip = values[CLIP_SECONDS]
    beyond = clip["server"] - clip["decode"] - clip["VAD"]
    return Report(
        [
            Table(
                "CPU milliseconds, Opus 16 kb/s, miniature",
                ("", f"clip of {CLIP_SECONDS} s", f"recording of {LONG_SECONDS} s", "per audio second of it"),
                tuple(rows),
            )
        ],
        [
            Target(
                "the server spends at most 15 ms on a clip of 3 s beyond decode and VAD",
                f"{beyond:.1f} ms",
                beyond <= 15,
            )
        ],
        [_NOTE],
    )


_LABELS = {
    "decode": "decode (PyAV)",
    "loudness": "loudness",
    "VAD": "VAD (Silero)",
    "cutting": "cutting",
    "features": "features, in the worker",
    "server": "server, all of it",
    "rest": "server without decode, loudness, VAD, cutting",
}


class _Heard:
    """A front end that has heard the recording before, block by block."""

    def __init__(self, probabilities: list[Any]) -> None:
        self._left = iter(probabilities)

    def feed(self, _: Samples) -> Any:
        return next(self._left)

    def flush(self) -> Any:
        return np.concatenate(list(self._left))


class _Stages:
    """Each stage on what the one before it gave."""

    def __init__(self, file: bytes) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415 - a heavy import

        self._extractor: Any = FeatureExtractor()
        self._silero = SileroModel.load()
        self._file = file
        self._blocks = self.decode()
        self._loud = self.loudness()
        self._speech = self.vad()
        self._chunks = self.cutting()

    def all(self) -> dict[str, Callable[[], object]]:
        return {
            "decode": self.decode,
            "loudness": self.loudness,
            "VAD": self.vad,
            "cutting": self.cutting,
            "features": self.features,
        }

    def decode(self) -> list[Samples]:
        return list(decode(io.BytesIO(self._file), max_seconds=600))

    def loudness(self) -> list[Samples]:
        gain = RunningGain()
        return [*(gain.feed(block) for block in self._blocks), gain.flush()]

    def vad(self) -> list[Any]:
        stream = self._silero.stream()
        return [*(stream.feed(block) for block in self._loud), stream.flush()]

    def cutting(self) -> list[Chunk]:
        chunker = Chunker(_Heard(self._speech), VadOptions())
        return [chunk for block in self._blocks for chunk in chunker.feed(block)] + chunker.flush()

    def features(self) -> list[Any]:
        return [mel_features(self._extractor, chunk.samples) for chunk in self._chunks]


def _cpu_ms(stage: Callable[[], object], repeats: int) -> float:
    started = time.process_time()
    for _ in range(repeats):
        stage()
    return 1000 * (time.process_time() - started) / repeats


def _server_ms(edge: int, port: int, file: Path, requests: int) -> float:
    """Per request, one after another."""

    async def send() -> None:
        for _ in range(requests):
            await client.transcribe(port, file)

    started = cpu_seconds(edge)
    anyio.run(send)
    return 1000 * (cpu_seconds(edge) - started) / requests
