"""A running server and clients that speak to it at once, and what that cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread
import httpx

from bench.live_figures import Figures, figures, file_errors, percentile
from bench.realtime_client import Session, converse
from bench.server import RunningServer, cpu_seconds
from bench.talk import Phrase, Talk, make_talk

MOST_LAG = 1.0
"""Seconds of p95 behind the silence window that still count as live."""

TALKS = 16
"""Different ones; more clients than that say the same at other times."""


@dataclass(frozen=True, slots=True)
class Run:
    """One column."""

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


class Stage:
    """A running server and what is said to it."""

    def __init__(self, server: RunningServer, said: list[Phrase], files: dict[str, str]) -> None:
        self._server = server
        self._phrases = said
        self._files = files

    def run(
        self, name: str, clients: int, seconds: float, *, continuous: bool = False, over: float = 2.0
    ) -> Run:
        """So many clients that begin within ``over`` seconds."""
        talks = [make_talk(self._phrases, seconds, number) for number in range(min(clients, TALKS))]
        anyio.run(self._calm)
        before = self._measured()
        waiting = [0.0]
        sessions = anyio.run(partial(self._converse, talks, clients, over, waiting, continuous=continuous))
        values = {key: value - before.get(key, 0) for key, value in self._measured().items()}
        admitted = sum(not session.refused for session in sessions) * seconds or math.nan
        return Run(
            name,
            figures(sessions),
            file_errors(sessions, self._files) if self._files else math.nan,
            1000 * values["edge"] / admitted,
            1000 * values["worker"] / admitted,
            round(values["dropped"]),
            round(values["decoded"]),
            max(waiting) / 1e3,
            values["gateway_batch_seconds_sum"] / (values["gateway_batch_seconds_count"] or math.nan),
        )

    def _measured(self) -> dict[str, float]:
        name = "gateway_live_partials_total"
        return self._server.metrics() | {
            "edge": cpu_seconds(self._server.edge),
            "worker": sum(map(cpu_seconds, self._server.workers)),
            **{
                outcome: self._server.metrics(outcome=outcome).get(name, 0)
                for outcome in ("dropped", "decoded")
            },
        }

    async def _calm(self) -> None:
        """Returns when the run before is forgotten: newcomers are refused for a while behind an overload."""
        while True:
            if not (await converse(self._server.port, Talk((), ()))).refused:
                return
            await anyio.sleep(0.5)  # it is another process that forgets

    async def _converse(
        self, talks: Sequence[Talk], clients: int, over: float, waiting: list[float], *, continuous: bool
    ) -> list[Session]:
        sessions: list[Session] = []

        async def client(number: int) -> None:
            await anyio.sleep(over * number / clients)
            talk = talks[number % len(talks)]
            sessions.append(await converse(self._server.port, talk, continuous=continuous))

        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch, waiting)
            async with anyio.create_task_group() as tasks:
                for number in range(clients):
                    tasks.start_soon(client, number)
            watching.cancel_scope.cancel()
        return sessions

    async def _watch(self, waiting: list[float]) -> None:
        while True:
            values = await anyio.to_thread.run_sync(self._server.metrics)
            waiting.append(values["gateway_live_waiting_bytes"])
            await anyio.sleep(0.5)


def as_files(server: RunningServer, said: Sequence[Phrase]) -> dict[str, str]:
    """What an upload of each phrase gives, by its text."""
    texts = {}
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for phrase in said:
            answer = client.post(
                "/v1/audio/transcriptions",
                data={"model": "whisper-1", "language": "en"},
                files={"file": ("phrase.wav", phrase.wav())},
            )
            texts[phrase.text] = answer.raise_for_status().json()["text"]
    return texts
