"""The composition root: settings in, an application out. Everything is wired here and nowhere else."""

import hashlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import Any

import anyio
from starlette.applications import Starlette

from gateway import __version__
from gateway.aio import run_abandonable
from gateway.engine.budget import MemoryBudget
from gateway.engine.catalog import Catalog
from gateway.engine.lifecycle import ManagedModel, ModelPlan
from gateway.errors import OperatorError, SettingsError
from gateway.flow.options import PartialOptions
from gateway.flow.pacing import Load
from gateway.flow.speaker_source import SpeakerSource
from gateway.keys import ClientLimits, Key, plain_keys, read_keys
from gateway.memory import available_bytes, keep_small
from gateway.metrics import Metrics
from gateway.protocol.asr_webservice import ASR, DETECT_LANGUAGE
from gateway.protocol.contracts import ALIASES
from gateway.protocol.dialect import openai
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.resume import ResumeSigner
from gateway.protocol.whisper_cpp import INFERENCE
from gateway.protocol.whisper_names import meant_size
from gateway.runtime.resources import load_resources, load_speakers
from gateway.runtime.workers import make_batcher
from gateway.server.admission import Admission, KeyAdmission
from gateway.server.auth import Keys
from gateway.server.captions import Captions
from gateway.server.client_secrets import ClientSecrets
from gateway.server.docs import Docs
from gateway.server.exchanges import Exchanges
from gateway.server.listening import is_loopback
from gateway.server.origins import Origins
from gateway.server.realtime import Realtime
from gateway.server.relay import Relay
from gateway.server.routes import build_routes
from gateway.server.service import Limits, Service
from gateway.server.status import Health, Models
from gateway.server.transcriptions import Transcriptions
from gateway.server.transcriptions_ws import TranscriptionsWs
from gateway.server.under_way import UnderWay
from gateway.settings import Settings
from gateway.systemd import ALIVE, READY, STOPPING, Notifier, reloading, starting
from gateway.tracing.setup import open_tracer

logger = logging.getLogger(__name__)

LAST_WORDS_SECONDS = 1.5
"""For running answers and sessions to tell of the end, after their grace. With it, the defaults end the
server within the ten seconds that containers are given."""

HURRIED_SECONDS = 0.3
"""The same after a second signal."""

MOST_WAITING_BYTES = 512 * 1024 * 1024
WAITING_SHARE = 12
"""Live audio that waits may take a twelfth of the memory, and no more than that: the models come first."""

LAST_SPANS_SECONDS = 1.0
"""For the traces of the last seconds to get to whoever collects them."""

STARTING_SECONDS = 20.0
"""How often systemd is told that the start goes on, with as much again to go."""


class Gateway:
    """One application with its workers and its end.

    Attributes:
        app: The ASGI application; its lifespan starts and stops the workers.
        metrics: What it counts.
        under_way: Messages that its WebSockets are receiving.
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
        self._tracer = open_tracer(os.environ)
        self.metrics = Metrics()
        self.under_way = UnderWay(self.metrics)
        self._leaving = anyio.Event()
        self._stopping = anyio.Event()
        self._hurried = anyio.Event()
        self._sessions = Admission()
        self._exchanges = Exchanges()
        budget = MemoryBudget(settings.memory_budget)
        local = sum(not plan.is_remote for plan in plans)
        self.models = [
            ManagedModel(
                plan,
                partial(make_batcher, settings=settings, metrics=self.metrics, models=local),
                budget,
                on_failure=self._fail,
            )
            for plan in plans
        ]
        given = {alias: plan.name for plan in plans for alias in plan.aliases}
        size_of = meant_size if settings.foreign_names else lambda _: None
        catalog = Catalog(self.models, ALIASES, given, size_of)
        resources = load_resources(self.metrics)
        self._speakers = SpeakerSource(partial(load_speakers, settings), wait=settings.load_wait)
        service = Service(
            catalog,
            resources,
            Limits(**_with_memory(settings)),
            Load(time.monotonic, self.metrics),
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
        self._show_limits(service)
        relay = Relay(settings.max_viewers, self.metrics)
        signing_keys = _signing_keys(settings)
        signer, resume = SecretSigner(signing_keys), ResumeSigner(signing_keys)
        self._keys = Keys(
            partial(_read_keys, settings),
            signer,
            file=settings.keys_file,
            limits=_client_limits(settings),
            resume=resume if settings.resume_seconds else None,
        )
        self.reloaders.append(self._keys.reload)
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
                    settings.max_sessions,
                    "Too many people are being listened to. Please try again soon.",
                    reason="sessions_full",
                ),
                KeyAdmission(settings.max_key_sessions),
                relay,
                self._leaving,
                resume,
            ),
            client_secrets=ClientSecrets(catalog, signer, upload_timeout=settings.upload_timeout),
            models=Models(catalog, started=int(time.time())),
            health=Health(
                self.models,
                self._speakers,
                vad=resources.vad.source,
                version=__version__,
                metrics=self.metrics,
            ),
            captions=Captions(relay, self._leaving, send_timeout=settings.send_timeout),
            docs=Docs(version=__version__, secured=self._keys.are_needed),
            keys=self._keys,
            origins=Origins(
                settings.allowed_origins,
                settings.allowed_hosts,
                open=not self._keys.are_needed,
                local=is_loopback(settings.host),
            ),
            sessions=self._sessions,
            exchanges=self._exchanges,
            metrics=self.metrics,
            tracer=self._tracer,
            lifespan=self._lifespan,
        )

    def _show_limits(self, service: Service) -> None:
        self.metrics.max_streams.set(self._settings.max_streams)
        self.metrics.max_sessions.set(self._settings.max_sessions)
        self.metrics.live_waiting_limit.set(_waiting_total(self._settings))
        self.metrics.spool_bytes.set_function(lambda: sum(spool.size for spool in service.spools))

    def leave(self) -> None:
        """Begins the end: running requests get the grace period, then an error; a second call is for now."""
        if self._leaving.is_set():
            self._hurried.set()
        self._leaving.set()
        self._notifier.tell(STOPPING)

    def reload(self) -> None:
        """Takes the settings anew, as far as they can change while the server runs."""
        self._notifier.tell(reloading())
        try:
            for reload in self.reloaders:
                reload()
        except OperatorError as error:
            logger.error("not reloaded: %s", error)  # noqa: TRY400 - one line for whoever wrote the setting
        else:
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
            tasks.start_soon(self._keys.watch)
            tasks.start_soon(keep_small)
            tasks.start_soon(self._end)
            tasks.start_soon(self._tell_systemd)
            yield
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(LAST_SPANS_SECONDS):
            await run_abandonable(self._tracer.close)

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


def _with_memory(settings: Settings) -> dict[str, Any]:
    """The limits among the settings; what is left to the machine's memory is a number here."""
    limits = settings.model_dump(include={field.name for field in fields(Limits)})
    return {**limits, "max_waiting_total": _waiting_total(settings)}


def _waiting_total(settings: Settings) -> int:
    return settings.max_waiting_total or min(MOST_WAITING_BYTES, available_bytes() // WAITING_SHARE)


def _read_keys(settings: Settings) -> list[Key] | None:
    """The accepted keys; None where everybody may come in.

    Raises:
        SettingsError: They cannot be read, or two share a name.
    """
    if not settings.api_keys and settings.keys_file is None:
        return None
    limits = _client_limits(settings)
    keys = plain_keys(settings.api_keys, limits)
    if settings.keys_file is not None:
        keys += read_keys(settings.keys_file, limits)
    names = [key.name for key in keys]
    if twice := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"two keys are called {', '.join(sorted(twice))}")
    return keys


def _client_limits(settings: Settings) -> ClientLimits:
    return ClientLimits(
        requests_per_minute=settings.client_requests_per_minute,
        audio_minutes=settings.client_audio_minutes,
        streams=settings.client_streams or max(1, settings.max_streams * 3 // 4),
        sessions=settings.client_sessions,
        waiting_bytes=settings.client_waiting_bytes or _waiting_total(settings) // 2,
    )


def _signing_keys(settings: Settings) -> list[bytes]:
    """Replicas with the same API keys accept each other's ephemeral ones, without a further setting."""
    if settings.session_secret:
        return [settings.session_secret.encode()]
    if settings.api_keys and settings.keys_file is None:
        # Slow on purpose: whoever holds an ephemeral key could try API keys against it.
        keys = "\n".join(sorted(settings.api_keys)).encode()
        return [hashlib.scrypt(keys, salt=b"gateway ephemeral keys", n=2**14, r=8, p=1)]
    return [secrets.token_bytes(32)]
