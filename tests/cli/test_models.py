"""`gateway models` as people run it, on caches of their own and against a server standing in for the hub."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub_server import BASE, HubServer, hub_server
from tests.support import MODEL, Sample

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

pytestmark = pytest.mark.slow


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A hub that answers."""
    with hub_server() as running:
        yield running


def test_pulled_models_are_listed_used_and_removed(
    gateway: Run, hub: HubServer, samples: dict[str, Sample], tmp_path: Path
) -> None:
    """The whole life of a model, under its short name."""
    pulled = gateway("models", "pull", "base", HF_ENDPOINT=hub.endpoint)
    [listed] = json.loads(gateway("models", "list", "--json").stdout)
    text = gateway("models", "list").stdout.decode()
    heard = gateway("transcribe", samples["en_hello"].path)
    refused = gateway("models", "remove", "base")
    removed = gateway("models", "remove", "base", "--yes")
    left = json.loads(gateway("models", "list", "--json").stdout)

    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stderr.decode().startswith("base: whole, in ")
    assert (listed["name"], listed["repo"], listed["fault"], listed["default"]) == ("base", BASE, None, True)
    assert listed["bytes"] > sum(path.stat().st_size for path in MODEL.iterdir())
    assert Path(listed["path"]).is_relative_to(tmp_path)
    assert "base *" in text
    assert "4.2 MB" in text
    assert heard.stdout == b"Hello world.\n"
    assert refused.returncode == 1
    assert b"--yes" in refused.stderr
    assert removed.returncode == 0
    assert left == []


def test_a_pull_that_breaks_off_goes_on(gateway: Run, hub: HubServer) -> None:
    """A half model is not taken for a whole one, and the next pull completes it."""
    hub.most_bytes = 1_000_000
    broken = gateway("models", "pull", "base", HF_ENDPOINT=hub.endpoint)
    [half] = json.loads(gateway("models", "list", "--json").stdout)
    hub.most_bytes = None
    whole = gateway("models", "pull", "base", HF_ENDPOINT=hub.endpoint)
    [listed] = json.loads(gateway("models", "list", "--json").stdout)

    assert broken.returncode == 1
    assert b"broke off" in broken.stderr.splitlines()[-1]
    assert half["fault"]
    assert half["default"] is False
    assert whole.returncode == 0, whole.stderr
    assert listed["fault"] is None


def test_removing_asks(gateway: Run, command: list[str], environment: dict[str, str]) -> None:
    """On a terminal the answer decides."""
    gateway("models", "import", MODEL, "--name", "org/mini")
    left = []
    for answer in (b"n\n", b"y\n"):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*command, "models", "remove", "org/mini"], env=environment, stdin=theirs, stderr=subprocess.PIPE
        ) as process:
            os.write(ours, answer)
            _, asked = process.communicate(timeout=120)
        os.close(ours)
        os.close(theirs)
        assert b"Delete org/mini (4.2 MB)" in asked
        left.append(len(json.loads(gateway("models", "list", "--json").stdout)))

    assert left == [1, 0]


def test_air_gap(gateway: Run, samples: dict[str, Sample], tmp_path: Path) -> None:
    """From a machine that has a model to one that has none: exported, imported, verified, used."""
    archive, far = tmp_path / "small.tar.gz", str(tmp_path / "far")
    packed = gateway("models", "import", MODEL, "--name", "small")
    exported = gateway("models", "export", "small", archive)
    again = gateway("models", "export", "small", archive)
    imported = gateway("models", "import", archive, HF_HOME=far)
    heard = gateway(
        "transcribe", samples["en_hello"].path, "--model", "small", HF_HOME=far, HF_HUB_OFFLINE="1"
    )

    assert b"NOT verified" in packed.stderr
    assert exported.returncode == 0
    assert again.returncode == 2
    assert b"--overwrite" in again.stderr
    assert imported.stderr.decode() == "Systran/faster-whisper-small: imported, verified by SHA256SUMS\n"
    assert heard.stdout == b"Hello world.\n"


def test_a_cache_that_cannot_be_written(gateway: Run, tmp_path: Path) -> None:
    """The path that the disk refuses is named, not the model's."""
    (tmp_path / "file").touch()

    done = gateway("models", "import", MODEL, "--name", "base", HF_HOME=str(tmp_path / "file"))

    assert done.returncode == 1
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"gateway: {tmp_path / 'file'}/")
    assert line.endswith(": Not a directory")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "nonsense"], "neither a hub id"),
        (["pull", "base"], "http://127.0.0.1:9 cannot be used"),
        (["remove", "base", "--yes"], "not in the cache"),
        (["export", "base", "x.tar"], "not in the cache"),
        (["export", "base", "x.rar"], ".tar or .tar.gz"),
        (["import", str(MODEL)], "--name"),
        (["import", str(MODEL / "config.json"), "--name", "base"], "cannot be read"),
        (["import", str(MODEL), "--name", "base", "--sha256", "00"], "is a folder"),
    ],
)
def test_refusals(gateway: Run, arguments: list[str], words: str) -> None:
    """Each in one line that names the reason."""
    done = gateway("models", *arguments)

    assert done.returncode in (1, 2)
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("gateway: ")
    assert words in line


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("gateway transcribe --model lar", ["large-v1", "large-v2", "large-v3", "large", "large-v3-turbo"]),
        ("gateway models pull turb", ["turbo"]),
        ("gateway models remove ", ["org/mini"]),
        ("gateway transcribe --model org", ["org/mini"]),
        ("gateway mod", ["models"]),
    ],
)
def test_completion(environment: dict[str, str], gateway: Run, words: str, names: list[str]) -> None:
    """The shell is offered known names and what is cached."""
    gateway("models", "import", MODEL, "--name", "org/mini")
    script = Path(sys.executable).with_name("gateway")
    done = subprocess.run(
        [script],
        env={
            **environment,
            "_GATEWAY_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        check=True,
        timeout=120,
    )

    assert done.stdout.decode().split() == names
