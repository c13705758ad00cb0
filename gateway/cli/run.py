"""From a command's wishes to its exit status: plan the outputs, find the model, run the batch."""

import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio

from gateway.aio import open_task_group
from gateway.cli.batch import Batch, Plan
from gateway.cli.common import ending_at_once, fail
from gateway.cli.inputs import STDIN
from gateway.cli.outputs import SUFFIXES, Folder, PlanError, Stdout, StdoutError, plan_files
from gateway.cli.rendering import Rendering
from gateway.cli.screen import Screen, ScreenHandler
from gateway.engine.api import EngineSpec, Task
from gateway.engine.replica import LoadFailedError
from gateway.errors import UnavailableError, UnsupportedValueError
from gateway.models.hub import ModelUnavailableError
from gateway.protocol.request import TranscriptionRequest
from gateway.runtime import find_specs
from gateway.settings import Settings

SUBTITLES = {"srt", "vtt"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line.

    Attributes:
        folder: Where to write a file for each input; None prints.
    """

    names: tuple[str, ...]
    request: TranscriptionRequest
    task: Task
    folder: Path | None
    overwrite: bool


def run(wishes: Wishes, settings: Settings) -> int:
    """Transcribes; returns the exit status.

    Raises:
        typer.Exit: Nothing could be begun; why was said.
    """
    _check(wishes)
    has_live_terminal = wishes.request.stream and sys.stdout.isatty()
    screen = Screen(len(wishes.names), bars=sys.stderr.isatty() and not has_live_terminal)
    _log_to(screen, settings)
    rendering = Rendering(wishes.request, wishes.task, with_names=len(wishes.names) > 1)
    stdout = Stdout(screen.paused) if sys.stdout.isatty() else Stdout()
    output = stdout if wishes.folder is None else Folder(_paths(wishes, wishes.folder))
    plan = Plan(wishes.names, rendering, output, live=stdout if wishes.request.stream else None)
    try:
        with ending_at_once():
            # Several are a server's: the first one is what it would answer with.
            spec = find_specs(settings.model_copy(update={"model": settings.model[:1]}))[0]
        return anyio.run(_run, Batch(plan, settings, screen), spec, screen)
    except (ModelUnavailableError, LoadFailedError) as error:
        fail(str(error))
    except UnsupportedValueError as error:
        fail(error.message, status=2)
    except UnavailableError as error:
        fail(error.message)
    except StdoutError as error:
        if error.is_closed:
            return 128 + signal.SIGPIPE
        fail(f"standard output: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _check(wishes: Wishes) -> None:
    several = len(wishes.names) > 1
    if wishes.names.count(STDIN) > 1:
        fail("standard input (-) can be read once only", status=2)
    if wishes.folder is not None and wishes.request.stream:
        fail("--stream prints and --output-dir writes files: choose one", status=2)
    if wishes.folder is None and several and wishes.request.response_format in SUBTITLES:
        fail(f"{wishes.request.response_format} of several files needs --output-dir", status=2)
    if wishes.folder is None and wishes.overwrite:
        fail("--overwrite needs --output-dir", status=2)


def _paths(wishes: Wishes, folder: Path) -> list[Path]:
    try:
        paths = plan_files(
            wishes.names, folder, SUFFIXES[wishes.request.response_format], overwrite=wishes.overwrite
        )
        folder.mkdir(parents=True, exist_ok=True)
    except PlanError as error:
        fail(str(error), status=2)
    except OSError as error:
        fail(f"{folder}: {error.strerror}", status=2)
    return paths


def _log_to(screen: Screen, settings: Settings) -> None:
    """Quiet unless asked: what matters to a person is said without the log."""
    level = settings.log_level if "log_level" in settings.model_fields_set else "warning"
    handler = ScreenHandler(screen)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in ("httpx", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _run(batch: Batch, spec: EngineSpec, screen: Screen) -> int:
    """The exit status; a signal ends the work in order, a second one at once."""
    caught = 0
    failures = 0

    async def cancel_on_signal() -> None:
        nonlocal caught
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                caught = number
                tasks.cancel_scope.cancel()
                return

    with screen.open():
        async with open_task_group() as tasks:
            tasks.start_soon(cancel_on_signal)
            failures = await batch.run(spec)
            tasks.cancel_scope.cancel()
    if caught:
        return 128 + caught
    screen.summarize()
    return 1 if failures else 0
