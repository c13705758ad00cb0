"""Recordings with a scripted recognizer: order, languages, failures in their turn, nothing left after."""

import io
import itertools
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

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
    SegmentDone,
    TextDelta,
    TranscriptDone,
    TranscriptEvent,
)
from tests.audio.sound import int16, load
from tests.fake_recognizer import Answer, Call, FakeRecognizer, by_number, in_turn, say
from tests.support import Sample

INTERIMS = PartialOptions(step=0.7)


PAUSES = ChunkingOptions(max_pause=1.5)
"""A recording that is one window by itself has a chunk for each of its utterances."""

MICROPHONE = ChunkingOptions(pcm_rate=SAMPLE_RATE, max_pause=0.45)
"""Of a dialogue, each turn is a chunk."""

DETECTING = Capabilities(frozenset({"en", "de"}), detects_language=True)


def recognized(
    recognizer: Recognizer, decoding: DecodeOptions | None = None, partials: PartialOptions | None = None
) -> Recognition:
    """By this recognizer, which is leased already."""
    detects = recognizer.capabilities.detects_language
    options = decoding or DecodeOptions()
    return Recognition(lambda: nullcontext(recognizer), recognizer.name, options, partials, detects)


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
        chunking=chunking or PAUSES,
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
    recognizer = FakeRecognizer(by_number, last_first=True)
    run = await transcribe(long, recognizer, vad)

    assert len(recognizer.requests) > 10
    assert recognizer.most_waiting > 1
    assert run.deltas == ["w0", *(f" w{n}" for n in range(1, len(recognizer.requests)))]
    assert run.done is not None
    assert run.done.transcript.text == "".join(run.deltas)
    assert run.done.transcript.duration == pytest.approx(75.578, abs=0.05)


async def test_rows_ahead_are_bounded(long: bytes, vad: SileroModel) -> None:
    """A slow engine holds back the cutting: a long recording never lies in memory as rows."""
    recognizer = FakeRecognizer(by_number)
    recognizer.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transcribe, long, recognizer, vad)
        await recognizer.until(ROWS_AHEAD)
        await anyio.wait_all_tasks_blocked()
        held = len(recognizer.waiting)
        recognizer.release()

    assert ROWS_AHEAD <= held <= ROWS_AHEAD + 2
    assert len(recognizer.requests) > held


async def test_a_failed_row_takes_its_turn(long: bytes, vad: SileroModel) -> None:
    """What was said before the failure is kept, and nothing after it is given out."""

    def answer(call: Call) -> Hypothesis | Exception:
        return EngineFailedError("broken") if call.number == 3 else by_number(call)

    run = await transcribe(long, FakeRecognizer(answer), vad)

    assert run.deltas == ["w0", " w1", " w2"]
    assert isinstance(run.error, EngineFailedError)
    assert run.done is None


async def test_a_broken_source_takes_its_turn(long: bytes, vad: SileroModel) -> None:
    """A recording over the limit fails after the text of what was within it."""
    recognizer = FakeRecognizer(by_number)
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    texts = []
    with pytest.raises(InvalidAudioError):
        async with open_transcription(
            FileSource(io.BytesIO(long)),
            recognized(recognizer),
            resources,
            chunking=ChunkingOptions(max_seconds=30, max_pause=1.5),
        ) as transcription:
            async for event in transcription:
                if isinstance(event, TextDelta):
                    texts.append(event.text)  # noqa: PERF401 - raises within

    assert len(texts) > 3


async def test_abort_ends_with_the_given_error(long: bytes, vad: SileroModel) -> None:
    """The server's end reaches the reader as an error, and the rows are freed."""
    recognizer = FakeRecognizer(by_number)
    recognizer.hold()
    run = await transcribe(
        long, recognizer, vad, during=lambda transcription: transcription.abort(UnavailableError("bye"))
    )

    assert isinstance(run.error, UnavailableError)
    assert recognizer.waiting == []


async def test_leaving_frees_the_rows(long: bytes, vad: SileroModel) -> None:
    """A reader that leaves takes its rows along."""
    recognizer = FakeRecognizer(by_number)
    recognizer.hold()
    async with open_transcription(
        FileSource(io.BytesIO(long)),
        recognized(recognizer),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=PAUSES,
    ):
        await recognizer.until(2)

    assert recognizer.waiting == []


async def test_the_first_sure_language_holds(long: bytes, vad: SileroModel) -> None:
    """Until two chunks agree, each is detected alone, one after the other; then that language is expected."""
    sure = [("de", 0.3), ("en", 0.4), ("de", 0.9)]

    def answer(call: Call) -> Hypothesis:
        language, probability = sure[min(call.number, 2)]
        return say("x", language=language, probability=probability)

    recognizer = FakeRecognizer(answer, capabilities=DETECTING)
    run = await transcribe(long, recognizer, vad)

    assert {request.options.language for request in recognizer.requests} == {None}
    assert [request.expected for request in recognizer.requests[:6]] == [None] * 4 + ["de"] * 2
    assert run.done is not None
    assert run.done.transcript.language == "de"


async def test_each_window_of_the_walk_waits_for_the_one_before(long: bytes, vad: SileroModel) -> None:
    """It begins where that one's text ended, in the recording's own samples, and only the last is whole."""
    consumed = [23.4, 12.5, None, None]

    def answer(call: Call) -> Hypothesis:
        return replace(by_number(call), consumed=consumed[call.number])

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
    recognizer = FakeRecognizer(by_number)
    await transcribe(long, recognizer, vad)

    assert all(request.whole for request in recognizer.requests)


async def test_a_window_that_fails_ends_the_walk(long: bytes, vad: SileroModel) -> None:
    """Once, after the text before it; no later window is asked for."""
    recognizer = FakeRecognizer(in_turn(say("w0"), EngineFailedError("broken")))
    run = await transcribe(long, recognizer, vad, chunking=ChunkingOptions(windows="block"))

    assert run.deltas == ["w0"]
    assert isinstance(run.error, EngineFailedError)
    assert len(recognizer.requests) == 2


async def test_leaving_the_walk_frees_its_window(long: bytes, vad: SileroModel) -> None:
    """While a window is being decoded; the source is let go of, no further than it was needed."""
    recognizer = FakeRecognizer(by_number)
    recognizer.hold()
    source = io.BytesIO(long)
    async with open_transcription(
        FileSource(source),
        recognized(recognizer),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=ChunkingOptions(windows="block"),
    ):
        await recognizer.until(1)
        await anyio.wait_all_tasks_blocked()

    assert recognizer.waiting == []
    assert len(recognizer.requests) == 1
    assert source.tell() < 0.7 * len(long)


async def test_the_walk_keeps_the_first_sure_language(long: bytes, vad: SileroModel) -> None:
    """As chunks do."""
    unsure, sure = (say("x", language="de", probability=probability) for probability in (0.3, 0.9))
    recognizer = FakeRecognizer(in_turn(unsure, sure, sure), capabilities=DETECTING)
    await transcribe(long, recognizer, vad, chunking=ChunkingOptions(windows="block"))

    assert [request.expected for request in recognizer.requests] == [None, None, "de"]


async def test_a_bug_is_an_internal_error(long: bytes, vad: SileroModel) -> None:
    """An exception nobody expected ends the transcription in order, with nothing of its text."""
    run = await transcribe(long, FakeRecognizer(lambda _: ZeroDivisionError("secret")), vad)

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
    recognizer = FakeRecognizer(by_number)
    if end == "engine":
        recognizer.answer = lambda _: EngineFailedError("broken")
        recognizer.hold()
    errors: list[GatewayError] = []
    with anyio.CancelScope() as scope:
        try:
            async with open_transcription(
                source,
                recognized(recognizer),
                Resources(vad, anyio.CapacityLimiter(1), Metrics()),
                chunking=PAUSES,
            ) as transcription:
                await anyio.to_thread.run_sync(source.waiting.wait)
                recognizer.release()
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
    assert recognizer.waiting == []


async def test_sources_that_wait_take_no_thread_of_others(long: bytes, vad: SileroModel) -> None:
    """However many clients are silent, a recording that is there is decoded at once."""
    resources = Resources(vad, anyio.CapacityLimiter(1), Metrics())
    silent = [Arriving(b"") for _ in range(3)]

    async def listen(source: Arriving) -> None:
        async with open_transcription(
            source,
            recognized(FakeRecognizer(by_number)),
            resources,
            chunking=PAUSES,
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
            recognized(FakeRecognizer(by_number)),
            resources,
            chunking=PAUSES,
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


def captions(call: Call) -> Hypothesis:
    """How many seconds the row has, and whether it is a final."""
    seconds = f"{len(call.request.samples) / SAMPLE_RATE:.2f}"
    return say(seconds if call.is_partial else f"final {seconds}")


def finals_alone(call: Call) -> Hypothesis | None:
    """Partials are not answered."""
    return None if call.is_partial else captions(call)


def captioner(answer: Answer = captions) -> FakeRecognizer:
    """Of English alone."""
    return FakeRecognizer(answer, capabilities=Capabilities(frozenset({"en"})))


def finals(recognizer: FakeRecognizer) -> list[DecodeRequest]:
    """What was asked for good."""
    return [call.request for call in recognizer.calls if not call.is_partial]


async def caption(
    pcm: bytes,
    recognizer: FakeRecognizer,
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
            chunking=options or MICROPHONE,
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
    """Interims of each chunk come before its delta, grow, and change none of the rest."""
    recognizer, plain = captioner(), captioner()
    events = await caption(dialogue, recognizer, vad)
    expected = await caption(dialogue, plain, vad, interims=False)

    assert [event for event in events if not isinstance(event, Interim)] == expected
    assert isinstance(events[-1], TranscriptDone)
    assert len(finals(recognizer)) > 1
    for without, with_partials in zip(finals(plain), finals(recognizer), strict=True):
        assert np.array_equal(without.samples, with_partials.samples)
        assert without.options == with_partials.options
    assert {call.priority for call in recognizer.calls} == {Priority.LIVE_PARTIAL, Priority.LIVE_FINAL}
    assert {call.priority for call in plain.calls} == {Priority.FILE}
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
        assert all(later > earlier for earlier, later in itertools.pairwise(lengths))
    assert sum(map(len, groups)) > 10


async def test_partials_that_never_come_hold_up_nothing(dialogue: bytes, vad: SileroModel) -> None:
    """Each is cancelled when its chunk is cut; the finals come, and none is left after."""
    recognizer = captioner(finals_alone)
    events = await caption(dialogue, recognizer, vad)

    assert len(recognizer.partials) > 1
    assert all(call.cancelled for call in recognizer.partials)
    assert not any(isinstance(event, Interim) for event in events)
    assert isinstance(events[-1], TranscriptDone)
    assert sum(isinstance(event, TextDelta) for event in events) == len(finals(recognizer))


async def test_partials_that_fail_are_no_errors(dialogue: bytes, vad: SileroModel) -> None:
    """And are tried less and less."""
    recognizer = captioner(lambda call: UnavailableError("no") if call.is_partial else captions(call))
    events = await caption(dialogue, recognizer, vad)

    assert isinstance(events[-1], TranscriptDone)
    assert 1 < len(recognizer.partials) < 7


async def test_no_partial_while_a_chunk_ahead_is_not_assembled(dialogue: bytes, vad: SileroModel) -> None:
    """The final comes first, whatever is heard meanwhile."""
    recognizer = captioner(lambda call: captions(call) if call.is_partial else None)
    microphone = Microphone(dialogue)
    async with open_transcription(
        microphone,
        recognized(recognizer, partials=INTERIMS),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=MICROPHONE,
        load=Load(anyio.current_time, Metrics()),
    ):
        seconds = 0
        while not finals(recognizer):
            seconds += 1
            await microphone.play(seconds * SAMPLE_RATE)
        partials = len(recognizer.partials)
        await microphone.play((seconds + 3) * SAMPLE_RATE)

        assert len(recognizer.partials) == partials > 0
        recognizer.answer = captions
        for call in recognizer.waiting:
            call.answer(captions(call))
        await microphone.play((seconds + 5) * SAMPLE_RATE)
        assert len(recognizer.partials) > partials


async def test_the_walk_has_no_partials(dialogue: bytes, vad: SileroModel) -> None:
    """Asked for or not."""
    recognizer = captioner()
    events = await caption(
        dialogue, recognizer, vad, options=ChunkingOptions(windows="block", pcm_rate=SAMPLE_RATE)
    )

    assert recognizer.partials == []
    assert isinstance(events[-1], TranscriptDone)


async def test_leaving_ends_a_partial(dialogue: bytes, vad: SileroModel) -> None:
    """With everything else."""
    recognizer = captioner(finals_alone)
    microphone = Microphone(dialogue)
    async with open_transcription(
        microphone,
        recognized(recognizer, partials=INTERIMS),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        chunking=MICROPHONE,
        load=Load(anyio.current_time, Metrics()),
    ):
        seconds = 0
        while not recognizer.waiting:
            seconds += 1
            await microphone.play(seconds * SAMPLE_RATE)

    assert recognizer.waiting == []
