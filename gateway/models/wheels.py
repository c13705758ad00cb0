"""Wheels as files from the package index, which are neither installed nor imported.

By pip where it is there, so that the mirrors, proxies and credentials of its configuration count; else by the
simple API of `PIP_INDEX_URL`, or of the public index, as JSON (PEP 691) or, as most mirrors have it, as HTML.
"""

import errno
import html
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, urlopen

from gateway.errors import ModelUnavailableError
from gateway.models.hub import within

NAME = "the package index"

_SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"

_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"'#]+)""", re.IGNORECASE)
"""A file's address on a page of HTML; behind # stands its checksum."""
_CHUNK = 1 << 18

_STEP_SECONDS = 30.0
"""For each step of an exchange without pip."""

_UNASKED = re.compile(r"Could not fetch URL \S+: (.+) - skipping$", re.MULTILINE)

_PIP = """
import os, runpy, shutil, signal, sys, threading

def end_with_parent():
    os.read(0, 1)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip, which ends with its standard input, so that it outlives nobody, and then leaves nothing behind."""


def ask(requirement: str, seconds: float) -> None:
    """Asks whether a wheel, ``name==version``, is there.

    Raises:
        ModelUnavailableError: The index has not answered in time, or does not have it.
    """
    name, _, version = requirement.partition("==")
    if not _has_pip():
        with _told_plainly():
            within(seconds, lambda: _find(requirement))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["index", "versions", name, "--only-binary=:all:", "--retries=0"]
        said = _pip(command, Path(folder), seconds)
    if version not in re.findall(r"[\w.]+", said):
        raise ModelUnavailableError(f"{NAME} has no {requirement}")


def fetch(requirements: Sequence[str], folder: Path, seconds: float) -> None:
    """Downloads wheels into ``folder``, and all that is temporary into the folder above it.

    Raises:
        ModelUnavailableError: The index does not have them, broke off or took too long.
        OSError: The disk is full.
    """
    if _has_pip():
        options = ["--no-deps", "--only-binary=:all:", f"--dest={folder}"]
        _pip(["download", *options, *requirements], folder.parent, seconds, is_shown=True)
        return
    deadline = time.monotonic() + seconds
    with _told_plainly():
        for requirement in requirements:
            _fetch(requirement, folder, deadline)


def stem(requirement: str) -> str:
    """How the file names of its wheels begin."""
    return requirement.replace("-", "_").replace("==", "-")


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _pip(arguments: Sequence[str], folder: Path, seconds: float, *, is_shown: bool = False) -> str:
    """Runs pip with its temporary files in ``folder``, and returns what it prints, if that is not shown.

    Args:
        is_shown: Its progress is for the terminal, if there is one.

    Raises:
        ModelUnavailableError: It has not done it, or not in time.
        OSError: The disk is full.
    """
    bars = is_shown and sys.stderr.isatty()
    log = folder / "pip.log"
    options = ["--no-input", "--disable-pip-version-check", f"--log={log}"]
    if is_shown and not bars:
        options.append("--quiet")
    theirs, ours = os.pipe()
    try:
        with subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-P", "-c", _PIP, *arguments, *options],
            stdin=theirs,
            stdout=sys.stderr if bars else subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder)},
            text=True,
            errors="replace",
            start_new_session=True,
        ) as pip:
            os.close(theirs)
            try:
                said, complaints = pip.communicate(timeout=seconds)
            except BaseException:
                os.killpg(pip.pid, signal.SIGKILL)
                raise
    except subprocess.TimeoutExpired:
        raise ModelUnavailableError(f"{NAME} did not answer within {seconds:g} s") from None
    finally:
        os.close(ours)
    if pip.returncode:
        raise _refusal(complaints, log)
    return said or ""


def _refusal(complaints: str, log: Path) -> Exception:
    """What pip's complaints come to: the disk's fault, or the index's.

    An index that could not be asked is a line in its log alone: it complains of having found nothing.
    """
    if os.strerror(errno.ENOSPC) in complaints:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line.removeprefix("ERROR: ") for line in complaints.splitlines() if line.startswith("ERROR")]
    if lines and lines[-1] == "Exception:":  # what it did not expect, as a traceback
        lines = complaints.split("\n")[-2:-1]
    if lines and lines[-1].startswith("No matching distribution"):
        lines += _unasked(log)
    return ModelUnavailableError(f"{NAME} cannot be used ({(lines or ['pip failed'])[-1]})")


def _unasked(log: Path) -> list[str]:
    """Why indexes could not be asked, by pip's log; one that does not have the project has answered."""
    try:
        reasons = _UNASKED.findall(log.read_text(errors="replace"))
    except OSError:
        return []
    return [reason for reason in reasons if not reason.startswith("404 ")]


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Whatever is wrong with an exchange, or with an answer, is one line."""
    try:
        yield
    except TimeoutError:
        raise ModelUnavailableError(f"{NAME} did not answer in time") from None
    except HTTPError as error:
        error.close()
        raise ModelUnavailableError(f"{NAME} answered with status {error.code}") from error
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = " ".join(str(error).split())
        raise ModelUnavailableError(f"{NAME} cannot be used ({type(error).__name__}: {reason})") from error


def _find(requirement: str) -> str:
    """The address of a wheel, by the simple API.

    Raises:
        OSError: The index does not answer.
        ModelUnavailableError: It does not have it.
    """
    name, _, version = requirement.partition("==")
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    request = Request(f"{index}/{name}/", headers={"Accept": _SIMPLE})  # noqa: S310 - the operator's own
    with urlopen(request, timeout=_STEP_SECONDS) as answer:  # noqa: S310 - the same
        page = answer.read()
        if answer.headers.get_content_type() == "text/html":
            addresses = [html.unescape(address) for address in _LINK.findall(page.decode(errors="replace"))]
        else:
            addresses = [str(file["url"]) for file in json.loads(page)["files"]]
        for address in addresses:
            file = unquote(urlsplit(address).path).rpartition("/")[2]
            if re.fullmatch(rf"{re.escape(stem(requirement))}-[\w.-]+\.whl", file):
                return urljoin(str(answer.url), address)
    raise ModelUnavailableError(f"{NAME} has no {name} {version}")


def _fetch(requirement: str, folder: Path, deadline: float) -> None:
    address = _find(requirement)
    with (
        urlopen(address, timeout=_STEP_SECONDS) as answer,  # noqa: S310 - the index says so
        (folder / f"{stem(requirement)}-py3-none-any.whl").open("xb") as out,
    ):
        while data := answer.read(_CHUNK):
            if time.monotonic() > deadline:
                raise TimeoutError
            out.write(data)
