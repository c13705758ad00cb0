"""Sessions in which nobody speaks: what each costs, and how many can be open."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import anyio
from anyio.abc import TaskStatus
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.realtime_client import update, url
from bench.server import RunningServer, cpu_seconds, memory_mb
from bench.talk import STEP_SECONDS, silence

SILENT = 50
OPEN = 1000


@dataclass(frozen=True, slots=True)
class Idle:
    """What was measured.

    Attributes:
        core: Share of one core that a session takes of the server while its client sends silence.
        megabytes: Resident memory that such a session adds.
        idle_kilobytes: And one whose client sends nothing.
        stayed: So many of `OPEN` sessions answered in the end.
    """

    core: float
    megabytes: float
    idle_kilobytes: float
    stayed: int


def measure(server: RunningServer, seconds: float) -> Idle:
    """Silent sessions first, then those that send nothing; each for so many seconds."""
    anyio.run(partial(_silent, server, 2, 2.0))
    core, megabytes = anyio.run(_silent, server, SILENT, seconds)
    kilobytes, stayed = anyio.run(_open, server, seconds)
    return Idle(core, megabytes, kilobytes, stayed)


async def _silent(server: RunningServer, clients: int, seconds: float) -> tuple[float, float]:
    """Share of a core and megabytes for each."""
    frames, before = silence(10).frames, memory_mb(server.edge)
    async with anyio.create_task_group() as tasks:
        for number in range(clients):
            tasks.start_soon(_send_silence, server.port, frames, number / clients)
        # Past the connecting, and until the kept audio of each is at its most.
        await anyio.sleep(6)
        cpu, began = cpu_seconds(server.edge), anyio.current_time()
        await anyio.sleep(seconds)
        core = (cpu_seconds(server.edge) - cpu) / (anyio.current_time() - began)
        added = memory_mb(server.edge) - before
        tasks.cancel_scope.cancel()
    return core / clients, added / clients


async def _send_silence(port: int, frames: tuple[str, ...], wait: float) -> None:
    await anyio.sleep(wait)
    async with connect(url(port), open_timeout=60) as socket:
        await socket.send(update(continuous=False))
        began, number = anyio.current_time(), 0
        while True:
            await socket.send(frames[number % len(frames)])
            number += 1
            await anyio.sleep_until(began + number * STEP_SECONDS)


async def _open(server: RunningServer, seconds: float) -> tuple[float, int]:
    """Kilobytes for each, and how many answer after so many seconds."""
    before = memory_mb(server.edge)
    stayed: list[bool] = []
    async with anyio.create_task_group() as tasks:
        sockets: list[ClientConnection] = [await tasks.start(_keep_open, server.port) for _ in range(OPEN)]
        await anyio.sleep(seconds)
        added = memory_mb(server.edge) - before
        async with anyio.create_task_group() as answers:
            for socket in sockets:
                answers.start_soon(_answer, socket, stayed)
        tasks.cancel_scope.cancel()
    return 1000 * added / OPEN, len(stayed)


async def _keep_open(port: int, *, task_status: TaskStatus[ClientConnection]) -> None:
    async with connect(url(port), open_timeout=60) as socket:
        await socket.recv()
        task_status.started(socket)
        await socket.wait_closed()


async def _answer(socket: ClientConnection, stayed: list[bool]) -> None:
    with suppress(ConnectionClosed):
        await socket.send('{"type": "input_audio_buffer.clear"}')
        await socket.recv()
        stayed.append(True)
