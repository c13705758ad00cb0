"""What an engine is: the protocol, what goes in, what comes out, and what it can be asked for."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal, Protocol, TypeAlias

from anyio.abc import TaskGroup

from gateway.audio.types import Samples
from gateway.errors import GatewayError
from gateway.transcript import Hypothesis

Device: TypeAlias = Literal["cpu", "cuda"]
Task: TypeAlias = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How one row is decoded. Everything here is the same for all chunks of a request.

    Attributes:
        language: ISO 639-1 code, or None to detect it (among ``languages`` if any are given).
        languages: Candidates for detection.
        prompt: Text that precedes the recording, for style and spelling.
        keywords: Words and names to expect.
        temperature: 0 takes the best of the beam search; higher ones draw, and may take another.
        seed: Makes that (temperature > 0) repeatable.
        words: Word times are wanted.
        logprobs: Token log-probabilities are wanted.
        beam_size: None takes the engine's default.
    """

    language: str | None = None
    languages: tuple[str, ...] = ()
    task: Task = "transcribe"
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int | None = None
    words: bool = False
    logprobs: bool = False
    beam_size: int | None = None


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """One row of a batch.

    Attributes:
        samples: 16 kHz mono float32, at most 30 s.
        whole: All of it is to be transcribed. False leaves a tail that is unfinished at the samples' end to
            the next row, which begins at `Hypothesis.consumed`. Rows of both kinds may share a call.
        retry: What looks bad may be decoded again. False where a newer row soon replaces this one: it costs
            one search, whatever comes of it, and its text is one segment.
        breaks: Samples before each pause in it, after which somebody else may speak another language.
        expected: The language of what was said before. Where none is given, the row is in this one unless it
            says clearly that it is in another.
        hurried: It is wanted soon rather than at its best: the engine may read less context.
        shared: So many samples at its end the next row begins with, too. They are context: what is said there
            is transcribed as far as that costs nothing.
        most_tokens: Its text has no more, by what is known of it; None: by its length alone.
        alone: It is suspected of ending workers: where others share the replica, nothing of theirs runs
            beside it.
    """

    samples: Samples
    options: DecodeOptions
    whole: bool = True
    retry: bool = True
    breaks: tuple[int, ...] = ()
    expected: str | None = None
    hurried: bool = False
    shared: int = 0
    most_tokens: int | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class RowFailed:
    """This row could not be decoded; its batch mates were.

    Attributes:
        reason: For the log, not for clients.
        error: What its caller is told; None: that a part of the recording could not be transcribed.
    """

    reason: str
    error: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What may be asked of an engine; what is asked beyond it is refused before anything is decoded.

    Attributes:
        languages: ISO 639-1 codes; one alone means the engine has no choice.
        detects_language: Can tell which of ``languages`` is spoken.
        logprobs: Gives token log-probabilities.
    """

    languages: frozenset[str]
    detects_language: bool = False
    translate: bool = False
    prompt: bool = False
    keywords: bool = False
    temperature: bool = False
    words: bool = False
    logprobs: bool = False


class Engine(Protocol):
    """A loaded recogniser, living in a worker process. Called from a thread for each lane of its spec."""

    @property
    def capabilities(self) -> Capabilities:
        """What may be asked of it."""

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes the rows of one batch, all of one batch key.

        Returns:
            As many results as rows, in their order.
        """


def _nothing_waits() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How long a replica may take; generous, as they tell one that hangs from one that is slow.

    Attributes:
        load_timeout: Seconds to load the model.
        row_timeout: Seconds without using the processor after which a call hangs, and seconds of work for
            each of its rows.
        per_audio_second: Seconds of work for a second of audio, while nobody knows how fast the machine is.
        slack: How many times what a second of audio took so far is slow, and not a hang.
        stop_timeout: Seconds to leave on its own before it is killed.
        outage_timeout: Seconds that one which is out of reach may stay so before its rows are refused.
        waiting: Tells the rows that wait for replicas, to those whose number follows them.
    """

    load_timeout: float = 900.0
    row_timeout: float = 30.0
    per_audio_second: float = 10.0
    slack: float = 4.0
    stop_timeout: float = 0.5
    outage_timeout: float = 60.0
    waiting: Callable[[], int] = _nothing_waits

    @property
    def elsewhere(self) -> "ReplicaOptions":
        """The same for another machine, which cannot look into this one."""
        return replace(self, waiting=_nothing_waits)

    def busy_timeout(self, rows: int, audio_seconds: float, pace: float) -> float:
        """Seconds that one call may work, by the clock and of processor time.

        Args:
            pace: The most processor time that a second of audio has taken; 0 where nobody knows.
        """
        per_second = self.slack * pace if pace else self.per_audio_second
        return max(rows * self.row_timeout, audio_seconds * per_second)


class Replica(Protocol):
    """One running copy of an engine, wherever it runs: in a worker process, say, or behind a network.

    `start` it once, `transcribe` as many batches at a time as its spec has lanes, `stop` it whatever
    happened. It is never mended: who lost one makes another (see `Supervisor`).
    """

    @property
    def pid(self) -> int | None:
        """Of its process on this machine, once started; None where it has none."""

    @property
    def exited(self) -> bool:
        """It is gone, or about to go, and takes no batch any more."""

    @property
    def retired(self) -> bool:
        """It is not needed, now or any more: nothing is lost, and none may follow it for long."""

    @property
    def load(self) -> int:
        """Rows that others have it decode: of several replicas the one with the least to do gets the next."""

    async def start(self, tasks: TaskGroup, on_exit: Callable[[], None] = lambda: None) -> Capabilities:
        """Returns once the engine is loaded.

        Args:
            tasks: Owns what watches over the replica, which ends with it.
            on_exit: Called when it is gone, even if nobody waits for an answer.

        Raises:
            LoadFailedError: The engine could not be loaded, and will not be if tried again.
            WorkerLostError: It could not be started, died or hung.
        """

    async def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes one batch. After a `WorkerLostError`, or if cancelled, only `stop` is left to do.

        Returns:
            As many results as rows, in their order.

        Raises:
            BatchFailedError: The engine raised, or answered too few or too many rows.
            WorkerLostError: The replica died or hung.
        """

    async def stop(self) -> None:
        """Ends it, if it was started, and waits until it is gone; cancellation does not cut that short."""


class EngineSpec(Protocol):
    """A recipe for an engine, and what the batcher must know before the model is loaded."""

    @property
    def name(self) -> str:
        """The model's name, as users know it."""

    @property
    def max_batch(self) -> int:
        """The most rows of one call."""

    @property
    def lanes(self) -> int:
        """So many calls a replica takes at the same time."""

    @property
    def memory_bytes(self) -> int:
        """What one replica takes with the model loaded; estimated."""

    @property
    def device(self) -> Device:
        """What its replicas run on."""

    @property
    def express(self) -> bool:
        """A second replica is to take what somebody waits for, while the first gives way to it."""

    @property
    def places(self) -> Sequence[Mapping[str, str]] | None:
        """The environment of each replica, where it says itself where they run; None: as the settings say."""

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Rows of equal keys may share a call. Computed from the options alone, without the model."""

    def replica(self, environment: Mapping[str, str], options: ReplicaOptions) -> Replica:
        """A replica that does not run yet.

        Args:
            environment: Variables that place it on its device and cores.
        """


class Priority(IntEnum):
    """Order in which waiting rows are served; the lower goes first."""

    LIVE_FINAL = 0
    LIVE_PARTIAL = 1
    FILE = 2
    AHEAD = 3
    """Of a live client that sends faster than anybody speaks: as `FILE`, but nobody waits for its first."""


class Recognizer(Protocol):
    """A loaded model that decodes rows of many streams, as the flows see it; the `Batcher` is one."""

    @property
    def name(self) -> str:
        """The served model's name."""

    @property
    def capabilities(self) -> Capabilities:
        """Of the loaded engine.

        Raises:
            UnavailableError: No worker has loaded the model yet.
        """

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """Decodes one row; a cancelled call frees its place.

        Args:
            stream: Whose row it is: rows of different streams take turns.

        Raises:
            OverloadedError: The queue is full.
            UnavailableError: No worker can serve.
            EngineFailedError: The row failed, whatever was tried.
            SupersededError: A `Priority.LIVE_PARTIAL` row gave its place to a newer one of its stream.
        """


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What a model uses where a request says nothing."""

    language: str | None = None
    prompt: str | None = None


class Model(Protocol):
    """A served model as requests see it: under a name, and not always loaded."""

    @property
    def name(self) -> str:
        """The model's own name."""

    @property
    def defaults(self) -> ModelDefaults:
        """What it uses where a request says nothing."""

    def lease(self) -> AbstractAsyncContextManager[Recognizer]:
        """The model, loaded; it stays so until the context is left.

        Raises:
            UnavailableError: It is still being fetched or loaded, or cannot be.
        """
