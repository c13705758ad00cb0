"""The `gateway` command is there at once, and `gateway serve` starts, answers and ends as it should."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gateway import __version__
from gateway.cli.main import app
from gateway.settings import Settings

HEAVY = set("anyio av ctranslate2 huggingface_hub numpy onnxruntime pydantic rich uvicorn".split())


def test_help_loads_nothing_that_is_heavy() -> None:
    """Importing all commands costs no library but typer."""
    code = "import json, sys, gateway.cli; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert HEAVY.isdisjoint(json.loads(run.stdout))


def _gateway(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "", "HOME": "", "TERM": "dumb", "COLUMNS": "100", **environment},
    )


def test_version() -> None:
    """It is the installed package's."""
    assert _gateway("--version").stdout == f"gateway {__version__}\n"


def test_help_lists_the_commands() -> None:
    """Help says what there is."""
    done = _gateway("--help")

    assert done.returncode == 0
    assert "serve" in done.stdout


def test_help_of_serve_lists_the_flags() -> None:
    """The flags of the README are there."""
    text = _gateway("serve", "--help").stdout

    assert all(flag in text for flag in ("--host", "--port", "--model"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--port", "99999"], "port"),
        (["serve", "--device", "tpu"], "device"),
        (["serve", "--model", "no-such-model"], "no-such-model"),
        (["serve", "--model", "/nowhere/at/all"], "/nowhere/at/all"),
        (["serve", "--model", "org/model"], "org/model"),
        (["serve", "--model", "smal"], "did you mean small?"),
        (["serve", "--config", "/nowhere.toml"], "/nowhere.toml"),
        (["transcribe", "--model", "no-such-model", "/no/such/file"], "/no/such/file: No such file"),
        (
            ["transcribe", "--model", "no-such-model", "--known", "Ann=/no/voice", "/proc/version"],
            "/no/voice",
        ),
        (["serve", "--model", "no-such-model", "--host", "0.0.0.0"], "--no-auth"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    """What is wrong stands in one line on stderr, and nothing was started."""
    done = _gateway(*arguments, HF_HOME=str(tmp_path), HF_ENDPOINT="http://127.0.0.1:9")
    complaint = [line for line in done.stderr.splitlines() if line.startswith("gateway: ")]

    assert done.returncode != 0
    assert len(complaint) == 1
    assert words in complaint[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("devices", "words"), [("cuda:0,cpu", "mixes cpu and cuda"), ("gpu", "'gpu'")])
def test_wrong_devices_are_one_clear_line(tmp_path: Path, devices: str, words: str) -> None:
    """Before any model is looked for."""
    done = _gateway("serve", HF_HOME=str(tmp_path), GATEWAY_DEVICES=devices)

    assert done.returncode == 1
    assert [words in line for line in done.stderr.splitlines()] == [True]


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """Who listens there already is named, before any model is looked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _gateway("serve", "--model", "no-such-model", "--port", str(port), HF_HOME=str(tmp_path))

    assert done.returncode == 1
    assert [
        f"address already in use by process {os.getpid()}" in line for line in done.stderr.splitlines()
    ] == [True]


@pytest.mark.parametrize("variable", ["GATEWAY_PRT", "GATEWAY_API_KEY"])
@pytest.mark.parametrize("command", ["serve", "transcribe"])
def test_a_misspelt_variable_ends_the_start(tmp_path: Path, variable: str, command: str) -> None:
    """With status 2 and one line."""
    files = ["x.wav"] if command == "transcribe" else []
    done = _gateway(command, *files, HF_HOME=str(tmp_path), **{variable: "1"})

    assert done.returncode == 2
    assert [line.startswith(f"gateway: {variable} is no setting") for line in done.stderr.splitlines()] == [
        True
    ]


def test_without_keys_the_network_is_served_only_when_asked_for(tmp_path: Path) -> None:
    """Then it is said loudly."""
    done = _gateway(
        "serve", "--host", "0.0.0.0", "--port", "0", "--no-auth", "--model", "x", HF_HOME=str(tmp_path)
    )

    assert "NO KEYS: everybody who can reach 0.0.0.0" in done.stderr
    assert "Model 'x'" in done.stderr


@pytest.mark.parametrize("command", ["serve", "transcribe", "doctor"])
def test_defaults_are_told_in_one_way(command: str) -> None:
    """As typer does, and they are the settings' own."""
    options = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]  # a group
    for option in options:
        field = Settings.model_fields.get(option.name or "")

        assert not re.search(r"[\[(]\w+[\])]\.?$|none ", getattr(option, "help", None) or "")
        if field is not None and field.default not in (None, (), False) and command == "serve":
            assert option.show_default == str(field.default)
