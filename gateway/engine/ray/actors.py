"""The calls of Ray that start, find and end actors: nothing else of the gateway knows how Ray does that."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gateway.engine.ray.actor import EngineActor
from gateway.engine.ray.messages import Offer

CALLS = 1000
"""Of an actor at the same time; they wait for lanes in its `Line`, not for Ray."""

_KEEPER = "gateway/{model}/keeper"
_REPLICA = "gateway/{model}/{revision}/{number}"


def replica_name(model: str, revision: int, number: str) -> str:
    """By which every gateway and every keeper finds it."""
    return _REPLICA.format(model=model, revision=revision, number=number)


def keeper_name(model: str) -> str:
    """There is one for each model of a namespace."""
    return _KEEPER.format(model=model)


def create_replica(name: str, namespace: str, offer: Offer) -> Any:
    """Asks for a replica on some node; it outlives whoever asks, and is restarted by Ray."""
    import ray  # noqa: PLC0415 - see the package's docstring

    place = offer.placement
    actor = ray.remote(EngineActor).options(
        name=name,
        namespace=namespace,
        lifetime="detached",
        num_cpus=place.cpus,
        num_gpus=place.gpus,
        max_restarts=-1,
        # What it held is decoded elsewhere: the gateway sees to that, within its own time.
        max_task_retries=0,
        max_concurrency=CALLS,
        scheduling_strategy="SPREAD",
    )
    return actor.remote(offer.recipe)


def get_keeper(model: str, namespace: str) -> Any:
    """The model's keeper, which is started if there is none."""
    import ray  # noqa: PLC0415

    from gateway.engine.ray.keeper import Keeper  # noqa: PLC0415 - it imports this module

    actor = ray.remote(Keeper).options(
        name=keeper_name(model),
        namespace=namespace,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=CALLS,
    )
    return actor.remote(model, namespace)


def find_replicas(model: str, namespace: str) -> Iterator[tuple[str, int]]:
    """Names and revisions of the model's replicas, whoever started them."""
    import ray  # noqa: PLC0415

    for entry in ray.util.list_named_actors(all_namespaces=True):
        # A model's name may hold slashes.
        head, _, number = str(entry["name"]).rpartition("/")
        head, _, revision = head.rpartition("/")
        if entry["namespace"] == namespace and number and head == f"gateway/{model}" and revision.isdecimal():
            yield str(entry["name"]), int(revision)


def find(name: str, namespace: str) -> Any | None:
    """The actor's handle, if it is there still."""
    import ray  # noqa: PLC0415

    try:
        return ray.get_actor(name, namespace=namespace)
    except ValueError:
        return None


def end(handle: Any) -> None:
    """Ends an actor for good."""
    import ray  # noqa: PLC0415

    with suppress(Exception):  # it may be gone
        ray.kill(handle, no_restart=True)


def restart(handle: Any) -> None:
    """Ends an actor's process, and Ray starts another one."""
    import ray  # noqa: PLC0415

    with suppress(Exception):
        ray.kill(handle, no_restart=False)


def end_self() -> None:
    """Called in an actor: it ends, and is not restarted. Never returns."""
    import ray  # noqa: PLC0415

    ray.actor.exit_actor()


def call_self(method: str) -> None:
    """Called in an actor: has a method of it run when this one is done."""
    import ray  # noqa: PLC0415

    getattr(ray.get_runtime_context().current_actor, method).remote()


def is_gone(error: Exception) -> bool:
    """Whether the error says that the actor will not come back."""
    import ray  # noqa: PLC0415

    return isinstance(error, ray.exceptions.ActorDiedError)


def first_line(error: Exception) -> str:
    """What a person needs of Ray's error: the last line of a traceback inside it, else the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback") or "::" in line for line in lines):
        return lines[-1]
    return lines[0] if lines else type(error).__name__
