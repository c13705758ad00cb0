"""Live sessions from commands to events: scripted speech, an engine that answers when the test says so.

What turns make of speech and answers is tested without a loop, in `test_turns`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

import anyio
import pytest

from gateway.aio import Changed, open_task_group
from gateway.audio.silero import SileroModel
from gateway.audio.turns import TurnMode, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import Priority
from gateway.errors import InvalidRequestError, OverloadedError
from gateway.flow.inbox import Waiting
from gateway.flow.options import LiveOptions, Resources
from gateway.flow.pacing import LEAST_SECONDS, Load
from gateway.flow.session import (
    CHUNKS_AHEAD,
    EVENTS_AHEAD,
    LEAST_QUIET_SECONDS,
    REFUSALS_AHEAD,
    LiveSession,
    piece_seconds,
)
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis
from gateway.transcript.commands import Append, Clear, Commit, Configure
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    LiveEvent,
    Refused,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
)
from gateway.transcript.writing import MAX_SILENCE_SECONDS
from tests.audio.sound import int16, load
from tests.fake_recognizer import Call, FakeRecognizer, by_length
from tests.flow.desk import Desk, options
from tests.flow.speech import Script, ScriptedVad, sound
from tests.flow.test_turns import TWO, check
from tests.support import Sample

E = TypeVar("E", bound=LiveEvent)

MANUAL = TurnOptions(TurnMode.MANUAL)


@dataclass
class Connection:
    """A session at work, and what is read of it.

    Attributes:
        read: All events that were taken.
        now: Seconds of the load's and the session's clock.
        reads: Events are taken at once.
    """

    first: LiveOptions
    script: Script
    max_waiting_bytes: int = 10_000_000
    reads: bool = True
    now: float = 0.0
    read: list[LiveEvent] = field(default_factory=list)
    refusal: InvalidRequestError | None = None
    metrics: Metrics = field(default_factory=Metrics)
    vad: SileroModel | None = None
    changed: Changed = field(default_factory=Changed)

    def __post_init__(self) -> None:
        """The session, not running yet."""
        numbers, self._fences = count(), count()
        self.load = Load(lambda: self.now, self.metrics)
        vad = self.vad or ScriptedVad(self.script).as_model()
        self.session = LiveSession(
            Resources(vad, anyio.CapacityLimiter(1), self.metrics),
            self.load,
            settings="settings",
            resolve=self.resolve,
            new_item_id=lambda: f"item{next(numbers)}",
            waiting=Waiting(self.max_waiting_bytes, self.max_waiting_bytes, self.metrics),
            clock=lambda: self.now,
        )

    async def resolve(self, session: Mapping[str, Any] | None) -> tuple[LiveOptions, object]:
        """What a `Configure` holds is the options themselves, under any key."""
        if session is not None and "fence" in session:
            raise InvalidRequestError("fence")
        if self.refusal is not None:
            raise self.refusal
        options = self.first if session is None else next(iter(session.values()))
        return options, options

    async def take(self) -> None:
        """Takes events."""
        async for event in self.session:
            self.read.append(event)
            self.changed.notify()

    async def until(self, holds: Callable[[], object]) -> None:
        """Returns when what was read makes it true; fails where it never does."""
        with anyio.fail_after(20):
            await self.changed.until(holds)

    async def worked_on(self) -> None:
        """Returns when everything that was put is worked on: after a refusal of the test's own."""
        name = f"fence{next(self._fences)}"
        self.session.put(Configure({"fence": None}, name))
        await self.until(lambda: any(isinstance(e, Refused) and e.event_id == name for e in self.read))

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind; without the fences."""
        found = [event for event in self.read if isinstance(event, kind)]
        return [e for e in found if not (isinstance(e, Refused) and (e.event_id or "").startswith("fence"))]

    def completed(self) -> dict[str, str]:
        """The transcripts by item, in the order they came."""
        return {event.item_id: event.transcript.text for event in self.of(ItemCompleted)}

    def text(self, item_id: str) -> str:
        """Its deltas, joined."""
        return "".join(event.text for event in self.of(ItemDelta) if event.item_id == item_id)

    async def speak(self, seconds: float, step: float = 0.1, *, pace: float = 1.0) -> None:
        """So much audio, in steps each of which is worked on before the next; time passes at ``pace``."""
        for _ in range(round(seconds / step)):
            self.session.put(Append(sound(step)))
            await self.worked_on()
            self.now += step * pace


@asynccontextmanager
async def running(connection: Connection) -> AsyncIterator[Connection]:
    """The session runs, and its events are taken, until the context is left."""
    async with open_task_group() as tasks:
        tasks.start_soon(connection.session.run)
        if connection.reads:
            tasks.start_soon(connection.take)
        yield connection
        tasks.cancel_scope.cancel()


async def finished(connection: Connection) -> None:
    """Everything is worked on, answered and read."""
    with anyio.fail_after(20):
        await connection.session.finish()


async def test_two_utterances() -> None:
    """Speech in appends of any size, partials, finals: each item's deltas join to its transcript."""
    engine = FakeRecognizer()
    async with running(Connection(options(engine=engine), TWO)) as client:
        await client.speak(8)
        await finished(client)

    assert client.read[0] == SessionCreated("settings")
    assert client.completed() == {"item0": "w0 w1 w2 w3", "item1": client.text("item1")}
    assert client.text("item0") == "w0 w1 w2 w3"
    assert len(engine.finals) == 2
    assert engine.partials != []
    assert engine.leases == 0
    check(client.read)


def test_pieces_are_long_only_where_nobody_speaks_for_a_while() -> None:
    """What is said then is heard a little later; between two turns it is not."""
    desk = Desk(options(), [(0.0, 5.0), (1.0, 2.0), (0.0, 20.0)])
    seconds = []
    for _ in range(24):
        seconds.append(piece_seconds(desk.turns, desk.capture.segmenter))
        desk.hear(1.0)

    # The turn ends at 7.5 s, and 10 s after that nobody has spoken for a while.
    assert seconds == [LEAST_SECONDS] * 18 + [LEAST_QUIET_SECONDS] * 6


async def test_commit_of_too_little() -> None:
    """Refused in OpenAI's words, for that event; nothing else happens."""
    async with running(Connection(options(MANUAL), [(1.0, 5.0)])) as client:
        client.session.put(Commit("empty"))
        client.session.put(Append(sound(0.05)))
        client.session.put(Commit("short"))
        client.session.put(Append(sound(0.05)))
        client.session.put(Commit("enough"))
        await finished(client)

    empty, short = client.of(Refused)
    prefix = "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
    assert empty.error.message == prefix + "buffer only has 0.00ms of audio."
    assert short.error.message == prefix + "buffer only has 50.00ms of audio."
    assert empty.error.code == "input_audio_buffer_commit_empty"
    assert [empty.event_id, short.event_id] == ["empty", "short"]
    assert [event.item_id for event in client.of(BufferCommitted)] == ["item0"]


async def test_clear() -> None:
    """What was not committed is forgotten; the next item is the next."""
    async with running(Connection(options(MANUAL), [(1.0, 5.0)])) as client:
        client.session.put(Append(sound(1.0)))
        client.session.put(Clear())
        client.session.put(Append(sound(1.0)))
        client.session.put(Commit(None))
        await finished(client)

    assert client.of(BufferCleared) == [BufferCleared()]
    assert len(client.completed()) == 1


async def test_configure() -> None:
    """Other options hold for the audio after it."""
    first, second = FakeRecognizer(), FakeRecognizer()
    other = options(engine=second)
    async with running(Connection(options(engine=first), TWO)) as client:
        client.session.put(Append(sound(1.0)))
        client.session.put(Configure({"options": other}, "e"))
        client.session.put(Append(sound(7.0)))
        await finished(client)

    assert client.of(SessionUpdated) == [SessionUpdated(other)]
    assert len(first.finals) == len(second.finals) == 1
    assert list(client.completed()) == ["item0", "item1"]


async def test_configure_that_is_refused() -> None:
    """Everything is as it was, and the client is told which event was at fault."""
    async with running(Connection(options(), TWO)) as client:
        await client.speak(1)
        client.refusal = InvalidRequestError("no such thing")
        client.session.put(Configure({}, "mine"))
        await client.speak(7)
        await finished(client)

    assert client.of(Refused) == [Refused(client.refusal, "mine")]
    assert list(client.completed()) == ["item0", "item1"]
    assert client.of(SessionUpdated) == []


async def test_options_that_cannot_be_had() -> None:
    """To begin with: the session ends with that error."""
    client = Connection(options(), TWO)
    client.refusal = InvalidRequestError("no such model")

    with pytest.raises(InvalidRequestError):
        await client.session.run()


@pytest.mark.parametrize("pace", [0.0, 1.0], ids=["at once", "as spoken"])
async def test_a_client_faster_than_speech_is_no_load(pace: float) -> None:
    """Its finals wait as those of files do, and say nothing about those of people."""
    engine = FakeRecognizer(finals_wait)
    async with running(Connection(options(engine=engine), TWO)) as client:
        await client.speak(3.2, pace=pace)
        client.now += 5.0
        lag = client.load.lag

    assert engine.finals
    assert {call.priority for call in engine.finals} == {Priority.LIVE_FINAL if pace else Priority.AHEAD}
    assert (lag >= 5.0) == (pace > 0)
    assert (lag == 0.0) == (pace == 0)


@pytest.mark.parametrize(("silence", "is_ahead"), [(5.0, False), (20.0, True)])
async def test_making_up_for_a_silence(silence: float, *, is_ahead: bool) -> None:
    """A microphone whose network stalled sends the rest at once; who sends a file after a while is none."""
    engine = FakeRecognizer()
    async with running(Connection(options(MANUAL, engine=engine), [(1.0, 60.0)])) as client:
        await client.speak(1.0)
        client.now += silence
        client.session.put(Append(sound(silence)))
        client.session.put(Commit(None))
        await client.until(client.completed)

    assert engine.finals[-1].priority is (Priority.AHEAD if is_ahead else Priority.LIVE_FINAL)


async def test_finish() -> None:
    """Ends what is being said, waits for its text, and takes nothing more."""
    engine = FakeRecognizer(finals_wait)
    async with running(Connection(options(engine=engine), [(1.0, 30.0)])) as client:
        await client.speak(1.03, step=0.01)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.session.finish)
            await client.until(lambda: client.of(BufferCommitted))
            client.session.put(Append(sound(5.0)))
            client.session.put(Commit(None))
            [final] = engine.finals
            assert not client.completed()
            final.answer(by_length(final))

        assert list(client.completed()) == ["item0"]
    assert len(final.request.samples) == round(1.03 * SAMPLE_RATE)
    check(client.read)


@pytest.mark.parametrize("seconds", [0.0, 0.04, 0.3, 1.0])
async def test_finish_where_nothing_was_said(seconds: float) -> None:
    """It returns, and nothing is emitted."""
    async with running(Connection(options(), [(0.0, 9.0)])) as client:
        client.session.put(Append(sound(seconds)))
        await finished(client)

    assert client.read == [SessionCreated("settings")]


async def test_finish_right_after_a_commit() -> None:
    """An utterance shorter than a client may commit is ended all the same."""
    async with running(Connection(options(), [(1.0, 30.0)])) as client:
        # Three frames are cut at the end of a hop: the earliest onset there can be.
        place, early = 24 * SAMPLE_RATE // 10 - 1025, 1025
        client.session.put(Append(sound(place / SAMPLE_RATE)))
        client.session.put(Commit(None))
        client.session.put(Append(sound(early / SAMPLE_RATE)))
        await finished(client)

    assert len(client.of(SpeechStarted)) == len(client.completed()) == 2
    assert client.of(Refused) == []


async def test_cancelling_frees_everything() -> None:
    """Rows, leases, and the bytes that waited."""
    engine = FakeRecognizer(lambda call: None)
    client = Connection(options(engine=engine), TWO)
    async with running(client):
        await client.speak(3.0)
        assert engine.leases > 0
        client.session.put(Append(sound(0.05)))
    waiting = client.metrics.registry.get_sample_value("gateway_live_waiting_bytes")

    assert all(call.cancelled for call in engine.calls)
    assert engine.leases == 0
    assert waiting == 0


async def test_events_that_nobody_takes() -> None:
    """The work stops, what waits is bounded, and goes on once somebody takes them."""
    client = Connection(options(MANUAL), [(0.0, 9.0)], max_waiting_bytes=100_000, reads=False)
    async with running(client):
        for _ in range(EVENTS_AHEAD + 100):
            client.session.put(Commit(None))
        client.session.put(Append(sound(1.0)))
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OverloadedError):
            for _ in range(10):
                client.session.put(Append(sound(1.0)))
        waiting = client.metrics.registry.get_sample_value("gateway_live_waiting_bytes")
        assert waiting is not None
        assert waiting >= 32_000
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.take)
            await finished(client)
            tasks.cancel_scope.cancel()

    assert len(client.of(Refused)) == EVENTS_AHEAD + 100
    assert client.metrics.registry.get_sample_value("gateway_live_waiting_bytes") == 0


async def test_refusals_that_nobody_takes() -> None:
    """A client that goes on making mistakes and reads none of the answers is not served for ever."""
    client = Connection(options(MANUAL), [(0.0, 9.0)], reads=False)
    refusal = Refused(InvalidRequestError("what?"), None)

    with pytest.raises(OverloadedError):
        for _ in range(2 * REFUSALS_AHEAD):
            client.session.refuse(refusal)


async def test_an_engine_that_does_not_answer_stops_the_work() -> None:
    """Chunks ahead are bounded; no final is lost when it answers at last."""
    engine = FakeRecognizer(lambda call: None)
    commits = CHUNKS_AHEAD + 5
    async with running(Connection(options(MANUAL, partials=None, engine=engine), [(1.0, 60.0)])) as client:
        for _ in range(commits):
            client.session.put(Append(sound(0.5)))
            client.session.put(Commit(None))
        await client.until(lambda: len(client.of(BufferCommitted)) > CHUNKS_AHEAD)
        await anyio.wait_all_tasks_blocked()
        assert len(engine.finals) == CHUNKS_AHEAD + 1
        engine.answer = by_length
        for call in engine.finals[:]:
            call.answer(by_length(call))
        await finished(client)

    assert len(client.completed()) == commits


async def test_semantic_turns_with_an_engine_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No longer than the longest silence is waited for its words; then that holds for the silence."""
    monkeypatch.setitem(MAX_SILENCE_SECONDS, "high", 0.05)
    engine = FakeRecognizer(lambda call: None)
    semantic = replace(options(TurnOptions(TurnMode.SEMANTIC_VAD), engine=engine), eagerness="high")
    async with running(Connection(semantic, [(1.0, 1.0), (0.0, 9.0)])) as client:
        client.session.put(Append(sound(3.0)))
        await client.until(lambda: client.of(BufferCommitted))

        assert len(engine.finals) == 1


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    """The real one."""
    return SileroModel.load()


@pytest.mark.parametrize("size", [100_000_000, 3_201, 50_000])
async def test_real_speech(size: int, silero: SileroModel, samples: dict[str, Sample]) -> None:
    """Through Silero: the same chunks and events, however the client slices, each of them once."""
    engine = FakeRecognizer()
    data = int16(load(samples["en_dialogue"].path)).tobytes()
    async with running(Connection(options(partials=None, engine=engine), [], vad=silero)) as client:
        for at in range(0, len(data), size):
            client.session.put(Append(data[at : at + size]))
        await finished(client)

    spoken = samples["en_dialogue"].utterances
    assert len(client.completed()) == len(engine.finals) == len(spoken)
    check(client.read)


def finals_wait(call: Call) -> Hypothesis | None:
    """The test answers finals; partials are answered at once."""
    return None if call.is_final else by_length(call)
