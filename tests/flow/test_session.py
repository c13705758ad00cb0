"""Live sessions from bytes to events: scripted speech, an engine that answers when the test says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

import anyio
import pytest
from anyio.lowlevel import checkpoint

from gateway.aio import open_task_group
from gateway.audio.silero import SileroModel
from gateway.audio.turns import TurnMode, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions
from gateway.errors import (
    EngineFailedError,
    InvalidRequestError,
    OverloadedError,
    SupersededError,
    UnavailableError,
)
from gateway.flow.inbox import Clear, Commit, Configure
from gateway.flow.load import PARTIALS_UNTIL, LiveLoad
from gateway.flow.options import LiveOptions, PartialOptions, Recognition
from gateway.flow.partials import BREATH
from gateway.flow.patience import MAX_SECONDS
from gateway.flow.recording import Resources
from gateway.flow.session import CHUNKS_AHEAD, EVENTS_AHEAD, LiveSession
from gateway.metrics import Metrics
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    LiveEvent,
    Refused,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from gateway.transcript.stable import StabilityOptions
from tests.audio.sound import int16, load
from tests.flow.speech import Call, Engine, Script, ScriptedVad, say, sound, words
from tests.support import Sample

PARTIALS = PartialOptions(step=0.5, stability=StabilityOptions(2, 0))
TWO: Script = [(0.0, 0.5), (1.0, 2.0), (0.0, 1.5), (1.0, 2.0), (0.0, 6.0)]
"""Two utterances."""


def options(
    engine: Engine,
    turns: TurnOptions | None = None,
    *,
    partials: PartialOptions | None = PARTIALS,
    decoding: DecodeOptions | None = None,
) -> LiveOptions:
    """16 kHz, by default with server_vad."""
    recognition = Recognition(engine, "fake", decoding or DecodeOptions(), partials)
    return LiveOptions(rate=SAMPLE_RATE, turns=turns or TurnOptions(), recognition=recognition)


def held(_: Call) -> None:
    """The test answers."""


def finals_held(call: Call) -> None:
    """The test answers finals; partials are answered at once."""
    if not call.is_final:
        call.answer()


async def turns_of_the_loop() -> None:
    """Enough of them for all tasks to get on until they wait for something else, threads excepted.

    anyio's `wait_all_tasks_blocked` does the same, but takes 100 ms, too many for each step of an utterance.
    """
    for _ in range(30):
        await checkpoint()


@dataclass
class Desk:
    """A session at work, and what the test needs around it.

    Attributes:
        told: All events that were taken.
        now: Seconds of the load's and the session's clock.
        reads: Events are taken at once.
    """

    first: LiveOptions
    script: Script
    max_waiting: int = 10_000_000
    reads: bool = True
    now: float = 0.0
    told: list[LiveEvent] = field(default_factory=list)
    refusal: InvalidRequestError | None = None
    metrics: Metrics = field(default_factory=Metrics)
    vad: SileroModel | None = None

    def __post_init__(self) -> None:
        """The session, not running yet."""
        numbers = count()
        self.load = LiveLoad(lambda: self.now)
        resources = Resources(
            self.vad or ScriptedVad(self.script).as_model(), anyio.CapacityLimiter(1), self.metrics
        )
        self.session = LiveSession(
            resources,
            self.load,
            resolve=self.resolve,
            new_item=lambda: f"item{next(numbers)}",
            max_waiting=self.max_waiting,
            clock=lambda: self.now,
        )

    async def resolve(self, session: object) -> tuple[LiveOptions, object]:
        """What a `Configure` holds is the options themselves."""
        if self.refusal is not None:
            raise self.refusal
        options = session if isinstance(session, LiveOptions) else self.first
        return options, options

    async def read(self) -> None:
        """Takes events."""
        async for event in self.session:
            self.told.append(event)

    async def settle(self) -> None:
        """Returns when nothing more can happen, but for what the test has in hand."""
        await turns_of_the_loop()
        while self.session._busy and not self._is_stuck:
            await self.session._changed.wait()
            await turns_of_the_loop()

    @property
    def _is_stuck(self) -> bool:
        """A semantic turn waits for an engine that the test holds."""
        last = self.session._last
        return self.session._hearing.waiting and last is not None and not last.done.is_set()

    async def hear(self, seconds: float, step: float = 0.1) -> None:
        """So much audio, in steps each of which is worked on before the next comes."""
        for _ in range(round(seconds / step)):
            self.session.append(sound(step))
            await self.settle()

    async def commit(self, event_id: str | None = None) -> None:
        """And what it causes."""
        self.session.put(Commit(event_id))
        await self.settle()

    def all(self, kind: type[LiveEvent] = object) -> list[LiveEvent]:  # type: ignore[assignment]  # every event
        """The events of a kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def text(self, item: str) -> str:
        """Of its deltas."""
        return "".join(
            event.text for event in self.told if isinstance(event, ItemDelta) and event.item_id == item
        )

    def completed(self) -> dict[str, str]:
        """The transcripts by item, in the order they came."""
        return {
            event.item_id: event.transcript.text for event in self.told if isinstance(event, ItemCompleted)
        }

    def failed(self) -> dict[str, str]:
        """The errors by item."""
        return {event.item_id: event.error.message for event in self.told if isinstance(event, ItemFailed)}

    def refused(self) -> list[Refused]:
        """What was."""
        return [event for event in self.told if isinstance(event, Refused)]

    def partials(self, outcome: str) -> float:
        """The metric."""
        value = self.metrics.registry.get_sample_value("gateway_live_partials_total", {"outcome": outcome})
        return value or 0.0


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[Desk]:
    """The session runs, and its events are taken, until the context is left."""
    async with open_task_group() as tasks:
        tasks.start_soon(desk.session.run)
        if desk.reads:
            tasks.start_soon(desk.read)
        await desk.settle()
        yield desk
        await desk.settle()
        tasks.cancel_scope.cancel()


def check(told: list[LiveEvent]) -> None:
    """What holds of every session: items one behind the other, deltas before their end."""
    ended: list[str] = []
    committed: list[str] = []
    speaking: str | None = None
    for event in told:
        match event:
            case BufferCommitted(item):
                committed.append(item)
            case ItemDelta(item):
                assert item not in ended
                assert speaking in {None, item}
                speaking = item
            case ItemCompleted(item) | ItemFailed(item):
                assert item in committed
                assert item not in ended
                assert speaking in {None, item}
                speaking = None
                ended.append(item)
    assert ended == committed[: len(ended)]


async def test_two_utterances() -> None:
    """Text while people speak, each item's deltas join to its transcript, its events in their order."""
    engine = Engine()
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(8)

    assert desk.completed() == {"item0": desk.text("item0"), "item1": desk.text("item1")}
    assert desk.text("item0") == "w0 w1 w2 w3"
    first = [event for event in desk.told if getattr(event, "item", None) == "item0"]
    assert isinstance(first[0], SpeechStarted)
    assert first[0].seconds == pytest.approx(0.2, abs=0.04)
    assert isinstance(first[1], ItemDelta)
    stopped = next(event for event in first if isinstance(event, SpeechStopped))
    assert stopped.seconds == pytest.approx(3.0, abs=0.1)
    kinds = [type(event) for event in first if not isinstance(event, ItemDelta)]
    assert kinds == [SpeechStarted, SpeechStopped, BufferCommitted, ItemCompleted]
    check(desk.told)
    assert engine.leases == 0


async def test_the_pauses_hypothesis_is_the_final() -> None:
    """Nothing is decoded twice where nothing more is said; the words of the pause come before the end."""
    engine = Engine()
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(2.9)
        assert not desk.all(BufferCommitted)
        before = desk.text("item0")
        await desk.hear(5)

    assert len(engine.finals) == 2
    assert before.startswith("w0 w1 w2")
    assert desk.completed()["item0"].startswith(before)


async def test_speech_that_goes_on_is_decoded_again() -> None:
    """The hypothesis of a pause that was none is not the final; it is given up where it is no use."""
    engine = Engine(finals_held)
    script: Script = [(1.0, 2.0), (0.0, 0.4), (1.0, 1.0), (0.0, 0.4), (1.0, 1.0), (0.0, 3.0)]
    async with running(Desk(options(engine), script)) as desk:
        await desk.hear(6)
        assert [call.cancelled for call in engine.finals] == [True, True, False]
        engine.finals[-1].answer()

    assert desk.completed() == {"item0": words(engine.finals[-1].request).segments[0].text.strip()}
    assert desk.session._finals.running == set()


async def test_finals_out_of_order() -> None:
    """They are told in order; deltas of one item never come between another's."""
    engine = Engine(finals_held)
    script = [*TWO[:-1], (0.0, 1.5), (1.0, 2.0), (0.0, 3.0)]
    async with running(Desk(options(engine), script)) as desk:
        await desk.hear(11)
        assert len(desk.all(BufferCommitted)) == 3
        assert len(engine.finals) == 3
        for call in reversed(engine.finals):
            assert not desk.completed()
            call.answer()
            await desk.settle()

    assert list(desk.completed()) == ["item0", "item1", "item2"]
    assert all(desk.text(item) == transcript for item, transcript in desk.completed().items())
    check(desk.told)


async def test_partials_wait_for_their_turn() -> None:
    """None of an item is decoded while an earlier one has something to tell."""
    engine = Engine(finals_held)
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(3)
        before = len(engine.partials)
        await desk.hear(1.8)
        assert len(engine.partials) == before
        engine.finals[0].answer()
        await desk.settle()
        await desk.hear(0.5)

        assert len(engine.partials) > before
    check(desk.told)


async def test_one_partial_in_flight() -> None:
    """However long it takes; what it says is told once it is there."""
    engine = Engine(held)
    async with running(Desk(options(engine), [(1.0, 20.0)])) as desk:
        await desk.hear(5)
        assert len(engine.partials) == 1
        engine.partials[0].answer(say("a b"))
        await desk.settle()
        await desk.hear(0.5)
        assert len(engine.partials) == 2
        engine.partials[1].answer(say("a b c"))
        await desk.settle()

        assert desk.text("item0") == "a b"
        assert desk.partials("decoded") == 2


@pytest.mark.parametrize("took", [0.0, 1.0, 2.0])
async def test_partials_thin_out_where_they_take_long(took: float) -> None:
    """The next has more new audio, so that the engine breathes between two."""
    engine = Engine(held)
    async with running(Desk(options(engine), [(1.0, 20.0)])) as desk:
        ends = []
        for _ in range(3):
            known = len(engine.partials)
            while len(engine.partials) == known:
                await desk.hear(0.1)
            ends.append(len(engine.partials[-1].request.samples) / SAMPLE_RATE)
            desk.now += took
            engine.partials[-1].answer()
            await desk.settle()

    steps = [ends[1] - ends[0], ends[2] - ends[1]]
    assert steps == [pytest.approx(max(PARTIALS.step, BREATH * took), abs=0.05)] * 2


async def test_partials_stop_under_load_and_finals_go_on() -> None:
    """As long as finals elsewhere take too long; none is decoded in a pause either."""
    engine = Engine()
    async with running(Desk(options(engine), TWO)) as desk:
        with desk.load.final():
            desk.now += PARTIALS_UNTIL + 1
            await desk.hear(3.2)

            assert engine.partials == []
            assert desk.partials("dropped") > 0
            assert list(desk.completed()) == ["item0"]
            assert len(engine.finals) == 1
        desk.now += 60
        await desk.hear(5)

    assert engine.partials != []
    assert list(desk.completed()) == ["item0", "item1"]


@pytest.mark.parametrize(("pace", "lag"), [(0.0, 0.0), (1.0, 5.0)], ids=["at once", "as spoken"])
async def test_a_client_faster_than_speech_is_no_load(pace: float, lag: float) -> None:
    """Its finals wait for each other, which says nothing about those of people."""
    engine = Engine(finals_held)
    async with running(Desk(options(engine), TWO)) as desk:
        for _ in range(10):
            await desk.hear(0.32)
            desk.now += 0.32 * pace
        desk.now += 5.0

        assert desk.load.lag >= lag
        assert (desk.load.lag > 0) == (lag > 0)
        engine.finals[0].answer()


@pytest.mark.parametrize("error", [SupersededError(), OverloadedError("full"), EngineFailedError("broken")])
async def test_a_partial_that_fails_is_no_error(error: Exception) -> None:
    """The next is decoded, and the final."""
    engine = Engine(lambda call: call.answer(None if call.is_final else error))
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(8)

    assert list(desk.completed()) == ["item0", "item1"]
    assert len(engine.partials) > 2
    assert desk.partials("dropped") == len(engine.partials)
    assert desk.all(ItemFailed) == []


async def test_a_final_that_fails() -> None:
    """The item fails, the next is served."""
    engine = Engine()
    engine.respond = lambda call: call.answer(
        EngineFailedError("broken") if call is engine.finals[0] else None
    )
    async with running(Desk(options(engine, partials=None), TWO)) as desk:
        await desk.hear(8)

    assert desk.failed() == {"item0": "broken"}
    assert list(desk.completed()) == ["item1"]
    assert len(engine.finals) == 2
    check(desk.told)


async def test_a_pause_that_cannot_be_decoded_is_tried_again() -> None:
    """Where the queue was full for a moment, the item does not fail for it."""
    engine = Engine()
    engine.respond = lambda call: call.answer(
        UnavailableError("later") if call.is_final and call is engine.finals[0] else None
    )
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(8)

    assert list(desk.completed()) == ["item0", "item1"]
    assert len(engine.finals) == 3


async def test_commit_of_too_little() -> None:
    """Refused in OpenAI's words, for that event; nothing else happens."""
    engine = Engine()
    async with running(Desk(options(engine, TurnOptions(TurnMode.MANUAL)), [(1.0, 5.0)])) as desk:
        await desk.commit("empty")
        desk.session.append(sound(0.05))
        await desk.commit("short")
        desk.session.append(sound(0.05))
        await desk.commit("enough")

    empty, short = desk.refused()
    prefix = "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
    assert empty.error.message == prefix + "buffer only has 0.00ms of audio."
    assert short.error.message == prefix + "buffer only has 50.00ms of audio."
    assert empty.error.code == "input_audio_buffer_commit_empty"
    assert [empty.event_id, short.event_id] == ["empty", "short"]
    assert desk.all(BufferCommitted) == [BufferCommitted("item0")]


async def test_commits_in_manual_mode() -> None:
    """Items as the client ends them, of silence too; no speech is told of, no partial decoded."""
    engine = Engine()
    turns = TurnOptions(TurnMode.MANUAL)
    async with running(Desk(options(engine, turns, partials=None), [(1.0, 1.5), (0.0, 9.0)])) as desk:
        await desk.hear(1)
        await desk.commit()
        await desk.hear(1)
        await desk.commit()
        await desk.hear(1)
        await desk.commit()

    assert [type(event) for event in desk.told] == [BufferCommitted, ItemDelta, ItemCompleted] * 2 + [
        BufferCommitted,
        ItemCompleted,
    ]
    assert [bool(text) for text in desk.completed().values()] == [True, True, False]
    assert engine.partials == []
    assert len(engine.finals) == 2


async def test_commit_in_mid_speech() -> None:
    """One item ends there, the next begins."""
    engine = Engine()
    async with running(Desk(options(engine), [(1.0, 4.0), (0.0, 5.0)])) as desk:
        await desk.hear(2)
        await desk.commit()
        await desk.hear(4)

    assert [len(call.request.samples) for call in engine.finals[:1]] == [2 * SAMPLE_RATE]
    assert list(desk.completed()) == ["item0", "item1"]
    started = [event.seconds for event in desk.told if isinstance(event, SpeechStarted)]
    assert started == [0.0, 2.0]
    check(desk.told)


async def test_a_commit_of_silence_tells_of_no_speech() -> None:
    """In server_vad, too."""
    async with running(Desk(options(Engine()), [(0.0, 9.0)])) as desk:
        await desk.hear(1)
        await desk.commit()

    assert [type(event) for event in desk.told] == [BufferCommitted, ItemCompleted]


async def test_clear_drops_the_item() -> None:
    """Its rows are given up, partial and pause; who speaks on begins another item."""
    engine = Engine(held)
    script: Script = [(1.0, 30.0), (0.0, 0.3), (1.0, 2.5), (0.0, 0.4), (1.0, 3.0), (0.0, 3.0)]
    turns = TurnOptions(TurnMode.MANUAL)
    async with running(Desk(options(engine, turns), script)) as desk:
        await desk.hear(33.2, step=0.4)
        assert len(engine.finals) >= 2
        desk.session.put(Clear())
        await desk.settle()
        assert all(call.cancelled for call in engine.calls)
        assert desk.all(BufferCleared) == [BufferCleared()]
        engine.respond = Call.answer
        await desk.hear(3)
        await desk.commit()

    assert list(desk.completed()) == ["item1"]
    assert desk.session._finals.running == set()
    assert engine.leases == 0


async def test_configure() -> None:
    """An utterance keeps the model it began with; the next one has the new one's."""
    first, second = Engine(), Engine()
    async with running(Desk(options(first), TWO)) as desk:
        await desk.hear(1)
        desk.session.put(Configure(options(second), "e"))
        await desk.hear(7)

    assert desk.all(SessionUpdated) == [SessionUpdated(options(second))]
    assert len(first.finals) == len(second.finals) == 1
    assert list(desk.completed()) == ["item0", "item1"]


async def test_configure_that_is_refused() -> None:
    """Everything is as it was, and the client is told which event was at fault."""
    engine = Engine()
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(1)
        desk.refusal = InvalidRequestError("no such thing")
        before = desk.session._options
        desk.session.put(Configure({}, "mine"))
        await desk.settle()
        assert desk.session._options is before
        await desk.hear(7)

    assert desk.refused() == [Refused(desk.refusal, "mine")]
    assert list(desk.completed()) == ["item0", "item1"]
    assert desk.all(SessionUpdated) == []


async def test_turns_changed_in_mid_utterance() -> None:
    """Speech whose start was told has a stop, though the client commits it; its text comes all the same."""
    engine = Engine()
    manual = options(engine, TurnOptions(TurnMode.MANUAL))
    async with running(Desk(options(engine), [(1.0, 2.0), (0.0, 9.0)])) as desk:
        await desk.hear(1)
        desk.session.put(Configure(manual, None))
        await desk.hear(5)
        assert desk.all(SpeechStopped) == []
        await desk.commit()

    assert len(desk.all(SpeechStarted)) == len(desk.all(SpeechStopped)) == 1
    assert list(desk.completed()) == ["item0"]


async def test_without_a_model() -> None:
    """Speech is told of, nothing else."""
    async with running(Desk(LiveOptions(rate=SAMPLE_RATE), TWO)) as desk:
        await desk.hear(8)
        await desk.session.finish()

    assert [type(event) for event in desk.told] == [SpeechStarted, SpeechStopped, BufferCommitted] * 2


async def test_options_that_cannot_be_had() -> None:
    """To begin with: the session ends with that error."""
    desk = Desk(options(Engine()), TWO)
    desk.refusal = InvalidRequestError("no such model")

    with pytest.raises(InvalidRequestError):
        await desk.session.run()


async def test_idle_timeout() -> None:
    """The silence becomes an item without text, and is told of as such."""
    turns = TurnOptions(idle=SAMPLE_RATE)
    engine = Engine()
    async with running(Desk(options(engine, turns), [(0.0, 9.0)])) as desk:
        await desk.hear(1.5)

    idle, committed, completed = desk.told
    assert isinstance(idle, TimeoutTriggered)
    assert (idle.item_id, idle.start) == ("item0", 0.0)
    assert idle.end == pytest.approx(1.0, abs=0.05)
    assert isinstance(committed, BufferCommitted)
    assert isinstance(completed, ItemCompleted)
    assert engine.calls == []


async def test_finish() -> None:
    """Ends what is being said, waits for its text, and hears nothing more."""
    engine = Engine(finals_held)
    async with running(Desk(options(engine), [(1.0, 30.0)])) as desk:
        await desk.hear(1.03, step=0.01)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.session.finish)
            await desk.settle()
            desk.session.append(sound(5.0))
            desk.session.put(Commit(None))
            await desk.settle()
            [final] = engine.finals
            assert not desk.completed()
            final.answer()

        assert list(desk.completed()) == ["item0"]
        assert len(desk.session._inbox) == 0
    assert len(final.request.samples) == round(1.03 * SAMPLE_RATE)
    check(desk.told)


@pytest.mark.parametrize("seconds", [0.0, 0.04, 0.3, 1.0])
async def test_finish_where_nothing_was_said(seconds: float) -> None:
    """It returns, and nothing is told."""
    async with running(Desk(options(Engine()), [(0.0, 9.0)])) as desk:
        desk.session.append(sound(seconds))
        with anyio.fail_after(5):
            await desk.session.finish()

    assert desk.told == []


async def test_finish_right_behind_a_commit() -> None:
    """An utterance shorter than a client may commit is ended all the same."""
    async with running(Desk(options(Engine()), [(1.0, 30.0)])) as desk:
        # Three frames are heard at the end of a hop: the earliest onset there can be.
        place, early = 24 * SAMPLE_RATE // 10 - 1025, 1025
        desk.session.append(sound(place / SAMPLE_RATE))
        await desk.commit()
        desk.session.append(sound(early / SAMPLE_RATE))
        with anyio.fail_after(5):
            await desk.session.finish()

    assert len(desk.all(SpeechStarted)) == len(desk.completed()) == 2
    assert desk.refused() == []
    assert desk.session._hearing.uncommitted == 0


async def test_the_queue_keeps_no_session() -> None:
    """It remembers streams for a while, and a session knows its client's key."""
    engine = Engine()
    desk = Desk(options(engine), TWO)
    async with running(desk):
        await desk.hear(3.0)

    assert len({call.stream for call in engine.calls}) == 1
    assert {type(call.stream) for call in engine.calls} == {object}


async def test_cancelling_frees_everything() -> None:
    """Rows, leases, and the bytes that waited."""
    engine = Engine(held)
    desk = Desk(options(engine), TWO)
    async with running(desk):
        await desk.hear(3.0)
        assert engine.leases > 0
        desk.session.append(sound(0.05))
    waiting = desk.metrics.registry.get_sample_value("gateway_live_waiting_bytes")

    assert all(call.cancelled for call in engine.calls)
    assert engine.leases == 0
    assert waiting == 0
    assert desk.session._finals.running == set()


async def test_events_that_nobody_takes() -> None:
    """The hearing stops, what waits is bounded, and goes on once somebody takes them."""
    turns = TurnOptions(TurnMode.MANUAL)
    desk = Desk(options(Engine(), turns), [(0.0, 9.0)], max_waiting=100_000, reads=False)
    async with running(desk):
        for _ in range(2 * EVENTS_AHEAD):
            desk.session.put(Commit(None))
        desk.session.append(sound(1.0))
        await desk.settle()
        assert len(desk.session._events) == EVENTS_AHEAD + 1
        assert desk.session._hearing.position == 0
        with pytest.raises(OverloadedError):
            for _ in range(10):
                desk.session.append(sound(1.0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.read)
            while desk.session._inbox:
                await desk.settle()
                await checkpoint()
            await desk.settle()
            tasks.cancel_scope.cancel()

    assert len(desk.refused()) == 2 * EVENTS_AHEAD
    assert desk.session._hearing.position >= SAMPLE_RATE


async def test_an_engine_that_does_not_answer_stops_the_hearing() -> None:
    """Chunks ahead are bounded; no final is lost when it answers at last."""
    engine = Engine(held)
    turns = TurnOptions(TurnMode.MANUAL)
    commits = CHUNKS_AHEAD + 5
    async with running(Desk(options(engine, turns, partials=None), [(1.0, 60.0)])) as desk:
        for _ in range(commits):
            desk.session.append(sound(0.5))
            desk.session.put(Commit(None))
        await desk.settle()
        assert len(engine.finals) == CHUNKS_AHEAD + 1
        engine.respond = Call.answer
        for call in engine.finals[:]:
            call.answer()
        await desk.session.finish()

    assert len(desk.completed()) == commits


def semantic(engine: Engine) -> LiveOptions:
    """With much eagerness."""
    return replace(options(engine, TurnOptions(TurnMode.SEMANTIC_VAD)), eagerness="high")


@pytest.mark.parametrize(("text", "seconds"), [("Is that all?", 0.5), ("I think that", 2.0)])
async def test_semantic_turns(text: str, seconds: float) -> None:
    """The silence that is waited for depends on the words."""
    engine = Engine(lambda call: call.answer(say(text)))
    async with running(Desk(semantic(engine), [(1.0, 1.0), (0.0, 9.0)])) as desk:
        await desk.hear(4)

    [stopped] = [event for event in desk.told if isinstance(event, SpeechStopped)]
    assert stopped.seconds == pytest.approx(1.0 + seconds, abs=0.05)
    assert desk.completed() == {"item0": text}
    assert len(engine.finals) == 1


async def test_semantic_turns_with_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No longer than the longest patience is waited for its words; then that holds for the silence."""
    monkeypatch.setitem(MAX_SECONDS, "high", 0.05)
    engine = Engine(held)
    async with running(Desk(semantic(engine), [(1.0, 1.0), (0.0, 9.0)])) as desk:
        desk.session.append(sound(3.0))
        with anyio.fail_after(5):
            while not desk.all(BufferCommitted):
                await desk.session._changed.wait()
                await checkpoint()

        assert len(engine.finals) == 1


async def test_semantic_turns_with_an_engine_that_fails() -> None:
    """The longest patience again; the item fails, the session goes on."""
    engine = Engine(lambda call: call.answer(EngineFailedError("broken")))
    async with running(Desk(semantic(engine), [(1.0, 1.0), (0.0, 9.0)])) as desk:
        await desk.hear(4)

    [stopped] = [event for event in desk.told if isinstance(event, SpeechStopped)]
    assert stopped.seconds == pytest.approx(1.0 + MAX_SECONDS["high"], abs=0.05)
    assert list(desk.failed()) == ["item0"]


async def test_partials_keep_the_finals_language() -> None:
    """Once a final was sure of it; the finals detect it anew. A client's own choice is untouched."""
    engine = Engine(lambda call: call.answer(say("eins zwei drei", language="de")))
    async with running(Desk(options(engine), TWO)) as desk:
        await desk.hear(8)
    languages = [(call.is_final, call.request.options.language) for call in engine.calls]

    assert languages[0] == (False, None)
    assert languages[-2:] == [(False, "de"), (True, None)]
    engine.calls.clear()
    chosen = DecodeOptions(languages=("en", "zh"), beam_size=5, words=True)
    async with running(Desk(options(engine, decoding=chosen), TWO)) as desk:
        await desk.hear(8)
    for call in engine.calls:
        assert call.request.options.languages == ("en", "zh")
        assert call.request.options.beam_size == (5 if call.is_final else PARTIALS.beam_size)
        assert call.request.options.words == call.is_final


@pytest.mark.parametrize(("able", "wanted"), [(False, True), (True, True), (True, False)])
async def test_partials_begin_with_what_was_told(able: bool, wanted: bool) -> None:  # noqa: FBT001 - a table
    """Where it is wanted and the engine can do that; finals are decoded as files are."""
    engine, prefix = Engine(prefix=able), able and wanted
    partials = replace(PARTIALS, prefix=wanted)
    async with running(Desk(options(engine, partials=partials), [(1.0, 4.0), (0.0, 2.0)])) as desk:
        await desk.hear(6)
    prefixes = [call.request.prefix_tokens for call in engine.partials]

    assert (prefixes[-1] != ()) == prefix
    assert all(later[: len(sooner)] == sooner for sooner, later in pairwise(prefixes))
    assert {call.request.prefix_tokens for call in engine.finals} == {()}
    assert list(desk.completed()) == ["item0"]


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    """The real one."""
    return SileroModel.load()


@pytest.mark.parametrize("size", [100_000_000, 3_201, 50_000])
async def test_real_speech(size: int, silero: SileroModel, samples: dict[str, Sample]) -> None:
    """Through Silero: the same chunks and events, however the client slices, each of them heard once."""
    engine = Engine()
    data = int16(load(samples["en_dialogue"].path)).tobytes()
    async with running(Desk(options(engine, partials=None), [], vad=silero)) as desk:
        for at in range(0, len(data), size):
            desk.session.append(data[at : at + size])
        await desk.session.finish()

    spoken = samples["en_dialogue"].utterances
    assert len(desk.completed()) == len(engine.finals) == len(spoken)
    check(desk.told)
