"""A Ray cluster of several nodes on this machine, and gateways' batchers on it."""

import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any

import anyio
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.ray import actors, cluster
from gateway.engine.ray.messages import Placement
from gateway.engine.ray.spec import RaySpec
from gateway.metrics import Metrics
from tests.scripted import Act, ScriptedSpec, act

NO_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install '.[ray]'")

STORE_BYTES = 80_000_000
"""Of each node; Ray takes a third of the machine's memory otherwise."""

ENVIRONMENT = {
    # Processes that start on a busy machine take longer than Ray's 30 s, and none talks to strangers.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_worker_register_timeout_seconds": "120",
    "RAY_AUTH_MODE": "disabled",
    # Ray's actors give way to all other processes otherwise, and there may be many.
    "RAY_worker_niceness": "0",
}


class RayNodes:
    """Nodes of a cluster; the head has no cores, so that no replica is on it."""

    def __init__(self, nodes: int) -> None:
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - where it is installed

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []
        for _ in range(nodes):
            self.add()
        cluster.join(self.address, "gateway")

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    def add(self) -> None:
        """A node with one core. From any thread: signals stay as they are."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ray._private.utils.set_sigterm_handler", lambda _: None)
            self.nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES))

    def kill(self) -> None:
        """The first node loses its power."""
        self._cluster.remove_node(self.nodes.pop(0), allow_graceful=False)

    def end(self) -> None:
        """No process is left."""
        cluster.leave()
        self._cluster.shutdown()


@contextmanager
def ray_nodes(nodes: int) -> Iterator[RayNodes]:
    """A cluster with so many nodes of one core each; this process belongs to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        try:
            started = RayNodes(nodes)
        except Exception as error:
            # Ray gives a node 30 s, whatever else the machine does.
            if "timed out during startup" not in str(error):
                raise
            pytest.skip("this machine is too busy to start Ray's nodes in 30 s")
        try:
            yield started
        finally:
            started.end()


def shared_spec(engine: ScriptedSpec, **placement: Any) -> RaySpec:
    """An engine on the cluster, with a model's name that no other test has."""
    return RaySpec(
        engine,
        engine.load,
        Placement(**{"linger": 10.0, "cpus": 0.2, **placement}),
        version="test",
        silence=3.0,
    )


def fresh_name() -> str:
    """A model's name that no other test has."""
    return f"scripted-{uuid.uuid4().hex[:6]}"


@asynccontextmanager
async def edge_of(spec: RaySpec, *, slots: int = 4, ready: int = 1) -> AsyncIterator[Batcher]:
    """A gateway's batcher on the cluster, once so many replicas serve it."""
    batcher = Batcher(spec, Metrics(), BatcherOptions(restart_seconds=0.1), [{}] * slots)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.changed.until(lambda: serving(batcher) >= ready or batcher.hopeless)
        yield batcher
        tasks.cancel_scope.cancel()


def serving(batcher: Batcher) -> int:
    """Replicas that this gateway has."""
    return sum(status.state.serves for status in batcher.state)


async def say(
    batcher: Batcher, number: int, what: Act = Act.SAY, *, seconds: float = 10.0, beam_size: int | None = None
) -> str:
    """What the engine says to a row of so many seconds, which goes through the object store."""
    request = DecodeRequest(act(number, what, seconds=seconds), DecodeOptions(beam_size=beam_size))
    return (await batcher.transcribe(request, stream=number)).segments[0].text


def end_replicas(model: str) -> None:
    """Ends what a test started, sooner than it would by itself."""
    keeper = actors.find(actors.keeper_name(model), "gateway")
    if keeper is not None:
        actors.end(keeper)
    for name, _ in list(actors.find_replicas(model, "gateway")):
        if (replica := actors.find(name, "gateway")) is not None:
            actors.end(replica)


logging.getLogger("ray").setLevel(logging.ERROR)
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
