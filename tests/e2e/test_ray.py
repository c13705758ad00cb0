"""Gateways on a real Ray cluster, as processes of their own: what ends, ends without a word lost."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import httpx
import pytest

from gateway.engine.ray import actors
from tests.e2e.resuming import FRAME_BYTES, Client
from tests.e2e.speaker import speech
from tests.ray_cluster import NO_RAY, RayNodes, end_replicas, ray_nodes
from tests.support import MODEL, LiveServer, Sample, until

pytestmark = [
    NO_RAY,
    pytest.mark.ray,
    pytest.mark.slow,
    # A node takes five seconds to start, a gateway three; many times that on a busy machine.
    pytest.mark.timeout(600),
    # Ray's own: sockets and processes that it leaves to the collector.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
]

SECRET = "the same for all"
NAME = "shared"


@dataclass
class Edge:
    """A gateway's process; it has a `LiveServer`'s address, which is all that clients want of one."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def as_server(self) -> LiveServer:
        """For clients that are typed for one."""
        return cast("LiveServer", self)

    def stream(self, sample: Sample, lines: list[str]) -> str:
        """The text of a streamed transcription; ``lines`` gets its events as they come."""
        with (
            sample.path.open("rb") as file,
            httpx.stream(
                "POST",
                f"{self.url}/v1/audio/transcriptions",
                data={"model": NAME, "stream": "true"},
                files={"file": (sample.path.name, file)},
                timeout=300,
            ) as response,
        ):
            for line in response.iter_lines():
                lines += [line.removeprefix("data: ")] if line.startswith("data: {") else []
        events = [json.loads(line) for line in lines]
        assert events[-1]["type"] == "transcript.text.done", events
        return str(events[-1]["text"])


@contextmanager
def edge(nodes: RayNodes, **variables: str) -> Iterator[Edge]:
    """A gateway with replicas of the miniature, one for each node."""
    models = json.dumps([{"source": str(MODEL), "name": NAME, "audio_context": "fit"}])
    environment = {
        **os.environ,
        "GATEWAY_MODELS": models,
        "GATEWAY_RAY_REPLICAS": "2",
        "GATEWAY_RAY_LINGER": "20",
        "GATEWAY_RAY_SILENCE": "4",
        "GATEWAY_LOAD_WAIT": "120",
        "GATEWAY_SESSION_SECRET": SECRET,
        **variables,
    }
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--engines", f"ray:{nodes.address}"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log: list[str] = []
        url = ""
        for line in process.stderr:
            log.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                url = found[1]
                break
        assert url, log
        reading = threading.Thread(target=lambda: log.extend(process.stderr or ()))
        reading.start()
        try:
            started = Edge(process, url)
            until(lambda: httpx.get(f"{url}/ready").status_code == 200)
            yield started
        finally:
            process.kill()
            process.wait()
            reading.join()


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """A head and two nodes, with room for one replica each."""
    with ray_nodes(2) as started:
        yield started
        end_replicas(NAME)


@pytest.fixture(scope="module")
def edges(nodes: RayNodes) -> Iterator[list[Edge]]:
    """Two gateways that share the replicas."""
    with edge(nodes) as first, edge(nodes) as second:
        yield [first, second]


@pytest.mark.promise("a machine of a cluster lost in mid-stream: no word is, and the stream goes on")
def test_a_node_lost_in_mid_stream_costs_no_word(
    nodes: RayNodes, edges: list[Edge], samples: dict[str, Sample]
) -> None:
    """The stream ends with the text that it has without that."""
    calm = edges[0].stream(samples["en_long"], [])
    lines: list[str] = []
    texts: list[str] = []
    streaming = threading.Thread(target=lambda: texts.append(edges[0].stream(samples["en_long"], lines)))
    streaming.start()
    until(lambda: lines or texts)
    nodes.kill()
    streaming.join()
    nodes.add()

    assert texts == [calm]


@pytest.mark.promise("a gateway before a cluster killed: its live sessions go on at another, no word lost")
def test_an_edge_that_is_killed_loses_no_word(
    nodes: RayNodes, edges: list[Edge], samples: dict[str, Sample]
) -> None:
    """Its live clients come back to the other one, which has the same secret and no more."""
    audio = b"".join(speech(samples["en_hello"].path) for _ in range(3))
    calm = Client(edges[1].as_server, audio)
    calm.finish()
    with edge(nodes) as doomed:
        client = Client(doomed.as_server, audio)
        client.say(len(audio) // FRAME_BYTES // 2)
        client.until_items(1)
        doomed.process.send_signal(signal.SIGKILL)
        doomed.process.wait()
        client.connect(edges[1].as_server)
        client.finish()

    assert client.states == ["new", "restarted"]
    assert client.texts == calm.texts


@pytest.mark.promise("a model replaced on a cluster under way: streams go on")
def test_a_model_is_replaced_without_a_cut_stream(
    nodes: RayNodes, edges: list[Edge], samples: dict[str, Sample]
) -> None:
    """A gateway with a higher revision comes; all replicas are new in the end, and every stream is whole."""
    calm = edges[0].stream(samples["en_long"], [])
    texts: list[str] = []
    is_over = threading.Event()

    def listen() -> None:
        while not is_over.is_set():
            texts.append(edges[0].stream(samples["en_long"], []))

    listening = threading.Thread(target=listen)
    listening.start()
    with edge(nodes, GATEWAY_RAY_REVISION="1"):
        until(lambda: [revision for _, revision in actors.find_replicas(NAME, "gateway")] == [1, 1])
        seen = len(texts)
        until(lambda: len(texts) >= seen + 2)
        is_over.set()
        listening.join()

    assert set(texts) == {calm}
