"""Joining a Ray cluster: in one line what is wrong where that fails, and nothing that Ray does unasked."""

import importlib.util
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import StartError

logger = logging.getLogger(__name__)

PREFIX = "ray:"
"""Of the setting that names a cluster."""

INSTALL = "pip install 'transcription-gateway[ray]'"


def address_of(engines: str) -> str | None:
    """The cluster's address in ``ray:auto`` or ``ray:10.0.0.1:6379``; None where engines run here.

    Raises:
        StartError: It names something else.
    """
    if not engines:
        return None
    if not engines.startswith(PREFIX) or engines == PREFIX:
        raise StartError(
            f"GATEWAY_ENGINES is '{engines}', but engines run here (unset) or on Ray: "
            "ray:auto for the cluster that this machine belongs to, ray:HOST:PORT for its head's address"
        )
    address = engines.removeprefix(PREFIX)
    if "://" in address:
        raise StartError(
            f"GATEWAY_ENGINES is '{engines}', but audio does not go through Ray's client: have this machine "
            "join the cluster (ray start --address HOST:6379 --num-cpus 0) and say ray:auto"
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
        with _own_signals():
            ray.init(
                address=address,
                namespace=namespace,
                logging_level=logging.WARNING,
                # The replicas' logs stay on their nodes: every gateway would repeat them.
                log_to_driver=False,
                configure_logging=False,
            )
    except ConnectionError as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        raise StartError(
            f"no Ray cluster answers {where} ({_line(error)}): start one (ray start --head) or join one "
            "(ray start --address HOST:6379 --num-cpus 0)"
        ) from None
    except ray.exceptions.AuthenticationError as error:
        raise StartError(f"the Ray cluster refuses us: {_line(error)}") from None
    except (RuntimeError, ValueError) as error:
        if "ersion mismatch" in str(error):
            words = " ".join(str(error).split())
            raise StartError(f"the Ray cluster is of another version than this process. {words}") from None
        raise StartError(f"cannot join the Ray cluster at {address}: {_line(error)}") from None
    logger.info("joined the Ray cluster at %s", address)


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
