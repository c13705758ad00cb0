"""Clients that speak to a running server at once, what they saw, and what that cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread
import httpx

from bench.realtime import Session, converse
from bench.server import Metrics, RunningServer, cpu_seconds
from bench.sessions import Figures, figures, file_errors
from bench.stage import Table
from bench.stats import per_cent, percentile, percentiles
from bench.talk import STEP_SECONDS, Phrase, Talk, make_talk, silence

MOST_LAG = 1.0
"""Seconds of p95 behind the silence window that still count as live."""

FAST = 8.0
"""Times as fast as it is said, a recording is sent as if it were live."""

TALKS = 16
"""Different ones; more clients than that say the same at other times."""


@dataclass(frozen=True, slots=True)
class Run:
    """One column.

    Attributes:
        files: The word error rate of the same phrases as files.
        edge: CPU ms of the server for a second of each session's audio; ``worker``: of the engine.
        waiting: The most audio that waited, in kB.
        batch: Seconds of the mean engine call.
    """

    name: str
    figures: Figures
    files: float
    edge: float
    worker: float
    dropped: int
    decoded: int
    waiting: float
    batch: float

    @property
    def lag(self) -> float:
        """p95 behind the silence window."""
        return percentile(self.figures.finals, 95)

    @property
    def fits(self) -> bool:
        """Everybody is heard, in time."""
        heard = not (self.figures.refused or self.figures.broken or self.figures.lost)
        return heard and self.lag <= MOST_LAG


class Crowd:
    """A running server and what is said to it.

    Args:
        has_words: What the server's model writes means something.
    """

    def __init__(self, server: RunningServer, said: Sequence[Phrase], *, has_words: bool) -> None:
        self.has_words = has_words
        self._server = server
        self._phrases = said
        self._files = _as_files(server, said) if has_words else {}
        self._waiting: list[float] = []

    def run(
        self,
        name: str,
        clients: int,
        seconds: float,
        *,
        continuous: bool = False,
        over: float = 2.0,
        fast: int = 0,
    ) -> Run:
        """So many clients that begin within ``over`` seconds; beside them ``fast`` ones, not counted."""
        talks = [make_talk(self._phrases, seconds, number) for number in range(min(clients, TALKS))]
        anyio.run(self._calm)
        before, self._waiting = self._measured(), [0.0]
        sessions = anyio.run(partial(self._converse, talks, clients, over, continuous=continuous, fast=fast))
        values = self._measured() - before
        admitted = sum(not session.refused for session in sessions) * seconds or math.nan
        return Run(
            name,
            figures(sessions),
            file_errors(sessions, self._files) if self._files else math.nan,
            1000 * values["edge"] / admitted,
            1000 * values["worker"] / admitted,
            round(values["dropped"]),
            round(values["decoded"]),
            max(self._waiting) / 1e3,
            values.call_seconds,
        )

    def _measured(self) -> Metrics:
        values = self._server.metrics()
        values["edge"] = cpu_seconds(self._server.edge)
        values["worker"] = sum(map(cpu_seconds, self._server.workers))
        for outcome in ("dropped", "decoded"):
            values[outcome] = self._server.metrics(outcome=outcome).get("gateway_live_partials_total", 0)
        return values

    async def _calm(self) -> None:
        """Returns when the run before is forgotten: newcomers are refused for a while after an overload."""
        while True:
            if not (await converse(self._server.port, silence(STEP_SECONDS))).refused:
                return
            await anyio.sleep(0.5)  # it is another process that forgets

    async def _converse(
        self, talks: Sequence[Talk], clients: int, over: float, *, continuous: bool, fast: int
    ) -> list[Session]:
        sessions: list[Session] = []

        async def client(number: int) -> None:
            await anyio.sleep(over * number / clients)
            talk = talks[number % len(talks)]
            sessions.append(await converse(self._server.port, talk, continuous=continuous))

        async def hasten(number: int) -> None:
            while True:
                await converse(self._server.port, talks[number % len(talks)], pace=FAST)

        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch)
            for number in range(fast):
                watching.start_soon(hasten, number)
            async with anyio.create_task_group() as tasks:
                for number in range(clients):
                    tasks.start_soon(client, number)
            watching.cancel_scope.cancel()
        return sessions

    async def _watch(self) -> None:
        while True:
            values = await anyio.to_thread.run_sync(self._server.metrics)
            self._waiting.append(values["gateway_live_waiting_bytes"])
            await anyio.sleep(0.5)


def _as_files(server: RunningServer, said: Sequence[Phrase]) -> dict[str, str]:
    """What an upload of each phrase gives, by its text."""
    texts, form = {}, {"model": "whisper-1", "language": "en"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1", timeout=60) as client:
        for phrase in said:
            files = {"file": ("phrase.wav", phrase.wav())}
            answer = client.post("/audio/transcriptions", data=form, files=files)
            texts[phrase.text] = answer.raise_for_status().json()["text"]
    return texts


def runs_table(title: str, runs: Sequence[Run]) -> Table:
    """A column for each run."""
    rows = [(name, *(value(run, run.figures) for run in runs)) for name, value in _ROWS.items()]
    return Table(title, ("", *(run.name for run in runs)), rows)


_ROWS: dict[str, Callable[[Run, Figures], str]] = {
    "final, s: p50 / p95 / p99": lambda _, found: percentiles(found.finals, 50, 95, 99),
    "final from the last word, s: p50 / p95": lambda _, found: percentiles(found.speech_ends, 50, 95),
    "first text, s: p50 / p95": lambda _, found: percentiles(found.firsts, 50, 95),
    "words, s: p50 / p95": lambda _, found: percentiles(found.words, 50, 95),
    "between deltas, s: p50": lambda _, found: percentiles(found.intervals, 50),
    "finals": lambda _, found: f"{len(found.finals)}",
    "text before the end": lambda _, found: per_cent(found.early),
    "begins with released": lambda _, found: per_cent(found.begins),
    "equals its deltas": lambda _, found: per_cent(found.equals),
    "partials decoded / dropped": lambda run, _: f"{run.decoded} / {run.dropped}",
    "word errors live / as files": lambda run, found: f"{per_cent(found.errors)} / {per_cent(run.files)}",
    "server, CPU ms per stream second": lambda run, _: f"{run.edge:.1f}",
    "worker, CPU ms per stream second": lambda run, _: f"{run.worker:.0f}",
    "audio waiting at most, kB": lambda run, _: f"{run.waiting:.0f}",
    "sessions refused (1013) / broken": lambda _, found: f"{found.refused} / {found.broken}",
    "finals lost": lambda _, found: f"{found.lost}",
    "an engine call, s": lambda run, _: f"{run.batch:.2f}",
    "clients' own delay at most, s": lambda _, found: f"{found.late:.2f}",
}
