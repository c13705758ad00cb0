"""Outputs in their order, and files that are there as a whole or not at all."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.outputs import Folder, PlanError, Stdout, plan_files


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
async def test_texts_come_in_the_order_of_the_inputs(
    order: tuple[int, ...], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Whichever is ready first, and although one failed; nothing else is on the terminal meanwhile."""
    rooms = []

    @contextmanager
    def room() -> Iterator[None]:
        rooms.append("in")
        yield
        rooms.append("out")

    stdout = Stdout(room)
    for index in order:
        if index == 1:
            await stdout.skip(index)
        else:
            await stdout.put(index, f"ä{index}\n")

    assert capfdbinary.readouterr().out == "ä0\nä2\n".encode()
    assert rooms == ["in", "out"] * 2


async def test_files(tmp_path: Path) -> None:
    """Each has its text, those that failed have no file, and nothing is left beside them."""
    folder = Folder([tmp_path / "a.txt", tmp_path / "b.txt"])
    await folder.put(0, "ä\n")
    await folder.skip(1)

    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208  names are enough
    assert (tmp_path / "a.txt").read_bytes() == "ä\n".encode()


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The error is the disk's, and what was there stays."""
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match=r"a\.txt"):
        await Folder([tmp_path / "a.txt"]).put(0, "text")

    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208


def test_names(tmp_path: Path) -> None:
    """The input's name with the format's suffix; standard input has a name too."""
    paths = plan_files(["x/a.b.wav", "-"], tmp_path, ".srt", overwrite=False)

    assert [path.name for path in paths] == ["a.b.srt", "stdin.srt"]


def test_every_problem_is_named(tmp_path: Path) -> None:
    """Not only the first one."""
    for name in ("a.txt", "b.txt", "c.wav"):
        (tmp_path / name).write_text("kept")
    (tmp_path / "d.txt").symlink_to("nowhere")
    (tmp_path / "link.txt").hardlink_to(tmp_path / "c.wav")
    names = [str(tmp_path / name) for name in ("a.wav", "b.wav", "c.wav", "d.wav", "link.mp3", "x/a.mp3")]
    with pytest.raises(PlanError) as caught:
        plan_files(names, tmp_path, ".txt", overwrite=False)

    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0].rpartition("/")[2] for line in lines] == [
        *("a.txt", "b.txt", "d.txt", "link.txt", "a.mp3"),
    ]
    assert "is an input" in lines[3]
    assert "would both be written" in lines[4]
