"""One session without a network: what is told when, and how it ends, whatever client and server do."""

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from prometheus_client import generate_latest
from starlette.types import Message

from gateway.audio.silero import SileroModel
from gateway.engine.api import Capabilities, Model
from gateway.engine.catalog import Catalog
from gateway.errors import (
    ClientGoneError,
    EngineFailedError,
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ShuttingDownError,
    UnavailableError,
)
from gateway.flow.options import Resources
from gateway.flow.pacing import Load
from gateway.flow.session import REFUSALS_AHEAD
from gateway.flow.speaker_source import SpeakerSource
from gateway.metrics import Metrics
from gateway.protocol.realtime.client_secrets import Claims
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.resume import ResumeSigner
from gateway.server.admission import Admission, KeyAdmission
from gateway.server.live import LARGE_FRAME
from gateway.server.realtime import EPHEMERAL_KEY, SESSION_CLAIMS, Realtime
from gateway.server.relay import Relay
from gateway.server.service import Limits, Service
from gateway.server.websocket import ABNORMAL
from tests.audio.sound import int16, load
from tests.clock import Clock
from tests.fake_recognizer import FakeRecognizer, say
from tests.protocol.realtime.wire import check_frame
from tests.support import Sample, no_speakers

COMPLETED = "conversation.item.input_audio_transcription.completed"
GOING_AWAY = 1001


LIMITS = Limits(
    max_upload_bytes=1,
    max_stream_bytes=1,
    max_audio_seconds=1.0,
    max_waiting_bytes=1 << 20,
    max_waiting_total=1 << 20,
    max_session_seconds=3600.0,
    resume_seconds=60.0,
    upload_timeout=1.0,
    send_timeout=10.0,
)


class Bench:
    """A session's surroundings, and its client.

    Attributes:
        events: What the client was told; each is one of the official package's.
    """

    def __init__(self, vad: SileroModel) -> None:
        self.model = FakeRecognizer(lambda _: say("word"))
        self.metrics = Metrics()
        self.now = 0.0
        self.load = Load(lambda: self.now, self.metrics)
        self.leaving = anyio.Event()
        self.stopping = anyio.Event()
        self.admission = Admission(1)
        self.of_keys = KeyAdmission(1)
        self.relay = Relay(1, self.metrics)
        self.limits = LIMITS
        self.types: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.close: Message | None = None
        self.scope: dict[str, Any] = {}
        self._vad = vad
        self._told = anyio.Event()
        self._send, self._receive = anyio.create_memory_object_stream[Message](100_000)

    def put(self, kind: str, **fields: Any) -> None:
        """The client sends an event."""
        self.put_frame(json.dumps({"type": kind, **fields}))

    def put_frame(self, frame: str | bytes) -> None:
        """The client sends a frame."""
        kind = "text" if isinstance(frame, str) else "bytes"
        self._send.send_nowait({"type": "websocket.receive", kind: frame})

    def say(self, data: bytes) -> None:
        """The client sends 16-bit samples, in pieces of 100 ms at 16 kHz."""
        for start in range(0, len(data), 3_200):
            audio = base64.b64encode(data[start : start + 3_200]).decode()
            self.put("input_audio_buffer.append", audio=audio)

    def leave(self, code: int = GOING_AWAY) -> None:
        """The client leaves."""
        self._send.send_nowait({"type": "websocket.disconnect", "code": code})

    async def take(self, message: Message) -> None:
        """The client reads."""
        self.types.append(message["type"].removeprefix("websocket."))
        if message["type"] == "websocket.send":
            self.events.append(check_frame(message["text"]))
        if message["type"] == "websocket.close":
            self.close = message
        self._told.set()
        self._told = anyio.Event()

    async def until(self, kind: str, count: int = 1) -> None:
        """Waits until so many events of this type were told."""
        while self.kinds().count(kind) < count:
            await self._told.wait()

    def kinds(self) -> list[str]:
        """The types of the events told."""
        return [event["type"] for event in self.events]

    async def serve(self, query: str = "", take: Callable[[Message], Awaitable[None]] | None = None) -> None:
        """The endpoint, at work for this client."""
        models: list[Model] = [self.model]
        service = Service(
            Catalog(models, ["gpt-live-transcribe"]),
            Resources(self._vad, anyio.CapacityLimiter(1), self.metrics),
            self.limits,
            self.load,
            Admission(1),
            self.stopping,
            SpeakerSource(no_speakers, wait=0.0),
        )
        app = Realtime(
            service, self.admission, self.of_keys, self.relay, self.leaving, ResumeSigner([b"secret"])
        )
        scope = {
            "type": "websocket",
            "query_string": query.encode(),
            "headers": [],
            "subprotocols": [],
            **self.scope,
        }
        first: list[Message] = [{"type": "websocket.connect"}]

        async def receive() -> Message:
            await anyio.lowlevel.checkpoint()
            return first.pop() if first else await self._receive.receive()

        with self._send, self._receive:
            await app(scope, receive, take or self.take)


@pytest.fixture(scope="module")
def vad() -> SileroModel:
    """Loaded once."""
    return SileroModel.load()


@pytest.fixture
def bench(vad: SileroModel) -> Bench:
    """Set up anew."""
    return Bench(vad)


@pytest.fixture
def hello(samples: dict[str, Sample]) -> bytes:
    """Speech and a second of silence, at 16 kHz."""
    return int16(load(samples["en_hello"].path)).tobytes() + bytes(32_000)


def at_16_khz(**more: Any) -> dict[str, Any]:
    """Settings for `hello`."""
    return {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}, **more}}}


async def test_a_session(bench: Bench, hello: bytes) -> None:
    """From the first event to the text; a client that leaves is no error to be told."""
    bench.put("session.update", session=at_16_khz())
    bench.say(hello)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, COMPLETED)
        with pytest.raises(ClientGoneError):
            await bench.serve("intent=transcription")

    assert bench.types[0] == "accept"
    assert bench.kinds() == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        COMPLETED,
    ]
    assert bench.events[-1]["transcript"] == "word"
    assert b"gateway_live_sessions 0.0" in generate_latest(bench.metrics.registry)
    assert b"gateway_live_waiting_bytes 0.0" in generate_latest(bench.metrics.registry)


async def _leave_behind(bench: Bench, kind: str, count: int = 1) -> None:
    await bench.until(kind, count)
    bench.leave()


async def test_settings_are_told_in_their_turn(bench: Bench, hello: bytes) -> None:
    """What was committed before an update is told before it, though both are worked on at once."""
    bench.put("session.update", session=at_16_khz(turn_detection=None))
    bench.say(hello)
    bench.put("input_audio_buffer.commit")
    bench.put("session.update", session={})
    bench.put("session.update", session={"include": []})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, "session.updated", 3)
        with pytest.raises(ClientGoneError):
            await bench.serve()

    told = [kind for kind in bench.kinds() if "transcription" not in kind]
    assert told[2:] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "session.updated",
        "session.updated",
    ]


async def test_large_frames_keep_their_turn(bench: Bench) -> None:
    """They are read in a thread; what comes behind them waits."""
    seconds = LARGE_FRAME // 32_000 + 1
    audio = base64.b64encode(bytes(48_000 * seconds)).decode()
    bench.put("session.update", session={"audio": {"input": {"turn_detection": None}}})
    bench.put("input_audio_buffer.append", audio=audio)
    bench.put("input_audio_buffer.commit")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, COMPLETED)
        with pytest.raises(ClientGoneError):
            await bench.serve()

    assert "error" not in bench.kinds()
    assert bench.events[-1]["usage"]["seconds"] == seconds


async def test_events_in_binary_frames(bench: Bench) -> None:
    """The same JSON is the same event."""
    bench.put_frame(b'{"type":"input_audio_buffer.clear"}')
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, "input_audio_buffer.cleared")
        with pytest.raises(ClientGoneError):
            await bench.serve()


async def test_a_failed_item_is_no_error_event(bench: Bench, hello: bytes) -> None:
    """Clients end the session at an `error`; one item without a text is none."""
    bench.model.answer = lambda _: EngineFailedError("It could not be decoded.")
    bench.put("session.update", session=at_16_khz())
    bench.say(hello)
    failed = "conversation.item.input_audio_transcription.failed"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, failed)
        with pytest.raises(ClientGoneError):
            await bench.serve()

    assert bench.events[-1]["error"]["message"] == "It could not be decoded."
    assert "error" not in bench.kinds()


async def test_overload_refuses_newcomers(bench: Bench) -> None:
    """While finals take too long nobody is let in; nothing is sent here, and the place is free again."""
    with bench.load.final(counts=True):
        bench.now = 100.0
        with pytest.raises(OverloadedError):
            await bench.serve()
    with bench.admission.place():
        pass

    assert bench.types == []


async def test_an_ephemeral_key_opens_few_sessions(bench: Bench) -> None:
    """One too many is told why."""
    bench.scope[EPHEMERAL_KEY] = "ek_1"
    with bench.of_keys.place("ek_1"), pytest.raises(OverloadedError, match="ephemeral key may have 1"):
        await bench.serve()


async def test_other_keys_have_places_of_their_own(bench: Bench) -> None:
    """So have sessions without one; a place comes free."""
    bench.scope[EPHEMERAL_KEY] = "ek_1"
    bench.leave()
    with bench.of_keys.place("ek_2"), bench.of_keys.place(None), pytest.raises(ClientGoneError):
        await bench.serve()
    with bench.of_keys.place("ek_1"):
        pass

    assert bench.types[0] == "accept"


async def test_no_place(bench: Bench) -> None:
    """One session too many."""
    with bench.admission.place(), pytest.raises(OverloadedError):
        await bench.serve()

    assert bench.types == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("intent=conversation", InvalidRequestError),
        ("model=nope", ModelNotFoundError),
        ("intent=transcription&model=nope", ModelNotFoundError),
    ],
)
async def test_refusals_before_the_handshake(bench: Bench, query: str, error: type[GatewayError]) -> None:
    """What is said about them is said in one place, for all WebSockets."""
    with pytest.raises(error):
        await bench.serve(query)

    assert bench.types == []


async def test_the_settings_of_an_ephemeral_key(bench: Bench) -> None:
    """They hold, whatever model the URL names besides."""
    config = SessionConfig.default("fake").updated({"audio": {"input": {
        "turn_detection": None, "transcription": {"prompt": "of the key"}
    }}})  # fmt: skip
    bench.scope[SESSION_CLAIMS] = Claims(expires_at=0, session=config)
    bench.model.capabilities = Capabilities(frozenset({"en"}), prompt=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, "session.created")
        with pytest.raises(ClientGoneError):
            await bench.serve("model=gpt-live-transcribe")
    given = bench.events[0]["session"]["audio"]["input"]

    assert (given["turn_detection"], given["transcription"]["model"]) == (None, "fake")
    assert given["transcription"]["prompt"] == "of the key"


@pytest.mark.parametrize("query", ["model=gpt-realtime", "model=gpt-4o-realtime-preview-2024-12-17"])
async def test_a_session_for_conversations(bench: Bench, hello: bytes, query: str) -> None:
    """Listens with the first model, and never answers."""
    given = at_16_khz(transcription={"model": "fake"}, turn_detection={"create_response": True})
    bench.put("session.update", session={"type": "realtime", "instructions": "Sing.", **given})
    bench.say(hello)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, COMPLETED)
        with pytest.raises(ClientGoneError):
            await bench.serve(query)

    assert "error" not in bench.kinds()


async def test_an_update_in_the_words_of_the_beta(bench: Bench) -> None:
    """It is followed and acknowledged under its own name; one with a typo is refused, and changes nothing."""
    told: list[dict[str, Any]] = []

    async def take(message: Message) -> None:
        if message["type"] == "websocket.send":
            told.append(json.loads(message["text"]))
        if len(told) == 3:
            bench.leave()

    session = {"input_audio_format": "g711_alaw", "turn_detection": None}
    bench.put("transcription_session.update", event_id="a", session={**session, "turn_detektion": None})
    bench.put("transcription_session.update", event_id="b", session=session)
    bench.scope = {"headers": [(b"openai-beta", b"realtime=v1")]}
    with pytest.raises(ClientGoneError):
        await bench.serve(take=take)
    created, refused, updated = told

    assert created["type"] == "transcription_session.created"
    assert (refused["type"], refused["error"]["event_id"]) == ("error", "a")
    assert (refused["error"]["code"], refused["error"]["param"]) == (
        "unknown_parameter",
        "session.turn_detektion",
    )
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_format"] == "g711_alaw"
    assert updated["session"]["turn_detection"] is None


async def test_what_the_model_cannot_do_is_told_of_the_field_that_was_written(bench: Bench) -> None:
    """The beta's flat one, too, though what the model knows is looked up behind the settings' own checks."""
    params: list[str | None] = []

    async def take(message: Message) -> None:
        if message["type"] == "websocket.send" and (event := json.loads(message["text"]))["type"] == "error":
            params.append(event["error"]["param"])
        if len(params) == 3:
            bench.leave()

    for transcription in ({"model": "nope"}, {"language": "klingon"}):
        session = {"input_audio_transcription": transcription}
        bench.put("transcription_session.update", session=session)
    bench.put("session.update", session={"audio": {"input": {"transcription": {"model": "nope"}}}})
    with pytest.raises(ClientGoneError):
        await bench.serve(take=take)

    assert params == [
        "session.input_audio_transcription.model",
        "session.input_audio_transcription.language",
        "session.audio.input.transcription.model",
    ]


async def test_a_model_that_cannot_be_loaded(bench: Bench) -> None:
    """Ends the session, with what the model's room says; clients come back later."""
    bench.model.loading = UnavailableError("It is being loaded.")
    with pytest.raises(UnavailableError):
        await bench.serve()

    assert "close" not in bench.types


async def test_the_longest_session(bench: Bench, hello: bytes, clock: Clock) -> None:
    """What was said is emitted first, however long the engine takes; then it closes."""
    bench.model.hold()
    bench.put("session.update", session=at_16_khz(turn_detection=None))
    bench.say(hello)
    bench.put("session.update", session={})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.serve)
        await bench.until("session.updated", 2)
        clock.advance(LIMITS.max_session_seconds)
        await bench.model.until(1)
        bench.model.release()

    assert bench.kinds()[-2:] == [COMPLETED, "error"]
    assert bench.events[-1]["error"]["code"] == "session_expired"
    assert bench.close is not None
    assert bench.close["code"] == 1000


async def test_the_end_of_the_server(bench: Bench, hello: bytes) -> None:
    """What was heard is told; what is said from then on is not, or the end would never come."""
    bench.model.hold()
    bench.put("session.update", session=at_16_khz(turn_detection=None))
    bench.say(hello)

    async def serve() -> None:
        with pytest.raises(ShuttingDownError):
            await bench.serve()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await bench.until("session.updated")
        await anyio.wait_all_tasks_blocked()
        bench.leaving.set()
        await bench.model.until(1)
        bench.say(hello)
        bench.put("input_audio_buffer.commit")
        await anyio.wait_all_tasks_blocked()
        bench.model.release()

    assert bench.kinds().count(COMPLETED) == 1
    assert bench.kinds()[-1] == COMPLETED


async def test_the_end_of_the_grace(bench: Bench, hello: bytes) -> None:
    """Who takes longer than the server has time is left, at once."""
    bench.model.hold()
    bench.put("session.update", session=at_16_khz())
    bench.say(hello)

    async def serve() -> None:
        with pytest.raises(ShuttingDownError):
            await bench.serve()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await bench.model.until(1)
        bench.leaving.set()
        await anyio.wait_all_tasks_blocked()
        bench.stopping.set()

    assert COMPLETED not in bench.kinds()


async def test_a_client_that_reads_nothing(bench: Bench, clock: Clock) -> None:
    """Is left after a while, however little there is to tell."""
    taking = anyio.Event()

    async def take(message: Message) -> None:
        if message["type"] == "websocket.send":
            taking.set()
            await anyio.sleep_forever()

    async def serve() -> None:
        with pytest.raises(OverloadedError):
            await bench.serve(take=take)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await taking.wait()
        clock.advance(bench.limits.send_timeout)


async def test_a_client_that_makes_mistakes_and_reads_nothing(bench: Bench) -> None:
    """Its answers do not pile up, however long it may stop reading."""
    bench.limits = replace(LIMITS, send_timeout=1_000.0)
    for _ in range(REFUSALS_AHEAD + 100):
        bench.put_frame("?")

    async def take(message: Message) -> None:
        if message["type"] == "websocket.send":
            await anyio.sleep_forever()

    with pytest.raises(OverloadedError):
        await bench.serve(take=take)


async def test_too_much_audio(bench: Bench) -> None:
    """More than may wait is an error, as it must all be received."""
    bench.limits = replace(LIMITS, max_waiting_bytes=10_000)
    bench.say(bytes(20_000))
    with pytest.raises(OverloadedError):
        await bench.serve()


async def test_a_connection_that_breaks_while_a_frame_is_sent(bench: Bench) -> None:
    """Who reads from it and who writes to it find out at once: the client may come back all the same."""
    breaks = anyio.Event()

    async def take(message: Message) -> None:
        if len(bench.events) == 1:
            await breaks.wait()
            raise ClientGoneError
        await bench.take(message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.serve, "", take)
        await bench.until("session.created")
        bench.put("session.update", session={})
        await anyio.wait_all_tasks_blocked()
        bench.leave(ABNORMAL)
        breaks.set()
        await anyio.wait_all_tasks_blocked()

        assert b"gateway_live_sessions 1.0" in generate_latest(bench.metrics.registry)
        tasks.cancel_scope.cancel()


async def test_cancelling_ends_it(bench: Bench, hello: bytes) -> None:
    """In mid-decode: nothing hangs, no place is kept."""
    bench.model.hold()
    bench.put("session.update", session=at_16_khz())
    bench.say(hello)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.serve)
        await bench.model.until(1)
        tasks.cancel_scope.cancel()
    with bench.admission.place():
        pass

    assert bench.close is None


async def test_a_pinned_key_keeps_its_settings(bench: Bench) -> None:
    """An update that changes nothing is fine, another one is an error, and the session goes on."""
    config = SessionConfig.default("fake")
    bench.scope[SESSION_CLAIMS] = Claims(expires_at=0, session=config, pinned=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_behind, bench, "error")
        bench.put("session.update", session={"type": "transcription"})
        bench.put(
            "session.update", session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        )
        with pytest.raises(ClientGoneError):
            await bench.serve()
    error = bench.events[-1]["error"]

    assert "session.updated" in bench.kinds()
    assert (error["code"], error["param"]) == ("session_pinned", "session")
