"""Recordings with a scripted recognizer: order, languages, failures in their turn, nothing left after."""

import io
import itertools
import threading
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

from gateway.aio import Changed
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.decode import decode
from gateway.audio.loudness import normalise
from gateway.audio.silero import SileroModel
from gateway.audio.source import FileSource
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Priority, Recognizer
from gateway.errors import EngineFailedError, GatewayError, InvalidAudioError, UnavailableError
from gateway.flow.options import PartialOptions, Recognition, Resources
from gateway.flow.pacing import Load
from gateway.flow.recording import ROWS_AHEAD, Transcription, open_transcription
from gateway.metrics import Metrics
from gateway.transcript import (
    Hypothesis,
    Interim,
    Segment,
    SegmentDone,
    TextDelta,
    Token,
    TranscriptDone,
    TranscriptEvent,
)
from tests.audio.sound import int16, load
from tests.support import Sample

INTERIMS = PartialOptions(step=0.7)


@dataclass
class FakeRecognizer:
    """Answers row n with ``answer(n)`` once the gate is open; counts what it holds.

    Attributes:
        reverses: Of the rows that wait at the same time the last is answered first.
    """

    answer: Callable[[int], Hypothesis] = field(default=lambda n: say(f" w{n}"))
    name: str = "fake"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(frozenset({"en", "de"})))
    requests: list[DecodeRequest] = field(default_factory=list)
    waiting: int = 0
    most_waiting: int = 0
    gate: anyio.Event | None = None
    reverses: bool = False
    changed: Changed = field(default_factory=Changed)
    _later: list[int] = field(default_factory=list)

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
            if self.reverses:
                await self._wait_for_later_ones(number)
            return self.answer(number)
        finally:
            self.waiting -= 1

    async def _wait_for_later_ones(self, number: int) -> None:
        """Until every row that came meanwhile is answered."""
        self._later.append(number)
        await anyio.wait_all_tasks_blocked()
        try:
            await self.changed.until(lambda: self._later[-1] == number)
        finally:
            self._later.remove(number)
            self.changed.notify()


def recognized(
    recognizer: Recognizer, decoding: DecodeOptions | None = None, partials: PartialOptions | None = None
) -> Recognition:
    """By this recognizer, which is leased already."""
    detects = recognizer.capabilities.detects_language
    options = decoding or DecodeOptions()
    return Recognition(lambda: nullcontext(recognizer), recognizer.name, options, partials, detects)


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
        FileSource(io.BytesIO(audio)),
        recognized(recognizer, decoding),
        resources,
        chunking=chunking or ChunkingOptions(),
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
    recognizer = FakeRecognizer(reverses=True)
    run = await transcribe(long, recognizer, vad)

    assert len(recognizer.requests) > 10
    assert recognizer.most_waiting > 1
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
    """What was said before the failure is kept, and nothing after it is given out."""

    def answer(number: int) -> Hypothesis:
        if number == 3:
            raise EngineFailedError("broken")
        return say(f" w{number}")

    run = await transcribe(long, FakeRecognizer(answer), vad)

    assert run.deltas == ["w0", " w1", " w2"]
    assert isinstance(run.error, EngineFailedError)
    assert run.done is None


async def test_a_broken_source_takes_its_turn(long: bytes, vad: SileroModel) -> None:
    """A recording over the limit fails after the text of what was within it."""
    recognizer = FakeRecognizer()
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    texts = []
    with pytest.raises(InvalidAudioError):
        async with open_transcription(
            FileSource(io.BytesIO(long)),
            recognized(recognizer),
            resources,
            chunking=ChunkingOptions(max_seconds=30),
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
        FileSource(io.BytesIO(long)),
        recognized(recognizer),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(),
    ):
        while recognizer.waiting < 2:
            await anyio.lowlevel.checkpoint()

    assert recognizer.waiting == 0


async def test_the_first_sure_language_holds(long: bytes, vad: SileroModel) -> None:
    """Until a chunk is sure, each is detected alone, one after the other; then all have that language."""
    sure = [say(" a", "de", 0.3), say(" b", "en", 0.4), say(" c", "de", 0.9)]
    recognizer = FakeRecognizer(lambda number: sure[number] if number < 3 else say(" x", "de"))
    recognizer.capabilities = Capabilities(frozenset({"en", "de"}), detects_language=True)
    run = await transcribe(long, recognizer, vad)

    assert [request.options.language for request in recognizer.requests[:5]] == [None, None, None, "de", "de"]
    assert run.done is not None
    assert run.done.transcript.language == "de"


async def test_each_window_of_the_walk_waits_for_the_one_before(long: bytes, vad: SileroModel) -> None:
    """It begins where that one's text ended, in the recording's own samples, and only the last is whole."""
    consumed = [23.4, 12.5, None, None]

    def answer(number: int) -> Hypothesis:
        return replace(say(f" w{number}"), consumed=consumed[number])

    recognizer = FakeRecognizer(answer)
    run = await transcribe(long, recognizer, vad, chunking=ChunkingOptions(windows="block"))

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
    """Once, after the text before it; no later window is asked for."""

    def answer(number: int) -> Hypothesis:
        if number == 1:
            raise EngineFailedError("broken")
        return say(f" w{number}")

    recognizer = FakeRecognizer(answer)
    run = await transcribe(long, recognizer, vad, chunking=ChunkingOptions(windows="block"))

    assert run.deltas == ["w0"]
    assert isinstance(run.error, EngineFailedError)
    assert len(recognizer.requests) == 2


async def test_leaving_the_walk_frees_its_window(long: bytes, vad: SileroModel) -> None:
    """While a window is being decoded; the source is let go of, no further than it was needed."""
    recognizer = FakeRecognizer(gate=anyio.Event())
    source = io.BytesIO(long)
    async with open_transcription(
        FileSource(source),
        recognized(recognizer),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(windows="block"),
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
    await transcribe(long, recognizer, vad, chunking=ChunkingOptions(windows="block"))

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
    """A recording whose end has not come yet: at what there is, a read waits until it is stopped."""

    unread = 0
    ended = False

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.waiting = threading.Event()
        self.stopped = threading.Event()

    def seekable(self) -> bool:
        """Not yet."""
        return False

    def read(self, size: int | None = -1) -> bytes:
        """As much as there is, then nothing for a long time."""
        if data := super().read(size):
            return data
        self.waiting.set()
        self.stopped.wait()
        raise GatewayError("stopped")

    def stop(self) -> None:
        """As `ByteSource`."""
        self.stopped.set()


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
                recognized(recognizer),
                Resources(vad, anyio.CapacityLimiter(1), Metrics()),
                chunking=ChunkingOptions(),
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
    assert source.stopped.is_set()
    assert [type(error) for error in errors] == expected.get(end, [])
    assert recognizer.waiting == 0


async def test_sources_that_wait_take_no_thread_of_others(long: bytes, vad: SileroModel) -> None:
    """However many clients are silent, a recording that is there is decoded at once."""
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    silent = [Arriving(b"") for _ in range(3)]

    async def listen(source: Arriving) -> None:
        async with open_transcription(
            source,
            recognized(FakeRecognizer()),
            resources,
            chunking=ChunkingOptions(),
        ) as transcription:
            async for _ in transcription:
                pass

    async with anyio.create_task_group() as tasks:
        for source in silent:
            tasks.start_soon(listen, source)
        for source in silent:
            await anyio.to_thread.run_sync(source.waiting.wait)
        async with open_transcription(
            FileSource(io.BytesIO(long)),
            recognized(FakeRecognizer()),
            resources,
            chunking=ChunkingOptions(),
        ) as transcription:
            events = [event async for event in transcription]
        tasks.cancel_scope.cancel()

    assert isinstance(events[-1], TranscriptDone)


class Microphone(io.BytesIO):
    """Samples that come a quarter of a second at a time, each when the ones before were worked on.

    A step is taken when the transcription has nothing left to do; `reading` is set while it waits for more.
    """

    ended = False

    def __init__(self, pcm: bytes) -> None:
        super().__init__(pcm)
        self.steps = threading.Semaphore(0)
        self.reading = threading.Event()
        self.stopped = False
        self.played = 0

    @property
    def unread(self) -> int:
        """Nothing: what is there is read."""
        return 0

    def read(self, _: int | None = -1, /) -> bytes:
        """The next step, once it is there."""
        self.reading.set()
        self.steps.acquire()
        if self.stopped:
            raise GatewayError("stopped")
        return super().read(8_000)

    def stop(self) -> None:
        """As `ByteSource`."""
        self.stopped = True
        self.steps.release()

    async def play(self, until: int) -> None:
        """Steps up to this position, in samples; each is worked on before the next."""
        while self.played < until:
            await anyio.to_thread.run_sync(self.reading.wait)
            await anyio.wait_all_tasks_blocked()
            self.reading.clear()
            self.played += 4_000
            self.steps.release()
        await anyio.to_thread.run_sync(self.reading.wait)
        await anyio.wait_all_tasks_blocked()


@dataclass
class Captioner:
    """Says how many seconds a row has, of which kind it is, and what became of the partials."""

    capabilities: Capabilities = field(default_factory=lambda: Capabilities(frozenset({"en"})))
    name: str = "captioner"
    hold_partials: bool = False
    hold_finals: anyio.Event | None = None
    fail_partials: bool = False
    finals: list[DecodeRequest] = field(default_factory=list)
    priorities: set[Priority] = field(default_factory=set)
    partials: int = 0
    running: int = 0
    most_running: int = 0

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        seconds = len(request.samples) / SAMPLE_RATE
        self.priorities.add(priority)
        if priority is not Priority.LIVE_PARTIAL:
            self.finals.append(request)
            if self.hold_finals is not None:
                await self.hold_finals.wait()
            return say(f" final{len(self.finals)}")
        self.partials += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await anyio.lowlevel.checkpoint()
            if self.fail_partials:
                raise UnavailableError("no")
            if self.hold_partials:
                await anyio.sleep_forever()
            return say(f" {seconds:.2f}")
        finally:
            self.running -= 1


async def caption(
    pcm: bytes,
    recognizer: Captioner,
    vad: SileroModel,
    *,
    interims: bool = True,
    options: ChunkingOptions | None = None,
) -> list[TranscriptEvent]:
    """A live recording, to its end."""
    microphone = Microphone(pcm)
    events = []
    async with (
        open_transcription(
            microphone,
            recognized(recognizer, partials=INTERIMS if interims else None),
            Resources(vad, anyio.CapacityLimiter(1), Metrics()),
            chunking=options or ChunkingOptions(pcm_rate=SAMPLE_RATE),
            load=Load(anyio.current_time, Metrics()),
        ) as transcription,
        anyio.create_task_group() as tasks,
    ):

        async def speak() -> None:
            await microphone.play(len(pcm) // 2)
            microphone.steps.release()

        tasks.start_soon(speak)
        async for event in transcription:
            events.append(event)  # noqa: PERF401 - beside a task that speaks
    return events


@pytest.fixture
def dialogue(samples: dict[str, Sample]) -> bytes:
    """20 s: two chunks and more."""
    return int16(load(samples["en_dialogue"].path)).tobytes()


async def test_a_live_chunk_is_shown_while_it_is_open(dialogue: bytes, vad: SileroModel) -> None:
    """Interims of each chunk come before its delta, grow by 0.7 s at least, and change none of the rest."""
    recognizer, plain = Captioner(), Captioner()
    events = await caption(dialogue, recognizer, vad)
    expected = await caption(dialogue, plain, vad, interims=False)

    assert [event for event in events if not isinstance(event, Interim)] == expected
    assert isinstance(events[-1], TranscriptDone)
    assert len(recognizer.finals) > 1
    for without, with_partials in zip(plain.finals, recognizer.finals, strict=True):
        assert np.array_equal(without.samples, with_partials.samples)
        assert without.options == with_partials.options
    assert recognizer.priorities == {Priority.LIVE_PARTIAL, Priority.LIVE_FINAL}
    assert plain.priorities == {Priority.FILE}
    assert recognizer.most_running == 1
    groups: list[list[float]] = [[]]
    for event in events:
        if isinstance(event, Interim):
            assert event.text.startswith(" ") == (len(groups) > 1)
            groups[-1].append(float(event.text))
        elif isinstance(event, SegmentDone):
            groups.append([])
    assert all(groups[:-1])
    assert groups[-1] == []
    for lengths in groups[:-1]:
        assert lengths[0] < 2
        assert all(later - earlier >= 0.69 for earlier, later in itertools.pairwise(lengths))
    assert sum(map(len, groups)) > 10


async def test_partials_that_never_come_hold_up_nothing(dialogue: bytes, vad: SileroModel) -> None:
    """Each is cancelled when its chunk is cut; the finals come, and none is left after."""
    recognizer = Captioner(hold_partials=True)
    events = await caption(dialogue, recognizer, vad)

    assert recognizer.partials > 1
    assert (recognizer.running, recognizer.most_running) == (0, 1)
    assert not any(isinstance(event, Interim) for event in events)
    assert isinstance(events[-1], TranscriptDone)
    assert sum(isinstance(event, TextDelta) for event in events) == len(recognizer.finals)


async def test_partials_that_fail_are_no_errors(dialogue: bytes, vad: SileroModel) -> None:
    """And are tried less and less."""
    recognizer = Captioner(fail_partials=True)
    events = await caption(dialogue, recognizer, vad)

    assert isinstance(events[-1], TranscriptDone)
    assert 1 < recognizer.partials < 7


async def test_no_partial_while_a_chunk_ahead_is_not_assembled(dialogue: bytes, vad: SileroModel) -> None:
    """The final comes first, whatever is heard meanwhile."""
    recognizer = Captioner(hold_finals=anyio.Event())
    microphone = Microphone(dialogue)
    async with open_transcription(
        microphone,
        recognized(recognizer, partials=INTERIMS),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(pcm_rate=SAMPLE_RATE),
        load=Load(anyio.current_time, Metrics()),
    ):
        seconds = 0
        while not recognizer.finals:
            seconds += 1
            await microphone.play(seconds * SAMPLE_RATE)
        partials = recognizer.partials
        await microphone.play((seconds + 3) * SAMPLE_RATE)

        assert recognizer.partials == partials > 0
        assert recognizer.hold_finals is not None
        recognizer.hold_finals.set()
        await microphone.play((seconds + 5) * SAMPLE_RATE)
        assert recognizer.partials > partials


async def test_the_walk_has_no_partials(dialogue: bytes, vad: SileroModel) -> None:
    """Asked for or not."""
    recognizer = Captioner()
    events = await caption(
        dialogue, recognizer, vad, options=ChunkingOptions(windows="block", pcm_rate=SAMPLE_RATE)
    )

    assert recognizer.partials == 0
    assert isinstance(events[-1], TranscriptDone)


async def test_leaving_ends_a_partial(dialogue: bytes, vad: SileroModel) -> None:
    """With everything else."""
    recognizer = Captioner(hold_partials=True)
    microphone = Microphone(dialogue)
    async with open_transcription(
        microphone,
        recognized(recognizer, partials=INTERIMS),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(pcm_rate=SAMPLE_RATE),
        load=Load(anyio.current_time, Metrics()),
    ):
        seconds = 0
        while not recognizer.running:
            seconds += 1
            await microphone.play(seconds * SAMPLE_RATE)

    assert recognizer.running == 0
