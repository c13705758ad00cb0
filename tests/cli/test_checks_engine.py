"""What the kernel tells of memory is read right, also inside containers."""

from pathlib import Path

import pytest

from gateway.cli.checks_engine import read_memory

_MEMINFO = "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    600 kB\nHugePages_Total:       0\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, (1000, 600)),
        ({"memory.max": "max", "memory.current": "5"}, (1000, 600)),
        ({"memory.max": str(500 * 1024), "memory.current": str(100 * 1024)}, (500, 400)),
        ({"memory.max": str(900 * 1024), "memory.current": "0"}, (900, 600)),
        (
            {
                "memory/memory.limit_in_bytes": str(300 * 1024),
                "memory/memory.usage_in_bytes": str(400 * 1024),
            },
            (300, 0),
        ),
    ],
)
def test_memory(tmp_path: Path, files: dict[str, str], expected: tuple[int, int]) -> None:
    """The smaller of the machine's and the container's, in both versions of control groups."""
    (tmp_path / "meminfo").write_text(_MEMINFO)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    total, available = read_memory(tmp_path / "meminfo", tmp_path)

    assert (total / 1024, available / 1024) == expected
