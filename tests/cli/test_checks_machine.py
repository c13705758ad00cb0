"""What the kernel tells of sockets and limits is read right, also inside containers."""

import os
import resource
import socket

import pytest

from gateway.cli.checks_machine import check_descriptors, check_port, check_processor
from gateway.server.listening import listener_of
from gateway.settings import ModelSettings, Settings


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_listener(family: socket.AddressFamily) -> None:
    """The process is found by the socket's number, in both tables."""
    try:
        listener = socket.create_server(("localhost", 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no network of the kind {family.name}")
    with listener:
        port = listener.getsockname()[1]
        owner = listener_of(port)

    assert str(owner).startswith(f"process {os.getpid()} (")
    assert listener_of(port) is None


def test_free_port() -> None:
    """Port 0 is always free."""
    (finding,) = check_port(Settings(port=0))

    assert finding.level == "ok"


def test_unknown_host() -> None:
    """A host that does not resolve, or is not ours, is a problem with its reason."""
    (finding,) = check_port(Settings(host="192.0.2.1", port=0))

    assert finding.level == "problem"
    assert "192.0.2.1" in finding.text


def test_too_many_threads() -> None:
    """More than there are cores."""
    finding = next(iter(check_processor(Settings(workers=64, cpu_threads=64))))

    assert finding.level == "warning"
    assert "64 worker(s) of 64 thread(s)" in finding.text


def test_upstreams_need_no_cores() -> None:
    """Any number of them; models with settings of their own do."""
    upstreams = tuple(f"m{number}=openai:https://host/v1#m" for number in range(512))
    own = tuple(ModelSettings(source="base", name=f"m{number}") for number in range(512))
    elsewhere = next(iter(check_processor(Settings(model=upstreams))))
    here = next(iter(check_processor(Settings(models=own))))

    assert (elsewhere.level, here.level) == ("ok", "warning")
    assert "for 1 worker(s)" in elsewhere.text
    assert "for 512 worker(s)" in here.text


def test_descriptors() -> None:
    """Enough for a stream, not for a million."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    (few,) = check_descriptors(Settings(max_streams=1))
    (many,) = check_descriptors(Settings(max_streams=max(limit, 1)))

    assert (few.level, many.level) == ("ok", "warning")
    assert "ulimit -n" in many.remedy
