"""Devices in words become workers' environments: one GPU each, or cores of their own."""

from pathlib import Path

import pytest

from gateway.engine.devices.placement import (
    THREADS_VARIABLE,
    Lanes,
    Machine,
    by_place,
    lane_environment,
    parse_devices,
    read_quota,
    worker_environments,
)
from gateway.engine.worker import CPUS_VARIABLE, NICE_VARIABLE
from gateway.errors import DeviceUnavailableError

_EIGHT = Machine(tuple(range(8)))


@pytest.mark.parametrize(
    ("devices", "parsed"),
    [
        ([], ()),
        (["cpu", "cpu"], (None, None)),
        (["cuda:1", "cuda:0", "cuda:1"], (1, 0, 1)),
    ],
)
def test_devices(devices: list[str], parsed: tuple[int | None, ...]) -> None:
    """Order and repetition are kept."""
    assert parse_devices(devices) == parsed


@pytest.mark.parametrize("device", ["cuda", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "gpu:0", "tpu"])
def test_no_device(device: str) -> None:
    """What is no device is named, with those there are."""
    with pytest.raises(DeviceUnavailableError, match=f"'{device}' is no device.*cuda:0"):
        parse_devices(["cuda:0", device])


def test_mixed_devices() -> None:
    """One kind only."""
    with pytest.raises(DeviceUnavailableError, match="mixes cpu and cuda"):
        parse_devices(["cuda:0", "cpu"])


@pytest.mark.parametrize(
    ("machine", "wanted", "workers", "threads"),
    [
        (_EIGHT, 0, 1, 8),
        (_EIGHT, 0, 3, 2),
        (_EIGHT, 0, 20, 1),
        (_EIGHT, 5, 3, 5),
        (Machine(tuple(range(64)), quota=2.5), 0, 1, 3),
        (Machine((0, 1), quota=16.0), 0, 1, 2),
    ],
)
def test_threads(machine: Machine, wanted: int, workers: int, threads: int) -> None:
    """The cores are shared, a container's time counts as cores, and what the operator says is done."""
    assert machine.threads(wanted, workers) == threads


@pytest.mark.parametrize(
    ("cores", "wanted", "wanted_threads", "workers", "expected"),
    [
        (1, 0, 0, 1, (1, 1)),
        (2, 0, 0, 1, (2, 2)),
        (4, 0, 0, 1, (4, 4)),
        (8, 0, 0, 1, (8, 4)),
        (64, 0, 0, 1, (8, 16)),
        (64, 0, 0, 4, (8, 8)),
        (2, 0, 0, 2, (1, 1)),
        (2, 1, 0, 1, (1, 2)),
        (16, 0, 2, 1, (2, 1)),
        (16, 1, 4, 1, (1, 4)),
        (16, 3, 2, 1, (3, 1)),
    ],
)
def test_lanes(cores: int, wanted: int, wanted_threads: int, workers: int, expected: tuple[int, int]) -> None:
    """One for each core of a worker's; more threads than cores, but never more than the operator says."""
    lanes = Machine(tuple(range(cores))).lanes(wanted, wanted_threads=wanted_threads, workers=workers)

    assert (lanes.count, lanes.threads) == expected


@pytest.mark.parametrize(
    ("cores", "lanes", "threads"), [(1, 1, 1), (2, 2, 1), (4, 8, 1), (16, 8, 2), (6, 4, 1)]
)
def test_lanes_at_ease_share_the_cores_without_overlap(cores: int, lanes: int, threads: int) -> None:
    """Somebody else has the rows that want more threads than that."""
    environment = Machine(tuple(range(cores))).at_ease(lanes)
    assert environment == {NICE_VARIABLE: "10", THREADS_VARIABLE: str(threads)}


@pytest.mark.parametrize(
    ("cores", "lanes", "calls"),
    [
        (1, Lanes(1, 1), 1),
        (2, Lanes(2, 2), 1),
        (4, Lanes(4, 1), 4),
        (16, Lanes(8, 8), 2),
        (2, Lanes(1, 4), 1),
    ],
)
def test_calls_that_take_no_cores_from_each_other(cores: int, lanes: Lanes, calls: int) -> None:
    """One at least, and no more than there are lanes."""
    assert Machine(tuple(range(cores))).apart(lanes) == calls


def test_threads_wait_awake_for_a_moment() -> None:
    """By each OpenMP runtime's own names: GNU's spins so often, Intel's and LLVM's would never sleep."""
    environment = lane_environment(2)
    assert environment["OMP_WAIT_POLICY"] == "active"
    assert 1_000 <= int(environment["GOMP_SPINCOUNT"]) <= 10_000
    assert environment["KMP_BLOCKTIME"] == "0"


def test_cpu_workers_get_cores_of_their_own() -> None:
    """All cores are given, none twice, in neighbours."""
    machine = Machine((0, 2, 4, 6, 8, 10, 12))
    environments = worker_environments([None] * 3, machine, threads=machine.threads(0, 3))

    assert [environment[CPUS_VARIABLE] for environment in environments] == ["0,2", "4,6", "8,10"]
    assert {environment["OMP_NUM_THREADS"] for environment in environments} == {"2"}


@pytest.mark.parametrize(
    ("workers", "machine", "threads"),
    [
        (1, _EIGHT, 8),
        (2, _EIGHT, 5),
        (2, Machine(tuple(range(8)), quota=4.0), 2),
        (3, Machine((0, 1)), 1),
    ],
)
def test_not_pinned(workers: int, machine: Machine, threads: int) -> None:
    """One worker alone, more threads than cores, or cores that others use as well: the system decides."""
    environments = worker_environments([None] * workers, machine, threads=threads)

    assert [CPUS_VARIABLE in environment for environment in environments] == [False] * workers


def test_gpu_workers_see_one_gpu() -> None:
    """Numbered as nvidia-smi does."""
    environments = worker_environments([1, 0], _EIGHT, threads=4)

    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == ["1", "0"]
    assert {environment["CUDA_DEVICE_ORDER"] for environment in environments} == {"PCI_BUS_ID"}
    assert all(CPUS_VARIABLE not in environment for environment in environments)


def test_gpus_keep_the_names_they_have() -> None:
    """An index counts among the visible ones; the operator's order of all is left."""
    machine = Machine((0,), visible_gpus="GPU-aa, 3", orders_gpus=True)
    environments = worker_environments([1, 0], machine, threads=1)

    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == ["3", "GPU-aa"]
    assert all("CUDA_DEVICE_ORDER" not in environment for environment in environments)
    with pytest.raises(DeviceUnavailableError, match="cuda:2 is not among CUDA_VISIBLE_DEVICES=GPU-aa, 3"):
        worker_environments([2], machine, threads=1)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu.max": "100000 0"}, None),
        ({}, None),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    """Both versions of control groups; whatever else is there is no limit."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert read_quota(tmp_path) == quota


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/system.slice/gateway.service\n", {"system.slice/gateway.service/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b/c\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3.0),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, 2.0),
        ("0::/a\n", {"cpu.max": "100000 100000", "a/cpu.max": "200000 100000", "b/cpu.max": "1 1000"}, 1.0),
        (
            "3:cpu,cpuacct:/user/x\n2:memory:/m\n",
            {"cpu/user/x/cpu.cfs_quota_us": "150000", "cpu/user/x/cpu.cfs_period_us": "100000"},
            1.5,
        ),
        ("0::/../elsewhere\n", {}, None),
    ],
)
def test_quota_of_a_group_below(tmp_path: Path, own: str, files: dict[str, str], quota: float | None) -> None:
    """Outside of containers the group has a path, as services have: the least of all on it counts."""
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / name).write_text(text)

    assert read_quota(tmp_path / "sys", tmp_path / "own") == quota


def test_neighbours(tmp_path: Path) -> None:
    """Two sockets of two cores with two threads each, numbered as Linux does: a worker has a socket."""
    for core in range(8):
        folder = tmp_path / f"cpu/cpu{core}"
        (folder / f"node{core // 2 % 2}").mkdir(parents=True)
        (folder / "topology").mkdir()
        (folder / "topology/thread_siblings_list").write_text(f"{core % 4},{core % 4 + 4}\n")
    cores = by_place(range(8), tmp_path)
    environments = worker_environments([None] * 2, Machine(cores), threads=4)

    assert cores == (0, 4, 1, 5, 2, 6, 3, 7)
    assert [environment[CPUS_VARIABLE] for environment in environments] == ["0,4,1,5", "2,6,3,7"]


@pytest.mark.parametrize("text", ["", "nonsense", "0-1"])
def test_neighbours_that_are_not_told(tmp_path: Path, text: str) -> None:
    """Are those of the next number."""
    (tmp_path / "cpu/cpu1/topology").mkdir(parents=True)
    (tmp_path / "cpu/cpu1/topology/thread_siblings_list").write_text(text)

    assert by_place({2, 1, 0}, tmp_path) == (0, 1, 2)


def test_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine at hand has a core, and its environment is read."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    machine = Machine.here()

    assert machine.core_count >= 1
    assert (machine.visible_gpus, machine.orders_gpus) == ("5", False)
