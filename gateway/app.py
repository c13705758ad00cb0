"""The composition root: settings in, a running server out. Everything is wired here and nowhere else."""

import hashlib
import logging
import logging.config
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from types import FrameType

import anyio
import uvicorn
from starlette.applications import Starlette

from gateway import __version__
from gateway.engine.budget import MemoryBudget
from gateway.engine.catalog import Catalog
from gateway.engine.lifecycle import ManagedModel, ModelPlan
from gateway.errors import ModelUnavailableError, OperatorError, StartError
from gateway.flow.options import PartialOptions
from gateway.flow.pacing import Load
from gateway.flow.speaker_source import SpeakerSource
from gateway.metrics import Metrics
from gateway.protocol.asr_webservice import ASR, DETECT_LANGUAGE
from gateway.protocol.contracts import ALIASES
from gateway.protocol.dialect import openai
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.commands import MAX_FRAME_BYTES
from gateway.protocol.realtime.resume import ResumeSigner
from gateway.protocol.whisper_cpp import INFERENCE
from gateway.protocol.whisper_names import whisper_size
from gateway.runtime import load_resources, load_speakers, make_batcher, plan_models
from gateway.server.admission import Admission, KeyAdmission
from gateway.server.auth import Keys
from gateway.server.client_secrets import ClientSecrets
from gateway.server.docs import Docs
from gateway.server.exchanges import Exchanges
from gateway.server.realtime import Realtime
from gateway.server.routes import build_routes
from gateway.server.service import Limits, Service
from gateway.server.status import Health, Models
from gateway.server.transcriptions import Transcriptions
from gateway.server.transcriptions_ws import TranscriptionsWs
from gateway.settings import Settings
from gateway.systemd import ALIVE, READY, STOPPING, Notifier, reloading, starting

logger = logging.getLogger(__name__)

_QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "sse_starlette", "python_multipart")

LAST_WORDS_SECONDS = 1.5
"""For running answers and sessions to tell of the end, after their grace. With it, the defaults end the
server within the ten seconds that containers are given."""

HURRIED_SECONDS = 0.3
"""The same after a second signal."""

STARTING_SECONDS = 20.0
"""How often systemd is told that the start goes on, with as much again to go."""


class Gateway:
    """One application with its workers and its end.

    Attributes:
        app: The ASGI application; its lifespan starts and stops the workers.
        failure: Why the start failed, if it did; ``on_failure`` is called when it does.
        reloaders: Called at SIGHUP; each takes anew what it can of the settings. An `OperatorError` of theirs
            is logged, and the server goes on as it was.
    """

    def __init__(self, settings: Settings, plans: Sequence[ModelPlan]) -> None:
        self._settings = settings
        self.failure: str | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.reloaders: list[Callable[[], None]] = []
        self._notifier = Notifier.here()
        self._metrics = Metrics()
        self._leaving = anyio.Event()
        self._stopping = anyio.Event()
        self._hurried = anyio.Event()
        self._sessions = Admission()
        self._exchanges = Exchanges()
        budget = MemoryBudget(settings.memory_budget)
        self.models = [
            ManagedModel(
                plan,
                partial(make_batcher, settings=settings, metrics=self._metrics, models=len(plans)),
                budget,
                on_failure=self._fail,
            )
            for plan in plans
        ]
        given = {alias: plan.name for plan in plans for alias in plan.aliases}
        size_of = whisper_size if settings.foreign_names else lambda _: None
        catalog = Catalog(self.models, ALIASES, given, size_of)
        resources = load_resources(self._metrics)
        self._speakers = SpeakerSource(partial(load_speakers, settings), wait=settings.load_wait)
        service = Service(
            catalog,
            resources,
            Limits(**settings.model_dump(include={field.name for field in fields(Limits)})),
            Load(time.monotonic, self._metrics),
            Admission(settings.max_streams),
            self._stopping,
            self._speakers,
            default_chunking=settings.default_chunking,
            partials=PartialOptions(
                beam_size=settings.partial_beam_size, consistent=settings.live_finals == "consistent"
            )
            if settings.live_partials
            else None,
            always_logprobs=settings.logprobs == "always",
            strict_openai=settings.strict_openai,
        )
        signing_keys = _signing_keys(settings)
        signer = SecretSigner(signing_keys)
        self.app = build_routes(
            transcriptions=Transcriptions(service, openai("transcribe", strict=settings.strict_openai)),
            translations=Transcriptions(service, openai("translate", strict=settings.strict_openai)),
            dialects={
                "/asr": Transcriptions(service, ASR),
                "/detect-language": Transcriptions(service, DETECT_LANGUAGE),
                "/inference": Transcriptions(service, INFERENCE),
            },
            transcriptions_ws=TranscriptionsWs(service),
            realtime=Realtime(
                service,
                Admission(
                    settings.max_sessions, "Too many people are being listened to. Please try again soon."
                ),
                KeyAdmission(settings.max_key_sessions),
                self._leaving,
                ResumeSigner(signing_keys),
            ),
            client_secrets=ClientSecrets(catalog, signer, upload_timeout=settings.upload_timeout),
            models=Models(catalog, started=int(time.time())),
            health=Health(
                self.models,
                self._speakers,
                vad=resources.vad.source,
                version=__version__,
                metrics=self._metrics,
            ),
            docs=Docs(version=__version__, secured=bool(settings.api_keys)),
            keys=Keys(settings.api_keys, signer),
            sessions=self._sessions,
            exchanges=self._exchanges,
            metrics=self._metrics,
            lifespan=self._lifespan,
        )

    def leave(self) -> None:
        """Begins the end: running requests get the grace period, then an error; a second call is for now."""
        if self._leaving.is_set():
            self._hurried.set()
        self._leaving.set()
        self._notifier.tell(STOPPING)

    def reload(self) -> None:
        """Takes the settings anew, as far as they can change while the server runs."""
        self._notifier.tell(reloading())
        for reload in self.reloaders:
            try:
                reload()
            except OperatorError as error:
                logger.error("not reloaded: %s", error)  # noqa: TRY400 - one line for whoever wrote the setting
        logger.info("reloaded")
        self._notifier.tell(READY)

    def _fail(self, reason: str) -> None:
        """A model that must be there from the start cannot be: it stops the start."""
        self.failure = self.failure or reason
        self.on_failure()

    async def sessions_ended(self) -> None:
        """Returns when the WebSockets are gone, or have had their time."""
        with anyio.move_on_after(self._settings.shutdown_grace + LAST_WORDS_SECONDS + HURRIED_SECONDS):
            await self._sessions.all_left()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for model in self.models:
                tasks.start_soon(model.run)
            tasks.start_soon(self._speakers.run)
            tasks.start_soon(self._end)
            tasks.start_soon(self._tell_systemd)
            yield
            tasks.cancel_scope.cancel()

    async def _end(self) -> None:
        """The end in its steps; what has ended by itself does not notice the later ones."""
        await self._leaving.wait()
        with anyio.move_on_after(self._settings.shutdown_grace):
            await self._hurried.wait()
        self._stopping.set()
        self._exchanges.end(unanswered=True)
        with anyio.move_on_after(LAST_WORDS_SECONDS):
            await self._hurried.wait()
            await anyio.sleep(HURRIED_SECONDS)
        self._exchanges.end(unanswered=False)

    async def _tell_systemd(self) -> None:
        for model in self.models:
            while model.is_pinned and not model.ready:
                doing = f"model {model.name}: {model.status.state.value}"
                self._notifier.tell(starting(doing, 2 * STARTING_SECONDS))
                with anyio.move_on_after(STARTING_SECONDS):
                    await model.until_ready()
        self._notifier.tell(READY)
        while self._notifier.watchdog_seconds is not None:
            self._notifier.tell(ALIVE)
            await anyio.sleep(self._notifier.watchdog_seconds)


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
                ws_max_size=MAX_FRAME_BYTES,
                # Audio in base64 hardly shrinks; 200 KB of frames could swell to 200 MB at once, though.
                ws_per_message_deflate=False,
                # All but what ignores its cancellation has ended by then, see `Gateway`.
                timeout_graceful_shutdown=round(settings.shutdown_grace + LAST_WORDS_SECONDS + 1),
            )
        )
        self._gateway = gateway
        self._reloads = False
        gateway.on_failure = self._give_up

    def _give_up(self) -> None:
        self._gateway.leave()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signals call it
        """SIGTERM and Ctrl-C; a second one ends within a second."""
        self._gateway.leave()
        # Not uvicorn's own: a second Ctrl-C would leave the workers to themselves.
        self.should_exit = True

    def handle_reload(self, *_: object) -> None:
        """SIGHUP: the settings are read anew at the next tick, outside of the signal's handler."""
        self._reloads = True

    async def on_tick(self, counter: int) -> bool:
        """Uvicorn's own, ten times a second."""
        if self._reloads:
            self._reloads = False
            self._gateway.reload()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own, behind the end of the WebSockets, which it would close at once."""
        for server in self.servers:
            server.close()
        await self._gateway.sessions_ended()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serves until a signal ends it.

    Raises:
        StartError: A model cannot be had, or the port is taken.
    """
    _configure_logging(settings.log_level)
    try:
        plans = plan_models(settings)
    except ModelUnavailableError as error:
        raise StartError(str(error)) from None
    for plan in plans:
        logger.info("serving model %s", plan.name)
    try:
        gateway = Gateway(settings, plans)
    except ValueError as error:
        raise StartError(str(error)) from None
    server = Server(gateway, settings)
    # One that comes when the server has ended already changes nothing about it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, server.handle_reload)
    server.run()
    if gateway.failure is not None:
        raise StartError(gateway.failure)
    if not server.started:
        raise StartError(f"cannot listen on {settings.host}:{settings.port}")


def _signing_keys(settings: Settings) -> list[bytes]:
    """Replicas with the same API keys accept each other's ephemeral ones, without a further setting."""
    if settings.session_secret:
        return [settings.session_secret.encode()]
    if settings.api_keys:
        # Slow on purpose: whoever holds an ephemeral key could try API keys against it.
        keys = "\n".join(sorted(settings.api_keys)).encode()
        return [hashlib.scrypt(keys, salt=b"gateway ephemeral keys", n=2**14, r=8, p=1)]
    return [secrets.token_bytes(32)]


class _WithoutQuery(logging.Filter):
    """Uvicorn logs a WebSocket's query, where a prompt may stand, and a prompt is the user's own."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and '"WebSocket %s"' in record.msg and isinstance(record.args, tuple):
            record.args = tuple(
                value.partition("?")[0] if isinstance(value, str) else value for value in record.args
            )
        return True


def _configure_logging(level: str) -> None:
    info = max(logging.INFO, logging.getLevelNamesMapping()[level.upper()])
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
            "filters": {"without_query": {"()": _WithoutQuery}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "line",
                    "filters": ["without_query"],
                }
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                # Per-request lines of HTTP clients and of the stream encoder would repeat what we log.
                **{name: {"level": "WARNING"} for name in _QUIET},
                # At debug level it logs the headers and frames of WebSockets: keys and transcripts.
                "uvicorn.error": {"level": info},
            },
        }
    )
