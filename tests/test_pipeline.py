"""The main flow with a scripted recognizer: order, languages, failures in their turn, nothing left behind."""

import io
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

from gateway.audio.blocks import BlockOptions
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.decode import decode
from gateway.audio.loudness import normalise
from gateway.audio.silero import SileroModel
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.types import Capabilities, DecodeOptions, DecodeRequest, Priority
from gateway.errors import EngineFailedError, GatewayError, InvalidAudioError, UnavailableError
from gateway.metrics import Metrics
from gateway.pipeline import ROWS_AHEAD, Resources, Transcription, open_transcription
from gateway.transcript import Hypothesis, Segment, TextDelta, Token, TranscriptDone
from tests.support import Sample


@dataclass
class FakeRecognizer:
    """Answers row n with ``answer(n)``, in the order that ``release`` allows; counts what it holds."""

    answer: Callable[[int], Hypothesis] = field(default=lambda n: say(f" w{n}"))
    name: str = "fake"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(frozenset({"en", "de"})))
    requests: list[DecodeRequest] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0
    gate: anyio.Event | None = None

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        number = len(self.requests)
        self.requests.append(request)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            if self.gate is not None:
                await self.gate.wait()
            # Later rows are done first: the order of the answer must not depend on it.
            for _ in range(10 * (20 - number)):
                await anyio.lowlevel.checkpoint()
            return self.answer(number)
        finally:
            self.waiting -= 1


def say(text: str, language: str | None = "en", probability: float = 1.0) -> Hypothesis:
    """A hypothesis of one segment."""
    token = Token(0, text, text.encode(), -0.1)
    return Hypothesis(
        (Segment(0.0, 1.0, text, (token,), (), -0.1, 1.0, 0.0, 0.0),), language, probability, prompt_tokens=0
    )


@pytest.fixture(scope="module")
def vad() -> SileroModel:
    """Loaded once."""
    return SileroModel.load()


@pytest.fixture
def long(samples: dict[str, Sample]) -> bytes:
    """75 s of speech with pauses: more chunks than may wait at a time."""
    return samples["en_long"].path.read_bytes()


@dataclass
class Run:
    """What a transcription gave."""

    deltas: list[str]
    done: TranscriptDone | None = None
    error: GatewayError | None = None


async def transcribe(
    audio: bytes,
    recognizer: FakeRecognizer,
    vad: SileroModel,
    *,
    chunking: ChunkingOptions | None = None,
    decoding: DecodeOptions | None = None,
    during: Callable[[Transcription], None] = lambda _: None,
) -> Run:
    """Runs a transcription to its end."""
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    run = Run([])
    async with open_transcription(
        io.BytesIO(audio),
        recognizer,
        resources,
        chunking=chunking or ChunkingOptions(),
        decoding=decoding or DecodeOptions(),
    ) as transcription:
        during(transcription)
        try:
            async for event in transcription:
                if isinstance(event, TextDelta):
                    run.deltas.append(event.text)
                if isinstance(event, TranscriptDone):
                    run.done = event
        except GatewayError as error:
            run.error = error
    return run


async def test_rows_come_back_in_order(long: bytes, vad: SileroModel) -> None:
    """Later rows may be done first; the transcript keeps the recording's order."""
    recognizer = FakeRecognizer()
    run = await transcribe(long, recognizer, vad)

    assert len(recognizer.requests) > 10
    assert run.deltas == ["w0", *(f" w{n}" for n in range(1, len(recognizer.requests)))]
    assert run.done is not None
    assert run.done.transcript.text == "".join(run.deltas)
    assert run.done.transcript.duration == pytest.approx(75.578, abs=0.05)


async def test_rows_ahead_are_bounded(long: bytes, vad: SileroModel) -> None:
    """A slow engine holds back the cutting: a long recording never lies in memory as rows."""
    recognizer = FakeRecognizer(gate=anyio.Event())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transcribe, long, recognizer, vad)
        while recognizer.waiting < ROWS_AHEAD:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        held = recognizer.waiting
        assert recognizer.gate is not None
        recognizer.gate.set()

    assert ROWS_AHEAD <= held <= ROWS_AHEAD + 2
    assert len(recognizer.requests) > held


async def test_a_failed_row_takes_its_turn(long: bytes, vad: SileroModel) -> None:
    """What was said before the failure is kept, and nothing behind it is given out."""

    def answer(number: int) -> Hypothesis:
        if number == 3:
            raise EngineFailedError("broken")
        return say(f" w{number}")

    run = await transcribe(long, FakeRecognizer(answer), vad)

    assert run.deltas == ["w0", " w1", " w2"]
    assert isinstance(run.error, EngineFailedError)
    assert run.done is None


async def test_a_broken_source_takes_its_turn(long: bytes, vad: SileroModel) -> None:
    """A recording over the limit fails behind the text of what was within it."""
    recognizer = FakeRecognizer()
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    texts = []
    with pytest.raises(InvalidAudioError):
        async with open_transcription(
            io.BytesIO(long),
            recognizer,
            resources,
            chunking=ChunkingOptions(max_seconds=30),
            decoding=DecodeOptions(),
        ) as transcription:
            async for event in transcription:
                if isinstance(event, TextDelta):
                    texts.append(event.text)  # noqa: PERF401 - raises within

    assert len(texts) > 3


async def test_abort_ends_with_the_given_error(long: bytes, vad: SileroModel) -> None:
    """The server's end reaches the reader as an error, and the rows are freed."""
    recognizer = FakeRecognizer(gate=anyio.Event())
    run = await transcribe(
        long, recognizer, vad, during=lambda transcription: transcription.abort(UnavailableError("bye"))
    )

    assert isinstance(run.error, UnavailableError)
    assert recognizer.waiting == 0


async def test_leaving_frees_the_rows(long: bytes, vad: SileroModel) -> None:
    """A reader that leaves takes its rows along."""
    recognizer = FakeRecognizer(gate=anyio.Event())
    async with open_transcription(
        io.BytesIO(long),
        recognizer,
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(),
        decoding=DecodeOptions(),
    ):
        while recognizer.waiting < 2:
            await anyio.lowlevel.checkpoint()

    assert recognizer.waiting == 0


async def test_the_first_sure_language_holds(long: bytes, vad: SileroModel) -> None:
    """Until a chunk is sure, each is detected alone, one behind the other; then all have that language."""
    sure = [say(" a", "de", 0.3), say(" b", "en", 0.4), say(" c", "de", 0.9)]
    recognizer = FakeRecognizer(lambda number: sure[number] if number < 3 else say(" x", "de"))
    recognizer.capabilities = Capabilities(frozenset({"en", "de"}), detects_language=True)
    run = await transcribe(long, recognizer, vad)

    assert [request.options.language for request in recognizer.requests[:5]] == [None, None, None, "de", "de"]
    assert run.done is not None
    assert run.done.transcript.language == "de"


async def test_each_window_of_the_walk_waits_for_the_one_before(long: bytes, vad: SileroModel) -> None:
    """It begins where that one's text ended, in the recording's own samples, and only the last is whole."""
    told = [23.4, 12.5, None, None]

    def answer(number: int) -> Hypothesis:
        return replace(say(f" w{number}"), consumed=told[number])

    recognizer = FakeRecognizer(answer)
    run = await transcribe(long, recognizer, vad, chunking=BlockOptions())

    recording = np.concatenate(list(decode(io.BytesIO(long), max_seconds=100)))
    starts = [0, 374_400, 374_400 + 200_000, 374_400 + 200_000 + 480_000]
    assert run.error is None
    assert run.done is not None
    assert run.done.transcript.text == "w0 w1 w2 w3"
    assert [segment.start for segment in run.done.transcript.segments] == [at / SAMPLE_RATE for at in starts]
    assert recognizer.most_waiting == 1
    assert [request.whole for request in recognizer.requests] == [False, False, False, True]
    for start, request in zip(starts, recognizer.requests, strict=True):
        assert np.array_equal(request.samples, normalise(recording[start : start + 480_000]))


async def test_chunks_are_whole(long: bytes, vad: SileroModel) -> None:
    """Without the walk no engine may leave anything to the next chunk."""
    recognizer = FakeRecognizer()
    await transcribe(long, recognizer, vad)

    assert all(request.whole for request in recognizer.requests)


async def test_a_window_that_fails_ends_the_walk(long: bytes, vad: SileroModel) -> None:
    """Once, behind the text before it; no later window is asked for."""

    def answer(number: int) -> Hypothesis:
        if number == 1:
            raise EngineFailedError("broken")
        return say(f" w{number}")

    recognizer = FakeRecognizer(answer)
    run = await transcribe(long, recognizer, vad, chunking=BlockOptions())

    assert run.deltas == ["w0"]
    assert isinstance(run.error, EngineFailedError)
    assert len(recognizer.requests) == 2


async def test_leaving_the_walk_frees_its_window(long: bytes, vad: SileroModel) -> None:
    """While a window is being decoded; the source is let go of, no further than it was needed."""
    recognizer = FakeRecognizer(gate=anyio.Event())
    source = io.BytesIO(long)
    async with open_transcription(
        source,
        recognizer,
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=BlockOptions(),
        decoding=DecodeOptions(),
    ):
        while recognizer.waiting < 1:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()

    assert recognizer.waiting == 0
    assert len(recognizer.requests) == 1
    assert source.tell() < 0.7 * len(long)


async def test_the_walk_keeps_the_first_sure_language(long: bytes, vad: SileroModel) -> None:
    """As chunks do."""
    recognizer = FakeRecognizer(lambda number: say(" x", "de", 0.3 if number == 0 else 0.9))
    recognizer.capabilities = Capabilities(frozenset({"en", "de"}), detects_language=True)
    await transcribe(long, recognizer, vad, chunking=BlockOptions())

    assert [request.options.language for request in recognizer.requests] == [None, None, "de"]


async def test_a_bug_is_an_internal_error(long: bytes, vad: SileroModel) -> None:
    """An exception nobody expected ends the transcription in order, with nothing of its text."""

    def answer(_: int) -> Hypothesis:
        raise ZeroDivisionError("secret")

    run = await transcribe(long, FakeRecognizer(answer), vad)

    assert run.error is not None
    assert run.error.status == 500
    assert "secret" not in run.error.message


class Arriving(io.BytesIO):
    """A recording whose end has not come yet: at what there is, a read waits until it is released."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.waiting = threading.Event()
        self.released = threading.Event()

    def seekable(self) -> bool:
        """Not yet."""
        return False

    def read(self, size: int | None = -1) -> bytes:
        """As much as there is, then nothing for a long time."""
        if data := super().read(size):
            return data
        self.waiting.set()
        self.released.wait()
        raise GatewayError("released")


@pytest.mark.parametrize("end", ["engine", "abort", "leave", "cancel"])
async def test_whatever_ends_it_wakes_a_waiting_source(long: bytes, vad: SileroModel, end: str) -> None:
    """A decoder that waits for its client holds up nobody: not the error, not the cancellation."""
    source = Arriving(long[: len(long) // 2])
    fail = anyio.Event()
    recognizer = FakeRecognizer(gate=fail)
    if end == "engine":

        def answer(_: int) -> Hypothesis:
            raise EngineFailedError("broken")

        recognizer.answer = answer
    else:
        recognizer.gate = None
    errors: list[GatewayError] = []
    with anyio.CancelScope() as scope:
        try:
            async with open_transcription(
                source,
                recognizer,
                Resources(vad, anyio.CapacityLimiter(1), Metrics()),
                chunking=ChunkingOptions(),
                decoding=DecodeOptions(),
                release=source.released.set,
            ) as transcription:
                await anyio.to_thread.run_sync(source.waiting.wait)
                fail.set()
                if end == "abort":
                    transcription.abort(UnavailableError("bye"))
                if end == "cancel":
                    scope.cancel()
                if end != "leave":
                    async for _ in transcription:
                        pass
        except GatewayError as error:
            errors.append(error)

    expected = {"engine": [EngineFailedError], "abort": [UnavailableError]}
    assert source.released.is_set()
    assert [type(error) for error in errors] == expected.get(end, [])
    assert recognizer.waiting == 0


async def test_sources_that_wait_take_no_thread_of_others(long: bytes, vad: SileroModel) -> None:
    """However many clients are silent, a recording that is there is decoded at once."""
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    silent = [Arriving(b"") for _ in range(3)]

    async def listen(source: Arriving) -> None:
        async with open_transcription(
            source,
            FakeRecognizer(),
            resources,
            chunking=ChunkingOptions(),
            decoding=DecodeOptions(),
            release=source.released.set,
        ) as transcription:
            async for _ in transcription:
                pass

    async with anyio.create_task_group() as tasks:
        for source in silent:
            tasks.start_soon(listen, source)
        for source in silent:
            await anyio.to_thread.run_sync(source.waiting.wait)
        async with open_transcription(
            io.BytesIO(long),
            FakeRecognizer(),
            resources,
            chunking=ChunkingOptions(),
            decoding=DecodeOptions(),
        ) as transcription:
            events = [event async for event in transcription]
        tasks.cancel_scope.cancel()

    assert isinstance(events[-1], TranscriptDone)
