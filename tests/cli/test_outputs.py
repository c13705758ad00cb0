"""Each form tells files apart; texts come in their order, and files are there as a whole or not at all."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.common import printable
from gateway.cli.outputs import Folder, Rendering, Stdout, plan_files
from gateway.errors import OutputError
from gateway.protocol.parse import parse_transcription
from gateway.transcript import Segment, SegmentDone, TextDelta, Transcript, TranscriptDone


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
    with pytest.raises(OutputError) as caught:
        plan_files(names, tmp_path, ".txt", overwrite=False)

    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0].rpartition("/")[2] for line in lines] == [
        *("a.txt", "b.txt", "d.txt", "link.txt", "a.mp3"),
    ]
    assert "is an input" in lines[3]
    assert "would both be written" in lines[4]


_TRANSCRIPT = Transcript("One.\nTwo.", "en", ("en",), 3.0, (), ())
_EVENTS = (TextDelta("One.", ()), TextDelta("\nTwo.", ()), TranscriptDone(_TRANSCRIPT))


def _rendering(form: str, *, with_names: bool) -> Rendering:
    request = parse_transcription([("model", "whisper-1"), ("response_format", form)])
    return Rendering(request, "transcribe", with_names)


@pytest.mark.parametrize("with_names", [True, False])
def test_text(*, with_names: bool) -> None:
    """Whole or streamed, it is the same text; with names each line has its own."""
    rendering = _rendering("text", with_names=with_names)
    whole = rendering.result("a", _TRANSCRIPT)
    streamed = "".join(rendering.event("a", event) for event in _EVENTS)

    assert whole == streamed == ("a: One.\na: Two.\n" if with_names else "One.\nTwo.\n")


def test_silence_has_a_line_too() -> None:
    """So that each file is there."""
    silence = Transcript("", None, (), 3.0, (), ())

    assert _rendering("text", with_names=True).result("a", silence) == "a: \n"


@pytest.mark.parametrize("form", ["json", "verbose_json"])
def test_json(form: str) -> None:
    """One line for each object, the name first."""
    line = _rendering(form, with_names=True).result("a", _TRANSCRIPT)

    assert line.count("\n") == 1
    assert next(iter(json.loads(line))) == "file"
    assert json.loads(line)["text"] == "One.\nTwo."
    assert "file" not in json.loads(_rendering(form, with_names=False).result("a", _TRANSCRIPT))


def test_names_of_any_bytes() -> None:
    """They stay in their line, whatever they hold."""
    assert printable("a\nb\x1b[31m\udcff.wav") == "a\ufffdb\ufffd[31m\ufffd.wav"
    assert printable("Gespräch – 1.wav") == "Gespräch – 1.wav"


def test_turns() -> None:
    """With speakers each turn is a line that begins with a name, at once or as segments close."""
    said = [("Ann", " Are you?"), ("B", " Yes,"), ("B", " I am.")]
    segments = tuple(
        Segment(0.0, 1.0, text, (), (), -0.1, 1.0, 0.0, 0.0, speaker=speaker) for speaker, text in said
    )
    transcript = Transcript("Are you? Yes, I am.", "en", ("en",), 3.0, segments, ())
    request = parse_transcription([("model", "whisper-1"), ("response_format", "text")])
    rendering = Rendering(request, "transcribe", with_names=False, with_speakers=True)

    assert rendering.result("a.wav", transcript) == "Ann: Are you?\nB: Yes, I am.\n"
    assert rendering.event("a.wav", SegmentDone(0, segments[0])) == "Ann: Are you?\n"
    assert rendering.event("a.wav", TextDelta(" Are you?", ())) == ""
