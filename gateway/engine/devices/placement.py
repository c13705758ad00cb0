"""Which device, which cores and how many threads each worker gets, as the environment it is started with."""

import math
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self

from gateway.engine.devices.cuda import DEVICE_ORDER
from gateway.engine.worker import CPUS_VARIABLE, NICE_VARIABLE
from gateway.errors import DeviceUnavailableError

Environment = dict[str, str]

_OWN_GROUP = Path("/proc/self/cgroup")

THREADS_VARIABLE = "OMP_NUM_THREADS"
"""The most of a lane: an engine takes no more, whatever its recipe says."""

AT_EASE_NICENESS = 10
"""Of a worker that gives way to another one on the same cores, which then gets nine tenths of them."""

MAX_LANES = 8
"""Of one worker: its Python is one thread at a time, and each lane takes memory of its own."""

THREADS_PER_CORE = 4
"""Of all lanes together. On two cores four lanes of two threads, all busy, took 3 % more processor time than
two lanes of two, and those 4 to 15 % more than two of one, which leave a core idle where a row is decoded
alone."""

SPINS = 10_000
"""Of a thread that waits, before it sleeps: 0.1 to 0.5 ms. On two cores a row of 22 s that was alone took
0.9 s with 1,000 to 10,000 of them, 1.8 s with none or 300; rows in all lanes took as long either way."""

MAX_LANE_THREADS = 16
"""More of them wait for each other longer than they work; derived, not measured."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Calls that a worker has under way at once, and the threads of each."""

    count: int
    threads: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use of it.

    Attributes:
        cores: Numbers of the cores it may run on, neighbours side by side (see `by_place`).
        quota: Cores' worth of time that its container gets, None without a limit.
        visible_gpus: CUDA_VISIBLE_DEVICES, None where it is not set.
        orders_gpus: CUDA_DEVICE_ORDER is set.
    """

    cores: tuple[int, ...]
    quota: float | None = None
    visible_gpus: str | None = None
    orders_gpus: bool = False

    @classmethod
    def here(cls) -> Self:
        """The one this process runs on."""
        # Neither macOS nor Windows can pin a process.
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        return cls(
            cores=by_place(cores, Path("/sys/devices/system")),
            quota=read_quota(Path("/sys/fs/cgroup")),
            visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
            orders_gpus="CUDA_DEVICE_ORDER" in os.environ,
        )

    @property
    def core_count(self) -> int:
        """Cores that are worth a thread."""
        return max(1, min(len(self.cores), math.ceil(self.quota or len(self.cores))))

    def threads(self, wanted: int, workers: int) -> int:
        """Threads for each of all ``workers``; 0 wanted shares the cores."""
        return wanted or max(1, self.core_count // workers)

    def lanes(self, wanted: int, *, wanted_threads: int, workers: int) -> "Lanes":
        """How each of all ``workers`` on CPUs uses its share of the cores; 0 wanted leaves a number to us.

        One thread each while all lanes are busy is what costs least: threads that share a row wait for each
        other some hundred times in each step. But a row that is alone is to have all cores. So there is a
        lane for each core, of several threads, and they wait asleep: the system gives the cores to whoever
        has something to do.
        """
        cores = self.threads(wanted_threads, workers)
        count = wanted or min(cores, MAX_LANES)
        if wanted_threads:
            return Lanes(count, max(1, wanted_threads // count))
        return Lanes(count, min(cores, MAX_LANE_THREADS, max(1, THREADS_PER_CORE * cores // count)))

    def apart(self, lanes: "Lanes") -> int:
        """So many calls at the same time that take no cores from each other."""
        return max(1, min(lanes.count, self.core_count // lanes.threads))

    def at_ease(self, lanes: int) -> Environment:
        """What a worker of so many lanes gets besides, where another one decodes what somebody waits for.

        No row of its own is in a hurry, so its lanes share the cores without overlap, which costs least.
        """
        threads = max(1, self.core_count // lanes)
        return {NICE_VARIABLE: str(AT_EASE_NICENESS), THREADS_VARIABLE: str(threads)}


def parse_devices(devices: Sequence[str]) -> tuple[int | None, ...]:
    """``("cuda:0", "cuda:1")`` as (0, 1), and ``("cpu", "cpu")`` as (None, None).

    Raises:
        DeviceUnavailableError: There is no such device, or kinds are mixed.
    """
    parsed: list[int | None] = []
    for device in devices:
        kind, _, index = device.partition(":")
        if device == "cpu":
            parsed.append(None)
        elif kind == "cuda" and index.isdecimal():
            parsed.append(int(index))
        else:
            raise DeviceUnavailableError(
                f"GATEWAY_DEVICES: '{device}' is no device. Devices are called cpu, cuda:0, cuda:1 and so on"
            )
    # A model's workers share its batches, so one number format and one batch size must suit them all.
    if None in parsed and any(index is not None for index in parsed):
        raise DeviceUnavailableError(
            "GATEWAY_DEVICES mixes cpu and cuda, but one server runs on one kind: name only one of them, "
            "or start a second server for the other"
        )
    return tuple(parsed)


def lane_environment(threads: int) -> Environment:
    """What every worker gets, wherever it runs."""
    return {
        THREADS_VARIABLE: str(threads),
        "OPENBLAS_NUM_THREADS": "1",
        # A thread that waits for others of its lane, some hundred times in each step, leaves its core to the
        # other lanes', but not at once: to be woken takes longer than most waits. GNU's runtime,
        # which CTranslate2's wheels bring, counts turns of a loop, at most 1,000 where there are more threads
        # than cores, and only 100 unless it is told to be active. Intel's and LLVM's would never sleep then.
        "OMP_WAIT_POLICY": "active",
        "GOMP_SPINCOUNT": str(SPINS),
        "KMP_BLOCKTIME": "0",
    }


def worker_environments(
    devices: Sequence[int | None], machine: Machine, *, threads: int
) -> tuple[Environment, ...]:
    """One environment for each worker of a model.

    A GPU's worker sees that GPU alone, as its first: so none takes memory on another's by mistake. Several
    workers on CPUs are kept on cores of their own, where these suffice: OpenMP's threads wait for each other,
    and would wait for one that another worker's threads keep from its core.

    Args:
        devices: Of each worker: index of a visible GPU, or None for the CPU.
    """
    count = len(devices)
    environments = []
    for number, device in enumerate(devices):
        environment = lane_environment(threads)
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = _gpu_name(device, machine)
            if not machine.orders_gpus:
                environment |= DEVICE_ORDER
        elif count > 1 and threads * count <= machine.core_count == len(machine.cores):
            share = machine.cores[number * machine.core_count // count :][: machine.core_count // count]
            environment[CPUS_VARIABLE] = ",".join(map(str, share))
        environments.append(environment)
    return tuple(environments)


def by_place(cores: Iterable[int], system: Path) -> tuple[int, ...]:
    """The cores by NUMA node, and in it the threads of a physical core together.

    Linux numbers the first threads of all cores before their second ones, so of two halves by number each
    would be on all nodes, with a thread of each core.
    """
    return tuple(sorted(cores, key=partial(_place, system=system)))


def _place(core: int, system: Path) -> tuple[int, int, int]:
    folder = system / "cpu" / f"cpu{core}"
    nodes = [int(link.name.removeprefix("node")) for link in folder.glob("node[0-9]*")]
    sibling = core
    with suppress(OSError, ValueError):
        sibling = int(re.split("[,-]", (folder / "topology/thread_siblings_list").read_text())[0])
    return min(nodes, default=0), sibling, core


def read_quota(cgroup: Path, own: Path = _OWN_GROUP) -> float | None:
    """Cores' worth of time that we get (`docker run --cpus`, `CPUQuota=`): control groups, version 2 or 1.

    Args:
        cgroup: Where the groups are mounted; in a container that is its own group.
        own: Says below which path our group is: its limits count, and those of all groups that it is in.
    """
    paths = {PurePosixPath()}
    with suppress(OSError):
        for line in own.read_text().splitlines():
            path = PurePosixPath(line.rpartition(":")[2].lstrip("/"))
            paths |= {path, *path.parents}
    limits = [limit for path in paths if (limit := _quota_of(cgroup, path)) is not None]
    return min(limits, default=None)


def _quota_of(cgroup: Path, path: PurePosixPath) -> float | None:
    """Of one group; None without a limit."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (cgroup / path / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        folder = cgroup / "cpu" / path
        micros = int((folder / "cpu.cfs_quota_us").read_text())
        return None if micros < 0 else micros / int((folder / "cpu.cfs_period_us").read_text())
    return None


def _gpu_name(index: int, machine: Machine) -> str:
    """What CUDA_VISIBLE_DEVICES calls the GPU: where it is set already, by that name (they may be UUIDs)."""
    if machine.visible_gpus is None:
        return str(index)
    names = [name.strip() for name in machine.visible_gpus.split(",")]
    if index >= len(names):
        raise DeviceUnavailableError(f"cuda:{index} is not among CUDA_VISIBLE_DEVICES={machine.visible_gpus}")
    return names[index]
