"""Joining a Ray cluster: in one line what is wrong where that fails, and nothing that Ray does unasked."""

import importlib.util
import logging
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import StartError

logger = logging.getLogger(__name__)

PREFIX = "ray:"
"""Of the setting that names a cluster."""

_ADDRESS = re.compile(r"auto|(?:\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+):\d{1,5}")

CURRENT = Path("/tmp/ray/ray_current_cluster")  # noqa: S108 - Ray's own choice
"""Where Ray writes the address of the cluster that this machine belongs to."""

ANSWER_SECONDS = 5.0
"""For the head to take a connection. Ray itself tries for two minutes, and then ends the process."""

INSTALL = "pip install 'transcription-gateway[ray]'"


def address_of(engines: str) -> str | None:
    """The cluster's address in ``ray:auto`` or ``ray:10.0.0.1:6379``; None where engines run here.

    Raises:
        StartError: It names something else.
    """
    if not engines:
        return None
    address = engines.removeprefix(PREFIX).strip()
    if engines.startswith(PREFIX) and "//" in address:
        raise StartError(
            f"GATEWAY_ENGINES is '{engines}', but audio does not go through Ray's client: have this machine "
            "join the cluster (ray start --address HOST:6379 --num-cpus 0) and say ray:auto"
        )
    if not engines.startswith(PREFIX) or _ADDRESS.fullmatch(address) is None:
        raise StartError(
            f"GATEWAY_ENGINES is '{engines}', but engines run here (unset) or on Ray: "
            "ray:auto for the cluster that this machine belongs to, ray:HOST:PORT for its head's address"
        )
    return address


def join(address: str, namespace: str) -> None:
    """Connects this process to the cluster, once; blocks for some seconds.

    Raises:
        StartError: Ray is not installed, the cluster does not answer, or is of another version.
    """
    if importlib.util.find_spec("ray") is None:
        raise StartError(f"GATEWAY_ENGINES asks for Ray, which is not installed: {INSTALL}")
    import ray  # noqa: PLC0415 - 1.3 s and 100 MB, for those alone who ask for it

    if ray.is_initialized():
        return
    try:
        _knock(address)
        with _own_signals():
            ray.init(
                address=address,
                namespace=namespace,
                logging_level=logging.WARNING,
                # The replicas' logs stay on their nodes: every gateway would repeat them.
                log_to_driver=False,
                configure_logging=False,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise StartError(explain(error, address)) from None
    logger.info("joined the Ray cluster at %s", address)


def explain(error: Exception, address: str) -> str:
    """In one line, why a cluster cannot be joined."""
    words = " ".join(str(error).split())
    if isinstance(error, OSError):
        where = "on this machine" if address == "auto" else f"at {address}"
        return (
            f"no Ray cluster answers {where} ({_line(error)}): start one (ray start --head) or join one "
            "(ray start --address HOST:6379 --num-cpus 0)"
        )
    if "ersion mismatch" in words:
        return f"the Ray cluster is of other versions than this process: {words}"
    return f"cannot join the Ray cluster at {address}: {words}"


def _knock(address: str) -> None:
    """Returns if the head takes connections, or nobody knows where it is.

    Raises:
        OSError: It takes none.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
        with suppress(OSError):
            address = address or CURRENT.read_text().strip()
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()


def leave() -> None:
    """Disconnects; the replicas go on."""
    import ray  # noqa: PLC0415

    ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Inside, Ray may set handlers of signals; behind it they are ours again."""
    try:
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        yield
    finally:
        for number, handler in before.items():
            try:
                signal.signal(number, handler)
            except ValueError:  # not the main thread, where Ray sets none either
                break


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
