"""`gateway transcribe` as people run it: the real miniature Whisper, files, pipes, signals, a terminal."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import srt

from tests.audio.sound import int16, load, wav
from tests.audio.test_tracks import film
from tests.support import MODEL, Sample, english_only

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

pytestmark = pytest.mark.slow


@contextmanager
def _started(
    command: list[str], environment: dict[str, str], stderr: int = subprocess.PIPE
) -> Iterator["subprocess.Popen[bytes]"]:
    """A running command, in a session of its own, whose processes can be counted."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _session(leader: int) -> list[str]:
    """The processes of a session, as /proc shows them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(path.parent.name)
    return found


def test_several_files(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """Text comes in the order of the files under their names; those that fail are named, the others go on."""
    hello, numbers = samples["en_hello"], samples["en_numbers"]
    nonsense = tmp_path / "non\nsense.wav"
    nonsense.write_bytes(b"no audio")
    done = gateway(
        "transcribe", numbers.path, "nowhere.wav", nonsense, tmp_path, hello.path, "--model", MODEL
    )
    complaints = sorted(done.stderr.decode().splitlines())

    assert done.returncode == 1
    first, second = done.stdout.decode().splitlines()
    assert first.startswith(f"{numbers.path}: Seven two")
    assert second == f"{hello.path}: Hello world."
    assert [line.startswith("gateway: ") for line in complaints] == [True] * 3
    assert any("nowhere.wav: No such file" in line for line in complaints)
    assert any(f"{tmp_path}: Is a directory" in line for line in complaints)
    assert any("sense.wav: Invalid file format" in line for line in complaints)


def test_a_track(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """A film's sound track is named by its number; one that is not there is an error, through a pipe too."""
    hello = load(samples["en_hello"].path)
    path = tmp_path / "film.mkv"
    path.write_bytes(film([np.zeros_like(hello), hello]))
    second = gateway("transcribe", path, "--track", "2", "--model", MODEL)
    third = gateway("transcribe", "-", "--track", "3", "--model", MODEL, stdin=path.read_bytes())

    assert (second.returncode, second.stdout) == (0, b"Hello world.\n")
    assert (third.returncode, third.stdout) == (1, b"")
    assert b"no sound track 3: the file has 2" in third.stderr


def test_stdin_is_read_while_it_comes(
    samples: dict[str, Sample], command: list[str], environment: dict[str, str]
) -> None:
    """From a pipe text comes before the pipe ends, and the whole is what the file gives."""
    audio = samples["en_long"].path.read_bytes()
    with _started([*command, "transcribe", "-", "--model", str(MODEL), "--stream"], environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(audio[: len(audio) // 2])
        process.stdin.flush()
        early = os.read(process.stdout.fileno(), 65536)
        process.stdin.write(audio[len(audio) // 2 :])
        process.stdin.close()
        rest = process.stdout.read()

        assert process.wait(30) == 0
    assert early.startswith(b"Stop orange dog right.")
    assert (early + rest).endswith(b"Uniform hello.\n")


def test_json_forms(gateway: Run, samples: dict[str, Sample]) -> None:
    """One object for each file, as the server gives it; streamed, the server's events; both name the file."""
    hello, german = samples["en_hello"], samples["de_zahlen"]
    arguments = ("transcribe", hello.path, german.path, "--model", MODEL)
    verbose = gateway(*arguments, "--format", "Verbose_JSON", "--word-times")
    streamed = gateway(*arguments, "--format", "json", "--stream")
    first, second = map(json.loads, verbose.stdout.decode().splitlines())
    events = [json.loads(line) for line in streamed.stdout.decode().splitlines()]

    assert first["file"] == str(hello.path)
    assert first["text"] == "Hello world."
    assert [word["word"] for word in first["words"]] == ["Hello", "world"]
    assert first["segments"]
    assert second["language"] == "german"
    for name, text in ((hello.path, first["text"]), (german.path, second["text"])):
        own = [event for event in events if event["file"] == str(name)]
        assert "".join(event.get("delta", "") for event in own) == own[-1]["text"] == text


def test_language_and_task_reach_the_model(gateway: Run, samples: dict[str, Sample]) -> None:
    """A stated language is taken, by code or name, with a prompt and keywords."""
    done = gateway(
        *("transcribe", samples["de_zahlen"].path, "--model", MODEL, "--language", "german"),
        *("--prompt", "Zahlen.", "--keyword", "eins", "--keyword", "zwei", "--format", "verbose_json"),
    )

    assert done.returncode == 0
    assert json.loads(done.stdout)["language"] == "german"


def test_output_folder(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """Each input gets its file; what exists, an input above all, is not overwritten unasked."""
    folder = tmp_path / "out" / "deep"
    arguments = ("transcribe", samples["en_dialogue"].path, samples["en_hello"].path, "--model", MODEL)
    first = gateway(*arguments, "--format", "srt", "--output-dir", folder)
    cues = list(srt.parse((folder / "en_dialogue.srt").read_text()))
    (folder / "en_hello.srt").write_text("mine")
    refused = gateway(*arguments, "--format", "srt", "--output-dir", folder)
    kept = (folder / "en_hello.srt").read_text()
    replaced = gateway(*arguments, "--format", "srt", "--output-dir", folder, "--overwrite")

    assert (first.returncode, first.stdout) == (0, b"")
    assert cues[0].content == "Hello good morning."
    assert refused.returncode == 2
    assert b"en_hello.srt exists" in refused.stderr
    assert kept == "mine"
    assert replaced.returncode == 0
    assert "Hello world." in (folder / "en_hello.srt").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["en_dialogue.srt", "en_hello.srt"]


def test_an_input_is_never_overwritten(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """Not even where overwriting is allowed and the input's name is another one's link."""
    (tmp_path / "audio.txt").write_bytes(samples["en_hello"].path.read_bytes())
    (tmp_path / "audio.wav").symlink_to(tmp_path / "audio.txt")
    done = gateway("transcribe", tmp_path / "audio.wav", "--output-dir", tmp_path, "--overwrite")

    assert done.returncode == 2
    assert b"is an input" in done.stderr
    assert (tmp_path / "audio.txt").read_bytes() == samples["en_hello"].path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "-"], "standard input"),
        (["a.wav", "b.wav", "--format", "srt"], "--output-dir"),
        (["a.wav", "--format", "vtt", "--stream"], "stream=true"),
        (["a.wav", "--stream", "--output-dir", "out"], "--stream"),
        (["a.wav", "x/a.mp3", "--output-dir", "out"], "would both be written to"),
        (["a.wav", "--overwrite"], "--output-dir"),
        (["a.wav", "--word-times"], "verbose_json"),
        (["a.wav", "--temperature", "3"], "temperature"),
        (["a.wav", "--device", "tpu"], "device"),
        (["a.wav", "--known", "Ann=a.wav", "--known", "Ann=b.wav"], "the same name"),
        (["a.wav", "--known", " =a.wav"], "name is empty"),
    ],
)
def test_misuse(gateway: Run, arguments: list[str], words: str) -> None:
    """It is told in one line before anything is loaded or made, with status 2."""
    done = gateway("transcribe", *arguments)

    assert done.returncode == 2
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("gateway: ")
    assert words in line
    assert done.stdout == b""


def test_what_the_model_cannot_do(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """It is told like misuse, once the model has said what it can."""
    model = english_only(tmp_path / "mini.en")
    done = gateway("transcribe", samples["en_hello"].path, "--model", model, "--task", "translate")

    assert done.returncode == 2
    [line] = done.stderr.decode().splitlines()
    assert line == "gateway: The model 'mini.en' cannot translate."


def test_settings_of_the_server_hold(gateway: Run, samples: dict[str, Sample]) -> None:
    """Model and limits come from the environment too; a recording over the limit is refused by its name."""
    done = gateway(
        "transcribe",
        *(samples["en_hello"].path, samples["en_long"].path),
        GATEWAY_MODEL=str(MODEL),
        GATEWAY_MAX_AUDIO_SECONDS="5",
    )

    assert done.returncode == 1
    assert done.stdout.decode() == f"{samples['en_hello'].path}: Hello world.\n"
    assert b"en_long.flac: Audio file is too long" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(
    number: signal.Signals, samples: dict[str, Sample], command: list[str], environment: dict[str, str]
) -> None:
    """While a pipe is waited for: the status is a shell's, in seconds, and no worker is left."""
    audio = samples["en_long"].path.read_bytes()
    with _started([*command, "transcribe", "-", "--model", str(MODEL), "--stream"], environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(audio[: len(audio) // 2])
        process.stdin.flush()
        os.read(process.stdout.fileno(), 1)
        before = _session(process.pid)
        os.killpg(process.pid, number)
        began = time.monotonic()
        status = process.wait(120)
        took = time.monotonic() - began

        assert len(before) == 2
        assert status == 128 + number
        assert took < 30
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert _session(process.pid) == []


def test_a_reader_who_leaves(
    samples: dict[str, Sample], command: list[str], environment: dict[str, str]
) -> None:
    """The command ends quietly, as one that SIGPIPE ended."""
    with _started(
        [*command, "transcribe", str(samples["en_hello"].path), "--model", str(MODEL)], environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert process.wait(30) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""


def test_a_named_pipe(
    samples: dict[str, Sample], command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """It is waited for until somebody writes, and read to its end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with _started([*command, "transcribe", str(pipe), "--model", str(MODEL)], environment) as process:
        with pipe.open("wb") as writer, samples["en_hello"].path.open("rb") as file:
            shutil.copyfileobj(file, writer)
        out, _ = process.communicate(timeout=120)

    assert out == b"Hello world.\n"


def test_progress_on_a_terminal(
    samples: dict[str, Sample], command: list[str], environment: dict[str, str]
) -> None:
    """A terminal sees bars, positions and a summary; standard output has the text and nothing else."""
    ours, theirs = pty.openpty()
    files = [str(samples[name].path) for name in ("en_long", "en_hello")]
    with _started(
        [*command, "transcribe", *files, "--model", str(MODEL)],
        {**environment, "TERM": "xterm", "COLUMNS": "120"},
        stderr=theirs,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        shown, texts = _read_both(ours, process.stdout.fileno())

        assert process.wait(30) == 0
    os.close(ours)
    assert "loading model" in shown
    assert "of 2 files" in shown
    assert "/ 1:16" in shown
    assert "2 files, 1:17 of audio in" in shown
    assert texts.endswith(f"{files[1]}: Hello world.\n")
    assert "\x1b" not in texts


def _read_both(terminal: int, pipe: int) -> tuple[str, str]:
    """Everything from both, whichever comes first: neither may fill up."""
    got = {terminal: b"", pipe: b""}
    waiting = {terminal, pipe}
    while waiting:
        for descriptor in select.select(list(waiting), [], [], 30)[0]:
            try:
                data = os.read(descriptor, 65536)
            except OSError:  # how a terminal ends
                data = b""
            got[descriptor] += data
            if not data:
                waiting.discard(descriptor)
    return got[terminal].decode(), got[pipe].decode()


def test_channels(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """One person on each channel: a line for each turn, the first channel is A; no other value."""
    voice = load(samples["en_hello"].path)
    call = np.zeros((4 * len(voice), 2), np.float32)
    call[: len(voice), 1] = call[3 * len(voice) :, 0] = voice
    (tmp_path / "call.wav").write_bytes(wav(int16(call)))

    done = gateway("transcribe", str(tmp_path / "call.wav"), "--channels", "speakers", "--model", MODEL)
    refused = gateway("transcribe", str(tmp_path / "call.wav"), "--channels", "both")
    alone = gateway("transcribe", str(samples["en_hello"].path), "--channels", "speakers", "--model", MODEL)

    assert [line.partition(":")[0] for line in done.stdout.decode().splitlines()] == ["B", "A"]
    assert refused.returncode == 2
    assert alone.returncode == 1
    assert b"a single channel" in alone.stderr
