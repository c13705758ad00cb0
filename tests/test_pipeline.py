"""The main flow with a scripted recognizer: order, languages, failures in their turn, nothing left behind."""

import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from gateway.audio.chunking import ChunkingOptions
from gateway.audio.silero import SileroModel
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
        chunking=ChunkingOptions(),
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


async def test_a_bug_is_an_internal_error(long: bytes, vad: SileroModel) -> None:
    """An exception nobody expected ends the transcription in order, with nothing of its text."""

    def answer(_: int) -> Hypothesis:
        raise ZeroDivisionError("secret")

    run = await transcribe(long, FakeRecognizer(answer), vad)

    assert run.error is not None
    assert run.error.status == 500
    assert "secret" not in run.error.message
