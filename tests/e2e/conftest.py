"""What the tests of whole paths share: a server that hears fast, and Node's clients."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import TESTS, LiveServer, live_server

NPM_INSTALL = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund")


@pytest.fixture(scope="session")
def live(quick_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """A server for speakers who send faster than they speak: what they make it wait refuses nobody."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gateway.flow.pacing.ADMIT_UNTIL", 60.0)
            patch.setattr("gateway.flow.pacing.ADMIT_UNTIL_BUSY", 60.0)
            running = stack.enter_context(live_server([quick_whisper]))
        yield running


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Node clients, with their packages: those of the checkout, or installed for now."""
    source = TESTS / "node"
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed: its clients are not tested")
    if (source / "node_modules").is_dir():
        return source
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: Node's clients are not tested")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "client.mjs", "realtime.mjs"):
        shutil.copy(source / name, folder)
    try:
        subprocess.run(NPM_INSTALL, cwd=folder, check=True, capture_output=True, timeout=45)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm's registry does not give the packages of tests/node: Node's clients are not tested")
    return folder
