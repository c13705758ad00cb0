"""`gateway doctor` as an operator runs it, on machines that are whole or broken in each way."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.doctor import Result, examine
from gateway.engine.devices.cuda import Finding
from gateway.settings import Settings
from tests import cuda_stubs
from tests.support import BLOCKED, MODEL

pytestmark = pytest.mark.slow

CLOSED_HUB = "http://127.0.0.1:9"


def _doctor(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            **BLOCKED,
            "TERM": "dumb",
            "COLUMNS": "100",
            "HF_HOME": str(tmp_path),
            "HF_ENDPOINT": CLOSED_HUB,
            "GATEWAY_PORT": str(_free_port()),
            **environment,
        },
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _report(done: "subprocess.CompletedProcess[str]") -> list[dict[str, str]]:
    assert "Traceback" not in done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    checks: list[dict[str, str]] = report["checks"]
    return checks


def _found(report: list[dict[str, str]], level: str, words: str) -> dict[str, str]:
    """The one finding of this level with these words."""
    (finding,) = (
        finding
        for finding in report
        if finding["level"] == level and words in f"{finding['text']} {finding['remedy']}"
    )
    return finding


def test_whole_machine(tmp_path: Path) -> None:
    """Every check has its say, and with a model at hand the hub need not answer."""
    done = _doctor(tmp_path, "--json", "--model", str(MODEL), "--device", "cpu")
    report = _report(done)

    assert done.returncode == 0
    assert [finding for finding in report if finding["level"] == "problem"] == []
    assert (
        list(dict.fromkeys(finding["check"] for finding in report))
        == (
            "python packages device models upstreams vad "
            "speakers decoders port processor memory disk descriptors"
        ).split()
    )
    assert _found(report, "warning", f"{CLOSED_HUB} cannot be used")["check"] == "models"
    assert _found(report, "warning", "the package index cannot be used")["check"] == "models"
    assert _found(report, "ok", "the models need roughly")["check"] == "memory"


def test_nothing_at_hand(tmp_path: Path) -> None:
    """Without a model and a hub nothing can be served, and what to do is said."""
    done = _doctor(tmp_path)

    assert done.returncode == 1
    assert "no Whisper is at hand, and none can be fetched" in done.stdout
    assert "-> gateway models pull base" in done.stdout


def test_broken_cache(tmp_path: Path) -> None:
    """A half model is named with what is wrong; where it was asked for it is a problem."""
    snapshot = tmp_path / "hub" / "models--Systran--faster-whisper-base" / "snapshots" / "abc"
    shutil.copytree(MODEL, snapshot)
    (snapshot / "model.bin").write_bytes((MODEL / "model.bin").read_bytes()[:5000])
    done = _doctor(tmp_path, "--json", "--model", "base")
    report = _report(done)

    assert done.returncode == 1
    assert "broken off after 5000 bytes" in _found(report, "warning", "base is broken")["text"]
    assert _found(report, "problem", "base is not (or not wholly) here")["check"] == "models"


def test_taken_port(tmp_path: Path) -> None:
    """Who has it is said, by number and command."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _doctor(tmp_path, "--json", "--port", str(taken.getsockname()[1]))
    finding = _found(_report(done), "problem", "already in use by")

    assert done.returncode == 1
    assert f"process {os.getpid()} (" in finding["text"]
    assert "GATEWAY_PORT" in finding["remedy"]


def test_everything_is_wrong(tmp_path: Path) -> None:
    """Settings, packages, model, host and cache at once: each is told, and the others are still looked at."""
    (tmp_path / "ctranslate2.py").write_text("import os; os.abort()")
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so: cannot open shared object file')")
    (tmp_path / "file").touch()
    done = _doctor(
        tmp_path,
        "--json",
        "--model",
        "nonsense",
        PYTHONPATH=str(tmp_path),
        GATEWAY_HOST="192.0.2.1",
        HF_HOME=str(tmp_path / "file"),
    )
    report = _report(done)

    assert done.returncode == 1
    assert _found(report, "problem", "loading ctranslate2 ends the process")["check"] == "packages"
    assert (
        _found(report, "problem", f"av {version('av')} cannot be loaded: ImportError: libavcodec")["check"]
        == "packages"
    )
    assert _found(report, "problem", "PyAV does not work")["check"] == "decoders"
    assert _found(report, "problem", "'nonsense' is neither a folder nor a model's name")["check"] == "models"
    assert _found(report, "problem", "cannot listen on 192.0.2.1")["check"] == "port"
    assert _found(report, "problem", "cannot be written to")["check"] == "disk"
    assert _found(report, "ok", "open files")["check"] == "descriptors"


def test_settings_cannot_be_read(tmp_path: Path) -> None:
    """Without what reads them nothing can be looked at; that is one line too."""
    (tmp_path / "pydantic_settings.py").write_text("raise ImportError('no such symbol')")
    done = _doctor(tmp_path, PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no such symbol" in done.stderr


def test_wrong_settings(tmp_path: Path) -> None:
    """They are a problem, not the end."""
    done = _doctor(tmp_path, "--json", GATEWAY_MAX_STREAMS="many", GATEWAY_WORKERS="0")
    report = _report(done)

    assert done.returncode == 1
    assert [finding["check"] for finding in report[:2]] == ["settings", "settings"]
    assert "GATEWAY_MAX_STREAMS" in "".join(finding["text"] for finding in report[:2])
    assert _found(report, "ok", "open files")["check"] == "descriptors"


def test_gpu(tmp_path: Path) -> None:
    """A GPU that can be used, and how to use both."""
    stubs = cuda_stubs.install(tmp_path / "stubs")
    done = _doctor(
        tmp_path, "--json", "--model", str(MODEL), "--device", "cuda", **cuda_stubs.variables(stubs, gpus="2")
    )
    report = _report(done)

    assert done.returncode == 0
    assert _found(report, "ok", "GPU 1 (Stub GPU, 16 GiB, compute capability 8.6)")["check"] == "device"
    assert "GATEWAY_DEVICES=cuda:0,cuda:1" in _found(report, "ok", "1 of 2 GPUs")["remedy"]


@pytest.mark.parametrize(("device", "level", "status"), [("cuda", "problem", 1), ("auto", "warning", 0)])
def test_gpu_without_cublas(tmp_path: Path, device: str, level: str, status: int) -> None:
    """A problem for whoever wants the GPU, a warning for whoever takes what there is."""
    stubs = cuda_stubs.install(tmp_path / "stubs")
    hidden = cuda_stubs.hide_cublas(tmp_path / "hidden")
    smi = tmp_path / "nvidia-smi"
    smi.touch()
    smi.chmod(0o755)
    hidden |= {"LD_LIBRARY_PATH": f"{stubs}:{tmp_path / 'hidden'}", "PATH": str(tmp_path)}
    done = _doctor(tmp_path, "--json", "--model", str(MODEL), "--device", device, **hidden)

    assert "pip install '.[cuda]'" in _found(_report(done), level, "cuBLAS cannot be loaded")["remedy"]
    assert done.returncode == status


def test_on_a_terminal(tmp_path: Path) -> None:
    """In colours there, and what to do on a line of its own; in plain lines elsewhere."""
    terminal = _doctor(tmp_path, FORCE_COLOR="1", TERM="xterm")
    plain = _doctor(tmp_path)

    assert "\x1b[" in terminal.stdout
    assert "→ gateway models pull base" in terminal.stdout
    assert "\x1b" not in plain.stdout
    assert {line.split()[0] for line in plain.stdout.splitlines()} <= {"ok", "warning", "problem"}


_FINE = Finding("ok", "fine")


def _fine(_: Settings) -> list[Finding]:
    return [_FINE]


def test_a_check_that_raises() -> None:
    """What it had found before counts, the error is told, the others run."""

    def breaks(_: Settings) -> Iterator[Finding]:
        yield _FINE
        raise OSError("no such disk")

    results = list(examine(Settings(), {"breaks": breaks, "whole": _fine}))

    assert results == [
        Result("breaks", _FINE),
        Result("breaks", Finding("problem", "cannot be checked: OSError: no such disk")),
        Result("whole", _FINE),
    ]


def test_a_check_that_hangs() -> None:
    """The report comes without it, in the order of the checks."""
    enough = threading.Event()

    def hangs(_: Settings) -> list[Finding]:
        enough.wait()
        return [_FINE]

    results = list(examine(Settings(), {"hangs": hangs, "whole": _fine}, seconds=0.1))
    enough.set()

    assert results == [
        Result("hangs", Finding("problem", "no answer within 0.1 s")),
        Result("whole", _FINE),
    ]
