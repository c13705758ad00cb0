"""Measures what a newcomer waits for: install size and time, seconds to ready, to first words, to the whole.

Makes a fresh virtual environment, installs this project into it as the README says, starts the server with no
model cached and the model hub unreachable, and transcribes a real voice. Needs nothing but Python and pip.

Usage: python bench/quickstart.py
"""

import http.client
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "tests" / "samples" / "jfk.flac"
SILERO = "silero-vad==6.2.3"
START_SECONDS = 60


def install(folder: Path) -> None:
    """The README's installation."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(ROOT)], check=True)
    subprocess.run([*pip, "--no-deps", SILERO], check=True)


def megabytes(folder: Path) -> float:
    """Size of the installed packages on disk, without pip and setuptools themselves."""
    packages = next((folder / "lib").glob("python*/site-packages"))
    files = (path for path in packages.rglob("*") if path.is_file() and not path.is_symlink())
    return (
        sum(
            path.stat().st_size
            for path in files
            if not path.relative_to(packages).parts[0].startswith(("pip", "setuptools", "pkg_resources"))
        )
        / 1e6
    )


def wait_ready(port: int) -> None:
    """Returns when a worker can serve."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise TimeoutError("the server did not become ready")


def transcribe(port: int) -> tuple[float, float, str]:
    """Streams the sample's transcript: seconds to the first delta and to the end, and the done event."""
    boundary = "quickstart"
    fields = {"model": "whisper-1", "stream": "true"}
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head.encode() + SAMPLE.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    started = time.monotonic()
    connection.request(
        "POST",
        "/v1/audio/transcriptions",
        body,
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    response = connection.getresponse()
    first = 0.0
    lines = []
    while line := response.readline():
        first = first or time.monotonic() - started
        if line.startswith(b"data: {"):
            lines.append(line.decode())
    return first, time.monotonic() - started, lines[-1]


def free_port() -> int:
    """A port nobody listens on at the moment."""
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "venv"
        started = time.monotonic()
        install(folder)
        install_seconds = time.monotonic() - started
        port = free_port()
        # Nothing listens on the discard port: the hub is unreachable, and no cached model is found.
        environment = {**os.environ, "HF_HOME": f"{name}/hub", "HF_ENDPOINT": "http://127.0.0.1:9"}
        started = time.monotonic()
        server = subprocess.Popen(
            [str(folder / "bin" / "gateway"), "serve", "--port", str(port)], env=environment, cwd=name
        )
        try:
            wait_ready(port)
            ready_seconds = time.monotonic() - started
            first, whole, last = transcribe(port)
        finally:
            server.terminate()
            server.wait()
        print(f"\nPython {sys.version.split()[0]}, {os.cpu_count()} cores")
        print(f"install, package cache as it is   {install_seconds:6.1f} s")
        print(f"installed packages                {megabytes(folder):6.0f} MB")
        print(f"start to ready                    {ready_seconds:6.1f} s")
        print(f"first words of 11 s of speech     {first:6.1f} s")
        print(f"whole text                        {whole:6.1f} s")
        print(last)


if __name__ == "__main__":
    main()
