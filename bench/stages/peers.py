"""The gateway beside faster-whisper: the same weights, recordings and beam, in one run, by turns.

Weights and recordings are those of the words benchmark where they are there, else the miniature and its talk.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import anyio
import numpy as np

from bench import client
from bench.engines import cpu_threads
from bench.hearing import clip, find_base, model_name
from bench.server import RunningServer, memory_mb, metrics_at, serve
from bench.speech import find_speech, load
from bench.stage import Bench, Finding, Plot, Table, Target
from bench.stats import interleaved, percentile, ratios, seconds, spread
from bench.variants import wav
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.whisper.stopwatch import STAGES

BEAM = 5
CLIENTS = (1, 4, 16)
CLIP_SECONDS = 3
QUICK_CLIENTS = 8
QUICK_BYTES = 2_000_000
"""Recordings of a minute at most."""

BESIDE = 8
LONG_SECONDS = 600
CLIPS = 12
SEQUENTIAL, BATCHED = "faster_whisper, with VAD", "faster_whisper, batched (8)"
DEFAULT = "gateway"
VARIANTS: Mapping[str, Mapping[str, str]] = {
    DEFAULT: {},
    "gateway, one call of 8": {
        "GATEWAY_LANES": "1",
        "GATEWAY_MAX_BATCH": "8",
    },
}
COLUMNS = ("", "times real time", "of the best of faster_whisper", "CPU ms for a second of audio")
NOT_HERE = (
    "Not beside them: pywhispercpp is on the package index, but no weights in its format (ggml) are; "
    "WhisperLive is, but wants torch, for the same faster-whisper; speaches is not."
)


Costs: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Material:
    """What all sides are given.

    Attributes:
        files: As many as there are clients at most.
        seconds: Of audio, of each file.
    """

    model: Path
    files: list[Path]
    seconds: dict[Path, float]
    clip: Path
    long: Path
    what: str


def run(bench: Bench) -> Iterator[Finding]:
    """Throughput of 1, 4 and 16 clients, then a clip alone and beside long files."""
    material = _material(bench)
    rounds = 2 if bench.quick else min(3, bench.rounds)
    clients = (QUICK_CLIENTS,) if bench.quick else CLIENTS
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serve(material.model, GATEWAY_DEVICE="cpu", **variables))
            for name, variables in VARIANTS.items()
        }
        peers, clip_alone = _peers(material)
        lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for count in clients:
            work: dict[str, Callable[[], float]] = {}
            costs: Costs = defaultdict(list)
            files = material.files[:count]
            for name, server in servers.items():
                work[name] = partial(
                    _rate, server.upload_all, material, files, server.cpu_seconds, costs[name]
                )
            for name, call in peers.items():
                # One after the other: how many wait changes nothing.
                work[name] = partial(_rate, call, material, files[:BESIDE], time.process_time, costs[name])
            rates = interleaved(work, rounds)
            for name, found in rates.items():
                lines[name].append((count, median(found)))
            yield from _throughput(rates, costs, count, material)
        yield Plot("Hours of speech transcribed in an hour", "people at the same time", "hours", lines)
        yield _where_time_goes(servers[DEFAULT])
        yield from _clips(servers, material, clip_alone, rounds)
        rows = [
            (name, f"{memory_mb(server.edge, peak=True):.0f}", f"{_worker_mb(server):.0f}")
            for name, server in servers.items()
        ]
        yield Table("Peak memory in MB", ("", "server", "worker"), rows)
    yield NOT_HERE


def _material(bench: Bench) -> Material:
    model = find_base()
    speech = find_speech()
    if model is None or not (speech / "recordings.json").is_file():
        files = [bench.opus(60, start) for start in range(CLIENTS[-1])]
        known, what = dict.fromkeys(files, 60.0), "miniature, talk of 60 s"
        short, long = bench.opus(CLIP_SECONDS), bench.opus(LONG_SECONDS)
        return Material(bench.model(), files, known, short, long, what)
    bench.folder.mkdir(parents=True, exist_ok=True)
    english = [each for each in load(speech) if each.language == "en"]
    recordings = sorted(english, key=lambda each: len(each.file), reverse=True)
    if bench.quick:
        recordings = [each for each in recordings if len(each.file) < QUICK_BYTES][:QUICK_CLIENTS]
    recordings = recordings[: CLIENTS[-1]]
    seconds = {}
    for recording in recordings:
        path = bench.folder / f"{recording.name}.flac"
        path.write_bytes(recording.file)
        seconds[path] = len(recording.samples) / SAMPLE_RATE
    everything = np.concatenate([each.samples for each in recordings])
    repeated = np.resize(everything, LONG_SECONDS * SAMPLE_RATE)
    long = bench.folder / "long.wav"
    long.write_bytes(wav(repeated))
    what = f"{model_name(model)}, int8, beam {BEAM}, up to {len(seconds)} English recordings"
    return Material(model, list(seconds), seconds, clip(bench, CLIP_SECONDS), long, what)


def _peers(
    material: Material,
) -> tuple[dict[str, Callable[[Sequence[Path]], None]], Callable[[], float]]:
    """Whatever transcribes files in this process, and the time of its own call for the clip."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415 - a heavy import

    model: Any = WhisperModel(
        str(material.model),
        device="cpu",
        compute_type="int8",
        cpu_threads=os.cpu_count() or cpu_threads(),
        local_files_only=True,
    )

    def transcribe(model: Any, files: Sequence[Path], **options: Any) -> None:
        for file in files:
            segments, _ = model.transcribe(
                str(file), beam_size=BEAM, language="en", vad_filter=True, **options
            )
            list(segments)

    sequential = partial(transcribe, model, condition_on_previous_text=False)
    pipeline = BatchedInferencePipeline(model)
    batched = partial(transcribe, pipeline, without_timestamps=False, batch_size=8)
    sequential([material.clip])  # loads its VAD
    return {SEQUENTIAL: sequential, BATCHED: batched}, partial(seconds, partial(sequential, [material.clip]))


def _rate(
    call: Callable[[Sequence[Path]], object],
    material: Material,
    files: Sequence[Path],
    clock: Callable[[], float],
    costs: list[float],
) -> float:
    """Seconds of audio for each second; what a second of audio cost, by the clock, goes to ``costs``."""
    began, length = clock(), sum(material.seconds[file] for file in files)
    took = seconds(partial(call, files))
    costs.append((clock() - began) / length)
    return length / took


def _throughput(
    rates: Mapping[str, list[float]], costs: Costs, count: int, material: Material
) -> Iterator[Finding]:
    best = max((SEQUENTIAL, BATCHED), key=lambda name: median(rates[name]))
    rows = []
    for name, found in rates.items():
        cost = 1000 * median(costs[name])
        rows.append((name, spread(found, 1), spread(ratios(found, rates[best])), f"{cost:.0f}"))
    yield Table(f"{count} client{'s'[: count > 1]}: {material.what}", COLUMNS, rows)
    least = 1.25 if count == 1 else 1.35
    share = ratios(rates[DEFAULT], rates[best])
    yield Target(f"{count} clients: {least} of its best", spread(share), median(share) >= least)


def _where_time_goes(server: RunningServer) -> Table:
    """The worker's own clock, as `/metrics` tells it: calls at the same time share the cores."""
    rows = server.metrics().rows
    seconds = {
        stage: server.metrics(stage=stage).get("gateway_stage_seconds_total", 0.0)
        for stage in (*STAGES.values(), "retry")
    }
    whole = sum(seconds.values()) or 1.0
    return Table(
        f"Where a row's time goes, {rows:.0f} rows, from /metrics",
        ("", "s for a row", "share"),
        [
            (stage, f"{spent / max(rows, 1):.3f}", f"{100 * spent / whole:.0f} %")
            for stage, spent in seconds.items()
        ],
    )


def _clips(
    servers: Mapping[str, RunningServer], material: Material, theirs: Callable[[], float], rounds: int
) -> Iterator[Finding]:
    """A clip of 3 s for each variant: alone, and beside long files."""
    sides = {name: partial(_alone, server, material.clip) for name, server in servers.items()}
    alone = interleaved({**sides, SEQUENTIAL: theirs}, 3 * rounds)
    rows, beside = [], {}
    for name, server in servers.items():
        replies = anyio.run(_beside, server, material)
        beside[name] = [reply.seconds for reply in replies]
        rows.append((name, _p50_p95(alone[name]), _p50_p95(beside[name])))
    rows.append((SEQUENTIAL, _p50_p95(alone[SEQUENTIAL]), "–"))  # noqa: RUF001 - it knows no others
    title = f"Seconds for a clip of {CLIP_SECONDS} s: p50 / p95"
    yield Table(title, ("", "alone", f"beside {BESIDE} long files"), rows)
    share = ratios(alone[DEFAULT], alone[SEQUENTIAL])
    yield Target("a clip alone takes at most 1.1 of its call", spread(share), median(share) <= 1.1)
    later = percentile(beside[DEFAULT], 95) - median(alone[DEFAULT])
    yield Target("beside, p95 is at most 1.5 s later", f"{later:.2f} s", later <= 1.5)


def _alone(server: RunningServer, clip: Path) -> float:
    server.wait_idle()
    return server.upload(clip).seconds


async def _beside(server: RunningServer, material: Material) -> list[client.Reply]:
    async def keep_busy() -> None:
        while True:
            await client.transcribe(server.port, material.long)

    async with anyio.create_task_group() as tasks:
        before = (await anyio.to_thread.run_sync(server.metrics)).rows
        for _ in range(BESIDE):
            tasks.start_soon(keep_busy)
        # Previews and first chunks are done by then.
        await metrics_at(server, round(before) + 2 * BESIDE)
        replies = [await client.transcribe(server.port, material.clip) for _ in range(CLIPS)]
        tasks.cancel_scope.cancel()
    return replies


def _p50_p95(values: Sequence[float]) -> str:
    return f"{median(values):.2f} / {percentile(values, 95):.2f}"


def _worker_mb(server: RunningServer) -> float:
    return sum(memory_mb(pid, peak=True) for pid in server.workers)
