"""Bars that show what is known, and do not believe what a header says once it is wrong."""

import logging

import pytest

from gateway.cli.screen import Screen, ScreenHandler, clock


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.4, "0:59"), (61, "1:01"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_clock(seconds: float, text: str) -> None:
    """Hours only where there are some."""
    assert clock(seconds) == text


def test_a_length_that_was_wrong_is_dropped() -> None:
    """Nothing is left of it once the text is beyond it; the sum forgets it too."""
    screen = Screen(1, bars=False)
    with screen.file("a.wav") as row:
        row.announce(10)
        row.reach(10.5)
        assert (row.length, row.task.total) == (10, 10)
        row.reach(12)
        assert (row.length, row.task.total, row.task.completed) == (None, None, 12)


def test_the_sum_is_of_all_files() -> None:
    """Files that were not opened yet count like the others on average; failed ones are no audio."""
    screen = Screen(4, bars=False)
    with screen.file("a.wav") as row:
        row.announce(30)
        row.reach(30)
    with screen.file("broken.wav"):
        pass
    with screen.file("b.wav") as row:
        row.announce(10)
        row.reach(5)
        total = next(task for task in screen._progress.tasks if "files" in task.description)

        assert total.description == "2 of 4 files"
        assert total.completed == 35
        assert total.total == 30 + 10 + 20


def test_without_a_terminal_there_are_complaints_only(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line each, however long, as they are: no markup, no colours."""
    screen = Screen(1, bars=False)
    line = "gateway: [bold]x[/bold] " + "long " * 100
    record = logging.LogRecord("name", logging.WARNING, "", 0, "said %s", ("this",), None)
    with screen.open(), screen.loading("base"), screen.file("a.wav") as row, screen.paused():
        row.reach(5)
        screen.complain(line)
        ScreenHandler(screen).emit(record)
    screen.summarize()

    assert capsys.readouterr().err == f"{line}\nsaid this\n"
