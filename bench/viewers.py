"""What viewers of live captions cost: `python -m bench.viewers [READERS]` prints the share of a core.

A server of its own process relays captions that grow as quickly as partials come (every 0.7 s); the readers,
in this process, only take what comes.
"""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.metrics import Metrics
from gateway.server.captions import Captions
from gateway.server.relay import Relay, token_of
from gateway.transcript import Transcript
from gateway.transcript.events import ItemCompleted, ItemDelta

SECRET = "nobody-else-reads-this-one"  # noqa: S105 - opens nothing but these captions
STEP_SECONDS = 0.7
STEPS_OF_A_CAPTION = 8
MEASURED_SECONDS = 20.0
READERS = 200


async def serve() -> None:
    """A speaker without end, and the endpoint."""
    relay = Relay(10_000, Metrics())
    captions = Captions(relay, anyio.Event(), send_timeout=60.0)
    app = Starlette(routes=[Route("/captions/{token}", captions.read)])
    config = uvicorn.Config(
        app, port=0, log_level="warning", lifespan="off", backlog=4096, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with relay.speaking(SECRET) as publication:
        assert publication is not None  # noqa: S101 - for mypy: there is a secret
        async with anyio.create_task_group() as tasks:

            async def until_terminated() -> None:
                await server.serve()
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_terminated)
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await anyio.sleep(0.01)
            print(server.servers[0].sockets[0].getsockname()[1], flush=True)
            for step in range(10**9):
                name = f"item_{step // STEPS_OF_A_CAPTION}"
                if step % STEPS_OF_A_CAPTION == STEPS_OF_A_CAPTION - 1:
                    whole = Transcript(
                        "two or three words more " * STEPS_OF_A_CAPTION, "en", ("en",), 5.6, (), ()
                    )
                    publication.take(ItemCompleted(name, whole, "base", logprobs=False))
                else:
                    publication.take(ItemDelta(name, " two or three words more", (), logprobs=False))
                await anyio.sleep(STEP_SECONDS)


async def read(port: int, counts: list[int]) -> None:
    """One viewer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /captions/{token_of(SECRET)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    while block := await reader.read(65_536):
        counts[0] += block.count(b"data: ")


def cpu_seconds(pid: int) -> float:
    """Of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(port: int, pid: int, readers: int) -> None:
    """Prints the share of a core."""
    counts = [0]
    async with anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(read, port, counts)
        await anyio.sleep(5)
        before, began, came = cpu_seconds(pid), time.monotonic(), counts[0]
        await anyio.sleep(MEASURED_SECONDS)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        each = (counts[0] - came) / readers / MEASURED_SECONDS
        print(f"{readers} viewers: {share:.1%} of a core, {each:.1f} events a second to each")
        tasks.cancel_scope.cancel()


def main() -> None:
    """Starts the server, and reads."""
    if sys.argv[1:] == ["serve"]:
        anyio.run(serve)
        return
    readers = int(sys.argv[1]) if len(sys.argv) > 1 else READERS
    command = [sys.executable, "-m", "bench.viewers", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        try:
            anyio.run(measure, int(server.stdout.readline()), server.pid, readers)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
