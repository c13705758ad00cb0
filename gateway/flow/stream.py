"""The rows of one recording or live session: the only place that asks an engine for hypotheses."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio
from anyio.abc import TaskGroup

from gateway.aio import Changed
from gateway.audio.types import SAMPLE_RATE, Chunk
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Priority, Recognizer
from gateway.errors import EngineFailedError, GatewayError, OverloadedError, SupersededError
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.pacing import Load
from gateway.tracing import current, within
from gateway.transcript import Hypothesis

SURE = 0.5
"""A language detected with at least this probability is remembered."""

ENOUGH_SECONDS = 3.0
"""A chunk of less decides no language alone: two must agree."""

PREVIEW_BEAM = 1
"""Of a preview; another than that of finals, so that it need not wait for one in the same call."""

Outcome: TypeAlias = Hypothesis | GatewayError

_Ask: TypeAlias = Callable[[Recognizer], Awaitable[Hypothesis]]


@dataclass(eq=False, slots=True)
class Row:
    """A chunk on its way through an engine.

    Attributes:
        outcome: What the engine made of it; None until then, and for good where the row was cancelled.
        is_done: Nothing more happens to it.
    """

    chunk: Chunk
    changed: Changed
    outcome: Outcome | None = None
    is_done: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def cancel(self) -> None:
        """Frees its place: nobody wants it any more."""
        self.scope.cancel()

    async def hypothesis(self) -> Hypothesis:
        """Waits for the engine.

        Raises:
            GatewayError: The engine, or what was in its way, gave an error instead.
        """
        await self.changed.until(lambda: self.is_done)
        if isinstance(self.outcome, Hypothesis):
            return self.outcome
        raise self.outcome or EngineFailedError("The chunk has no result.")


class RowStream:
    """Has chunks decoded, in the queue that all streams of a model share.

    Each row holds a lease of its model until it is done. The stream remembers the language of the last final
    that was sure of it. A session's later rows, finals and partials alike, are in that one unless they
    clearly are not: an utterance of a word or two is too short to tell.

    Args:
        tasks: Owns the rows; when it is cancelled they leave the queue.
        changed: Notified when a row is done.
        load: Told how long finals take, where they are those of a live session.
        key: What the queue knows it by; streams of one key have one stream's turns.
        decides_language: One language is expected of all finals, once a chunk of `ENOUGH_SECONDS` was sure of
            it, or two after each other agreed. A later chunk leaves it for itself alone, and only where it
            says so clearly.

    Attributes:
        language: The one remembered, as ISO 639-1 code.
        decided: The one expected.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        changed: Changed,
        *,
        load: Load | None = None,
        key: object | None = None,
        decides_language: bool = False,
    ) -> None:
        self._tasks = tasks
        self._changed = changed
        self._load = load
        self._decides_language = decides_language
        # The queue remembers its streams for a while: it must not keep the session, with its client's key.
        self._final_key = key or object()
        # Partials of a recording have turns of their own, lest they change those of its finals.
        self._partial_key = self._final_key if load is not None else object()
        self.language: str | None = None
        self.decided: str | None = None

    @property
    def is_undecided(self) -> bool:
        """The next final's language depends on that of the last one."""
        return self._decides_language and self.decided is None

    def final(
        self,
        chunk: Chunk,
        recognition: Recognition,
        *,
        priority: Priority = Priority.LIVE_FINAL,
        whole: bool = True,
    ) -> Row:
        """Has a complete chunk decoded, whatever the load.

        Args:
            priority: Only where it is that of a live final does its time say how loaded the machine is.
            whole: False leaves what is unfinished at the chunk's end to the next one.
        """
        options, load, key = recognition.decoding, self._load, self._final_key
        decided = self.decided

        async def ask(recognizer: Recognizer) -> Hypothesis:
            # Where it is decided, nothing may depend on what happened to be ready.
            remembered = self._expected(options, recognizer.capabilities)
            expected = decided if self._decides_language else remembered
            request = DecodeRequest(
                chunk.samples,
                options,
                whole=whole,
                breaks=chunk.breaks,
                expected=expected,
                shared=chunk.shared,
            )
            # Loading a model takes long, too, but is no load.
            with nullcontext() if load is None else load.final(counts=priority is Priority.LIVE_FINAL):
                try:
                    hypothesis = await recognizer.transcribe(request, stream=key, priority=priority)
                except OverloadedError:
                    if load is None:
                        raise
                    # A session's are never refused, though they wait as files do: what was said is gone.
                    hypothesis = await recognizer.transcribe(
                        request, stream=key, priority=Priority.LIVE_FINAL
                    )
            self._remember(hypothesis, len(request.samples) / SAMPLE_RATE)
            return hypothesis

        return self._start(chunk, recognition, ask)

    def preview(self, chunk: Chunk, recognition: Recognition) -> Row:
        """Has the beginning of a recording's first chunk decoded: soon, and in a call of its own."""
        options = replace(recognition.decoding, words=False, beam_size=PREVIEW_BEAM)
        request = DecodeRequest(chunk.samples, options, breaks=chunk.breaks, hurried=True)

        async def ask(recognizer: Recognizer) -> Hypothesis:
            return await recognizer.transcribe(request, stream=self._final_key, priority=Priority.FILE)

        return self._start(chunk, recognition, ask)

    def partial(self, chunk: Chunk, recognition: Recognition, *, most_tokens: int | None = None) -> Row:
        """Has a chunk that goes on decoded as it stands, if there is time: one search, little context.

        Args:
            most_tokens: Its text has no more than that, by the hypotheses before.
        """

        async def ask(recognizer: Recognizer) -> Hypothesis:
            able, options = recognizer.capabilities, recognition.decoding
            partials = recognition.partials or PartialOptions()
            logprobs = options.logprobs or (able.logprobs and partials.stability.evidence > 0)
            request = DecodeRequest(
                chunk.samples,
                replace(options, words=False, logprobs=logprobs, beam_size=partials.beam_size),
                expected=self._expected(options, able),
                retry=False,
                hurried=True,
                most_tokens=most_tokens,
            )
            return await recognizer.transcribe(
                request, stream=self._partial_key, priority=Priority.LIVE_PARTIAL
            )

        return self._start(chunk, recognition, ask)

    def _start(self, chunk: Chunk, recognition: Recognition, ask: _Ask) -> Row:
        row = Row(chunk, self._changed)
        self._tasks.start_soon(_decode, row, recognition, ask)
        return row

    def _expected(self, options: DecodeOptions, capabilities: Capabilities) -> str | None:
        """The language remembered, where it is one of the client's and one of the engine's."""
        return self.language if self.language in (options.languages or capabilities.languages) else None

    def _remember(self, hypothesis: Hypothesis, seconds: float) -> None:
        is_sure = hypothesis.language_probability >= SURE
        if not (hypothesis.segments and hypothesis.language is not None and is_sure):
            return
        agrees = hypothesis.language == self.language
        self.language = hypothesis.language
        if self.is_undecided and (agrees or seconds >= ENOUGH_SECONDS):
            self.decided = self.language


async def _decode(row: Row, recognition: Recognition, ask: _Ask) -> None:
    """Holds the row's model and its place in the queue until there is an outcome, or nobody wants one."""
    span = current().child(
        "row", start=row.chunk.start / SAMPLE_RATE, seconds=len(row.chunk.samples) / SAMPLE_RATE
    )
    try:
        with row.scope, within(span):
            async with recognition.lease() as recognizer:
                row.outcome = await ask(recognizer)
    except GatewayError as error:
        row.outcome = error
        span.fail(error.reason)
    except SupersededError:
        pass  # a newer partial of the stream took its place
    finally:
        row.is_done = True
        span.end()
        row.changed.notify()
