"""What the server opens and whom it calls, as the kernel sees it: strace(1) over a whole session."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.e2e.resuming import Client
from tests.e2e.speaker import speech
from tests.support import Sample, served, toy_speakers, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

CALLS = "connect,sendto,sendmsg,sendmmsg,open,openat,creat"

RESOLVER = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"}
"""What the C library reads where a name is asked for."""

OPENED = re.compile(r'(?:open|openat|creat)\((?:[^",]*, )?"([^"]*)", ?([A-Z_|]*).*\) = \d')
CALLED = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*sa_family=(AF_\w+)(.*)\) = ")
WRITES = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"}


def lines_of(trace: Path) -> list[str]:
    """The whole trace; a call that another thread's cut in two is one line again."""
    lines, begun = [], dict[str, str]()
    for line in trace.read_text("utf-8", errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        call = call.lstrip()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>")
            continue
        if call.startswith("<... "):
            call = begun.pop(thread, "") + call.partition("resumed>")[2]
        lines.append(call)
    return lines


def seen(trace: Path) -> tuple[dict[str, set[str]], dict[str, str]]:
    """The flags with which each file was opened, and a call to each family of addresses."""
    opened, called = defaultdict[str, set[str]](set), dict[str, str]()
    for call in lines_of(trace):
        if found := OPENED.match(call):
            opened[found[1]] |= set(found[2].split("|"))
        if found := CALLED.match(call):
            called[found[1]] = call
    return opened, called


@pytest.mark.promise(
    "nobody is called and no name is asked for; what is written lies in the temporary folder"
)
def test_nothing_is_opened_but_what_the_settings_name(samples: dict[str, Sample], tmp_path: Path) -> None:
    """A file, a stream, speakers and a live session: server and workers, native libraries among them."""
    sample, trace, temporary = samples["en_hello"], tmp_path / "trace", tmp_path / "temporary"
    temporary.mkdir()
    # Detached, it leaves the server to us as our own child, with its signals.
    strace = ("strace", "-D", "-f", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(trace))
    speakers = str(toy_speakers())
    with (
        served(under=strace, GATEWAY_SPEAKERS=speakers, TMPDIR=str(temporary)) as server,
        server.client() as openai,
    ):
        create = openai.audio.transcriptions.create
        assert create(file=sample.path, model="whisper-1").text == sample.text
        assert list(create(file=sample.path, model="whisper-1", stream=True))
        create(
            file=sample.path,
            model="whisper-1",
            response_format="diarized_json",
            extra_body={"chunking_strategy": "auto"},
        )
        live = Client(server, speech(sample.path))
        live.finish()
        assert server.health()["status"] == "ok"
    until(lambda: not tracing(trace))
    opened, called = seen(trace)
    written = {path for path, flags in opened.items() if flags & WRITES}

    assert len(opened) > 500, "the trace is not of a server"
    assert not RESOLVER & opened.keys()
    assert not called.keys() & {"AF_INET", "AF_INET6"}, called
    assert not {path for path in written if not path.startswith((str(temporary), "/dev/", "/proc/self/"))}


def tracing(trace: Path) -> bool:
    """Somebody has the file open: the tracer writes on after what it traced has ended."""
    for each in Path("/proc").glob("[0-9]*/comm"):
        try:
            if each.read_text() == "strace\n" and str(trace) in (each.parent / "cmdline").read_text():
                return True
        except OSError:
            continue
    return False


def test_a_call_would_show(tmp_path: Path) -> None:
    """Whoever asks for a name, writes a file and calls somebody is seen to."""
    trace, file = tmp_path / "trace", tmp_path / "written"
    program = (
        "import socket\n"
        f"open({str(file)!r}, 'w').close()\n"
        "try: socket.create_connection(('nobody.invalid', 80))\n"
        "except OSError: pass\n"
        "socket.socket().connect_ex(('127.0.0.1', 9))\n"
    )
    strace = ("strace", "-f", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(trace))
    subprocess.run([*strace, sys.executable, "-c", program], check=True)
    opened, called = seen(trace)

    assert opened[str(file)] & WRITES
    assert RESOLVER & opened.keys()
    assert "AF_INET" in called
