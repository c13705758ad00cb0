"""A model's life: fetched and loaded when it is wanted, unloaded when it is not; and how it is."""

import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from gateway.aio import Changed, open_task_group, run_abandonable
from gateway.engine.api import EngineSpec, ModelDefaults, Recognizer
from gateway.engine.batcher import Batcher
from gateway.engine.budget import MemoryBudget
from gateway.engine.supervisor import WorkerStatus
from gateway.errors import LoadFailedError, ModelUnavailableError, UnavailableError

logger = logging.getLogger(__name__)

FAILED_SECONDS = 30.0
"""How long a model that could not be loaded is left alone, or each request would cost a start."""


class ModelState(StrEnum):
    """Where a model is."""

    UNLOADED = "unloaded"
    FETCHING = "fetching"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model, as ``/health`` shows it.

    Attributes:
        detail: Progress of a download, or why it failed; fit to be shown.
        workers: Its processes, none while it is not loaded.
    """

    state: ModelState
    detail: str | None = None
    workers: tuple[WorkerStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """How long a model stays loaded.

    Attributes:
        pinned: Loaded from the start and never unloaded.
        idle_seconds: Unloaded after so long without a request; 0 never.
        load_wait: Seconds a request waits for it to be loaded before it is told to come back.
    """

    pinned: bool = True
    idle_seconds: float = 0.0
    load_wait: float = 30.0


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model to serve, and how.

    Attributes:
        find: Finds or fetches it, in a thread, which the end of the process does not wait for.
        progress: How far the fetching is, while it is fetched.
        aliases: Further names it answers to.
        is_remote: It takes nothing of this machine.
    """

    name: str
    find: Callable[[], EngineSpec]
    policy: ModelPolicy = field(default_factory=ModelPolicy)
    progress: Callable[[], str | None] = lambda: None
    defaults: ModelDefaults = field(default_factory=ModelDefaults)
    aliases: tuple[str, ...] = ()
    is_remote: bool = False


class ManagedModel:
    """One model under its name. `run` owns its workers; `lease` is how requests get at them.

    Args:
        start: Makes the batcher for it.
        budget: The memory that loaded models share.
        on_failure: Told when a pinned model cannot be loaded at the start.
    """

    def __init__(
        self,
        plan: ModelPlan,
        start: Callable[[EngineSpec], Batcher],
        budget: MemoryBudget,
        *,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = plan.name
        self.defaults = plan.defaults
        self.is_pinned = plan.policy.pinned
        self._plan = plan
        self._start = start
        self._budget = budget
        self._on_failure = on_failure
        self._batcher: Batcher | None = None
        self._status = ModelStatus(ModelState.FETCHING if self.is_pinned else ModelState.UNLOADED)
        self._leases = 0
        self._was_ready = False
        self._wanted = self.is_pinned
        self._evicted = False
        # Its workers are being stopped: what comes now waits for the next loading.
        self._leaving = False
        self._failed_at = -math.inf
        self._changed = Changed()
        self.last_used = 0.0

    @property
    def status(self) -> ModelStatus:
        """Where the model is, and how its workers are."""
        if self._batcher is None or self._leaving:
            if self._status.state is ModelState.FETCHING:
                return ModelStatus(ModelState.FETCHING, self._plan.progress())
            return self._status
        workers = self._batcher.state
        if self._batcher.ready:
            return ModelStatus(ModelState.READY, None, workers)
        return ModelStatus(self._status.state, self._status.detail, workers)

    @property
    def ready(self) -> bool:
        """It can serve, now or, if it is not pinned, when it is wanted."""
        if self._is_loaded:
            return True
        return not self.is_pinned and not self._is_hopeless

    @property
    def is_idle(self) -> bool:
        """It is loaded, nobody uses it, and it may be unloaded."""
        return self._batcher is not None and not self.is_pinned and (self._leaving or not self._leases)

    @property
    def _is_loaded(self) -> bool:
        return self._batcher is not None and self._batcher.ready and not self._leaving

    @property
    def _is_hopeless(self) -> bool:
        """It cannot be loaded, or its workers start no more."""
        return self._status.state is ModelState.FAILED or (
            self._batcher is not None and self._batcher.hopeless
        )

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Recognizer]:
        """The model, loaded; it stays so until the context is left.

        Raises:
            UnavailableError: It is still being fetched or loaded, or cannot be.
        """
        self._leases += 1
        self._wanted = True
        self._note_change()
        try:
            with anyio.move_on_after(self._plan.policy.load_wait):
                await self._changed.until(lambda: self._is_loaded or self._is_hopeless)
            if self._batcher is None or not self._is_loaded:
                if self._is_hopeless:
                    raise UnavailableError(
                        f"The model '{self.name}' cannot be served at the moment.", reason="model_failed"
                    )
                doing = self.status.detail or self.status.state
                raise UnavailableError(
                    f"The model '{self.name}' is not loaded yet ({doing}).",
                    retry_after=5,
                    reason="model_loading",
                )
            yield self._batcher
        finally:
            self._leases -= 1
            self.last_used = anyio.current_time()
            self._note_change()

    async def until_ready(self) -> None:
        """Returns when it can serve."""
        await self._changed.until(lambda: self.ready)

    def evict(self) -> None:
        """Has an idle model unloaded, for the sake of another one."""
        if not self._evicted:
            self._evicted = True
            self._note_change()

    async def run(self) -> None:
        """Loads and unloads until cancelled."""
        while True:
            while not self._wanted or anyio.current_time() < self._failed_at + FAILED_SECONDS:
                with anyio.move_on_after(FAILED_SECONDS):
                    await self._changed.wait()
            try:
                await self._serve_once()
            except (ModelUnavailableError, LoadFailedError, UnavailableError) as error:
                self._fail(error)
            except Exception as error:
                # A full disk, say: the other models go on.
                logger.exception("model %s failed", self.name)
                self._fail(error)

    async def _serve_once(self) -> None:
        """From finding the model to unloading it.

        Raises:
            ModelUnavailableError: It cannot be found or fetched.
            LoadFailedError: It cannot be loaded.
        """
        self._set(ModelState.FETCHING)
        spec = await run_abandonable(self._plan.find)
        self._set(ModelState.LOADING)
        batcher = self._start(spec)
        async with self._budget.reserve(self, batcher.memory_bytes):
            self._batcher = batcher
            try:
                async with open_task_group() as tasks:
                    tasks.start_soon(batcher.run)
                    await batcher.wait_ready()
                    self._was_ready = True
                    logger.info("model %s is ready", self.name)
                    self._note_change()
                    tasks.start_soon(self._relay_readiness, batcher)
                    await self._until_unloaded()
                    self._leaving = True
                    self._set(ModelState.UNLOADED)
                    tasks.cancel_scope.cancel()
            finally:
                self._batcher = None
                self._leaving = self._evicted = False
        logger.info("model %s is unloaded", self.name)
        self._wanted = self._leases > 0

    async def _relay_readiness(self, batcher: Batcher) -> None:
        """Wakes the requests that wait for a worker which takes the place of a lost one."""
        while True:
            was = batcher.ready, batcher.hopeless
            await batcher.changed.wait()
            if was != (batcher.ready, batcher.hopeless):
                self._note_change()

    async def _until_unloaded(self) -> None:
        if self.is_pinned:
            await anyio.sleep_forever()
        while True:
            deadline = math.inf
            if not self._leases:
                if self._evicted:
                    return
                if idle_seconds := self._plan.policy.idle_seconds:
                    deadline = self.last_used + idle_seconds
                if anyio.current_time() >= deadline:
                    return
            with anyio.CancelScope(deadline=deadline):
                await self._changed.wait()

    def _fail(self, error: Exception) -> None:
        logger.error("model %s cannot be served: %s", self.name, error)
        self._failed_at = anyio.current_time()
        reason = error.public if isinstance(error, LoadFailedError) else "it cannot be found or fetched"
        self._set(ModelState.FAILED, reason)
        if self.is_pinned and not self._was_ready:
            self._on_failure(str(error))
        self._wanted = self.is_pinned

    def _set(self, state: ModelState, detail: str | None = None) -> None:
        self._status = ModelStatus(state, detail)
        self._note_change()

    def _note_change(self) -> None:
        self._changed.notify()
        self._budget.changed.notify()
