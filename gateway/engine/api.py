"""What an engine is: the protocol, what goes in, what comes out, and what it can be asked for."""

from collections.abc import Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, TypeAlias

from gateway.audio.types import Samples
from gateway.transcript import Hypothesis

Task: TypeAlias = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How one row is decoded. Everything here is the same for all chunks of a request.

    Attributes:
        language: ISO 639-1 code, or None to detect it (among ``languages`` if any are given).
        languages: Candidates for detection.
        prompt: Text that precedes the recording, for style and spelling.
        keywords: Words and names to expect.
        temperature: 0 decodes by beam search and falls back to higher ones where that looks bad.
        seed: Makes sampling (temperature > 0) repeatable.
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
        prefix_tokens: Token ids the hypothesis must begin with, where `Capabilities.prefix` allows.
        whole: All of it is to be told. False leaves a tail that is unfinished at the samples' end to the next
            row, which begins at `Hypothesis.consumed`. Rows of both kinds may share a call.
    """

    samples: Samples
    options: DecodeOptions
    prefix_tokens: tuple[int, ...] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class RowFailed:
    """This row could not be decoded; its batch mates were. ``reason`` is for the log, not for clients."""

    reason: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What may be asked of an engine; what is asked beyond it is refused before anything is decoded.

    Attributes:
        languages: ISO 639-1 codes; one alone means the engine has no choice.
        detects_language: Can tell which of ``languages`` is spoken.
        logprobs: Gives token log-probabilities.
        revises: Hears speech that goes on anew from its first word, so that its partial hypotheses are worth
            little.
    """

    languages: frozenset[str]
    detects_language: bool = False
    translate: bool = False
    prompt: bool = False
    keywords: bool = False
    temperature: bool = False
    words: bool = False
    logprobs: bool = False
    prefix: bool = False
    revises: bool = False


class Engine(Protocol):
    """A loaded recogniser, living in a worker process. Called from one thread at a time."""

    @property
    def name(self) -> str:
        """The model's name, as users know it."""

    @property
    def capabilities(self) -> Capabilities:
        """Known once the model is loaded."""

    def transcribe(self, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        """Decodes the rows of one batch, all of one batch key.

        Returns:
            As many results as rows, in their order.
        """


class EngineSpec(Protocol):
    """A picklable recipe for an engine, and what the batcher must know before a model is loaded."""

    @property
    def name(self) -> str:
        """The model's name, as users know it."""

    @property
    def max_batch(self) -> int:
        """The most rows of one call."""

    @property
    def memory_bytes(self) -> int:
        """What one worker takes with the model loaded, estimated."""

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Rows of equal keys may share a call. Computed from the options alone, without the model."""

    def load(self) -> Engine:
        """Loads the model and warms it up; runs inside the worker."""


class Priority(IntEnum):
    """Order in which waiting rows are served; the lower goes first."""

    LIVE_FINAL = 0
    LIVE_PARTIAL = 1
    FILE = 2


class SupersededError(Exception):
    """A newer partial of the same stream took this one's place in the queue. Never shown to clients."""


class Recognizer(Protocol):
    """What the main flow needs of the engine room. The batcher is one; tests bring others."""

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
    beam_size: int | None = None


class Model(Protocol):
    """A served model as requests see it: under a name, and not always loaded."""

    @property
    def name(self) -> str:
        """The model's own name."""

    @property
    def defaults(self) -> ModelDefaults:
        """Of this model."""

    def lease(self) -> AbstractAsyncContextManager[Recognizer]:
        """The model, loaded; it stays so until the context is left.

        Raises:
            UnavailableError: It is still being fetched or loaded, or cannot be.
        """
