"""The composition root: settings in, a running server out. Everything is wired here and nowhere else."""

import logging
import logging.config
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import FrameType

import anyio
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

from gateway import __version__
from gateway.audio.silero import SileroModel
from gateway.config import Settings
from gateway.engine.batcher import Batcher, BatcherOptions
from gateway.engine.catalog import Catalog
from gateway.engine.hub import Hub, ModelUnavailableError
from gateway.engine.models import WhisperOptions, default_spec, resolve
from gateway.engine.replica import ReplicaOptions
from gateway.engine.types import EngineSpec, Recognizer
from gateway.metrics import Metrics
from gateway.pipeline import ROWS_AHEAD, Resources
from gateway.protocol.names import ALIASES
from gateway.server.health import Health
from gateway.server.models import Models
from gateway.server.routes import build_routes
from gateway.server.transcriptions import Limits, Transcriptions

logger = logging.getLogger(__name__)

UVICORN_MARGIN_SECONDS = 3
"""What uvicorn waits beyond our own grace: running requests then get their refusal through."""


class StartError(Exception):
    """The server cannot start; the text is one clear line for the operator."""


class Gateway:
    """One application with its workers and its end.

    Attributes:
        app: The ASGI application; its lifespan starts and stops the workers.
    """

    def __init__(self, settings: Settings, specs: Sequence[EngineSpec]) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._leaving = anyio.Event()
        self._stopping = anyio.Event()
        options = BatcherOptions(
            max_rows=settings.max_streams * (ROWS_AHEAD + 2),
            replica=ReplicaOptions(row_seconds=settings.row_timeout),
        )
        environment = _thread_environment(settings, models=len(specs))
        self.batchers = [
            Batcher(spec, self._metrics, options, environments=[environment] * settings.workers)
            for spec in specs
        ]
        catalog: Catalog[Recognizer] = Catalog(self.batchers, ALIASES)
        vad = SileroModel.load()
        resources = Resources(vad, anyio.CapacityLimiter(os.cpu_count() or 2), self._metrics)
        self.app = build_routes(
            transcriptions=Transcriptions(
                catalog,
                resources,
                _limits(settings),
                stopping=self._stopping,
                always_logprobs=settings.logprobs == "always",
            ),
            models=Models(catalog, started=int(time.time())),
            health=Health(self.batchers, vad=vad.source, version=__version__, metrics=self._metrics),
            metrics=self._metrics,
            api_keys=settings.api_keys,
            lifespan=self._lifespan,
        )

    def leave(self) -> None:
        """Begins the end: running requests get the grace period, then an error."""
        self._leaving.set()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for batcher in self.batchers:
                tasks.start_soon(batcher.run)
            tasks.start_soon(self._stop_after_grace)
            yield
            tasks.cancel_scope.cancel()

    async def _stop_after_grace(self) -> None:
        await self._leaving.wait()
        await anyio.sleep(self._settings.shutdown_grace)
        self._stopping.set()


class Server(uvicorn.Server):
    """Uvicorn, with our signal step before its own."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                gateway.app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                lifespan="on",
                timeout_graceful_shutdown=round(settings.shutdown_grace) + UVICORN_MARGIN_SECONDS,
            )
        )
        self._gateway = gateway

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM and Ctrl-C; a second one ends at once."""
        self._gateway.leave()
        super().handle_exit(sig, frame)


def run(settings: Settings) -> None:
    """Serves until a signal ends it.

    Raises:
        StartError: A model cannot be had, or the port is taken.
    """
    _configure_logging(settings.log_level)
    # Event streams end by our own grace period: sse-starlette would cut them at the first signal.
    AppStatus.enable_automatic_graceful_drain = False
    try:
        specs = find_specs(settings)
    except ModelUnavailableError as error:
        raise StartError(str(error)) from None
    for spec in specs:
        logger.info("serving model %s", spec.name)
    server = Server(Gateway(settings, specs), settings)
    # Uvicorn raises the signals that ended it once more when it is done; that end was clean.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    if not server.started:
        raise StartError(f"cannot listen on {settings.host}:{settings.port}")


def find_specs(settings: Settings) -> list[EngineSpec]:
    """The engines of the settings' models, fetched where need be.

    Raises:
        ModelUnavailableError: One of them cannot be had.
    """
    options = WhisperOptions(
        device=settings.device,
        compute_type=settings.compute_type,
        cpu_threads=_threads(settings, models=max(1, len(settings.model))),
        max_batch=settings.max_batch,
        beam_size=settings.beam_size,
    )
    hub = Hub()
    if not settings.model:
        return [default_spec(options, hub)]
    return [resolve(model, options, hub) for model in settings.model]


def _threads(settings: Settings, *, models: int) -> int:
    """Threads of one worker: the cores, shared among all workers."""
    return settings.cpu_threads or max(1, (os.cpu_count() or 1) // (settings.workers * models))


def _thread_environment(settings: Settings, *, models: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(_threads(settings, models=models)), "OPENBLAS_NUM_THREADS": "1"}


def _limits(settings: Settings) -> Limits:
    return Limits(
        file_bytes=settings.max_upload_bytes,
        audio_seconds=settings.max_audio_seconds,
        upload_pause=settings.upload_timeout,
        send_pause=settings.send_timeout,
        streams=settings.max_streams,
    )


def _configure_logging(level: str) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            # Per-request lines of HTTP clients and of the stream encoder would repeat what we log.
            "loggers": {
                name: {"level": "WARNING"} for name in ("httpx", "sse_starlette", "python_multipart")
            },
        }
    )
