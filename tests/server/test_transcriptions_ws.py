"""One receives, one sends, and neither waits for the other; a client that reads nothing is let go."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from starlette.types import Message

from gateway.audio.silero import SileroModel
from gateway.engine.api import Model
from gateway.engine.catalog import Catalog
from gateway.errors import (
    ClientGoneError,
    ModelNotFoundError,
    OverloadedError,
    UnavailableError,
    UploadTimeoutError,
)
from gateway.flow.options import Resources
from gateway.flow.pacing import Load
from gateway.flow.speaker_source import SpeakerSource
from gateway.metrics import Metrics
from gateway.server.admission import Admission
from gateway.server.service import Limits, Service
from gateway.server.transcriptions_ws import TranscriptionsWs
from tests.audio.sound import int16, load
from tests.fake_recognizer import FakeRecognizer, say
from tests.support import Sample, no_speakers

FRAME = 32_000
END = {"type": "websocket.receive", "text": '{"type":"input_audio.end"}'}


class Client:
    """Sends its frames, then is silent, which `silent` tells; what it is sent goes to ``take``."""

    def __init__(self, frames: list[Message], take: Callable[[Message], Awaitable[None]]) -> None:
        self.messages: list[Message] = [{"type": "websocket.connect"}, *frames]
        self.send = take
        self.silent = anyio.Event()

    async def receive(self) -> Message:
        """The next frame."""
        if not self.messages:
            self.silent.set()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return self.messages.pop(0)


@pytest.fixture(scope="module")
def vad() -> SileroModel:
    """Loaded once."""
    return SileroModel.load()


@pytest.fixture
def frames(samples: dict[str, Sample]) -> list[Message]:
    """75 s of samples, a second in each frame, without the end."""
    pcm = int16(load(samples["en_long"].path)).tobytes()
    return [
        {"type": "websocket.receive", "bytes": pcm[start : start + FRAME]}
        for start in range(0, len(pcm), FRAME)
    ]


async def serve(
    client: Client,
    vad: SileroModel,
    *,
    model: str = "fake",
    loading: UnavailableError | None = None,
    send_timeout: float = 1_000,
    upload_timeout: float = 1_000,
) -> None:
    """The endpoint, at work for this client."""
    limits = Limits(
        max_upload_bytes=1,
        max_stream_bytes=1 << 20,
        max_audio_seconds=100.0,
        max_waiting_bytes=1,
        max_waiting_total=1,
        max_session_seconds=1.0,
        resume_seconds=60.0,
        upload_timeout=upload_timeout,
        send_timeout=send_timeout,
    )
    recognizer = FakeRecognizer(lambda _: say("word"))
    recognizer.loading = loading
    models: list[Model] = [recognizer]
    service = Service(
        Catalog(models),
        Resources(vad, anyio.CapacityLimiter(1), Metrics()),
        limits,
        Load(anyio.current_time, Metrics()),
        Admission(1),
        anyio.Event(),
        SpeakerSource(no_speakers, wait=0.0),
    )
    scope = {
        "type": "websocket",
        "query_string": f"model={model}&format=pcm16&sample_rate=16000".encode(),
        "headers": [],
        "subprotocols": [],
    }
    await TranscriptionsWs(service)(scope, client.receive, client.send)


async def test_the_handshake_does_not_wait_for_a_model(vad: SileroModel) -> None:
    """It may be loaded for longer than clients wait for one."""
    sent: list[Message] = []

    async def take(message: Message) -> None:
        sent.append(message)

    with pytest.raises(UnavailableError):
        await serve(Client([], take), vad, loading=UnavailableError("It is being loaded."))

    assert [message["type"] for message in sent] == ["websocket.accept"]


async def test_a_session(vad: SileroModel, frames: list[Message]) -> None:
    """Accepted, words, the whole, the end, and closed: in this order."""
    sent: list[Message] = []

    async def take(message: Message) -> None:
        sent.append(message)

    await serve(Client([*frames, END], take), vad)
    accept, *texts, close = sent

    assert accept["type"] == "websocket.accept"
    assert all('"transcript.text.delta"' in message["text"] for message in texts[:-2])
    assert '"transcript.text.done"' in texts[-2]["text"]
    assert texts[-1]["text"] == "[DONE]"
    assert close["type"] == "websocket.close"


async def read_nothing(message: Message) -> None:
    """Takes no event."""
    if message["type"] == "websocket.send":
        await anyio.sleep_forever()


async def test_a_client_that_reads_nothing_is_received(vad: SileroModel, frames: list[Message]) -> None:
    """All its frames are taken, though it takes none."""
    client = Client(frames, read_nothing)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, client, vad)
        await client.silent.wait()
        tasks.cancel_scope.cancel()

    assert not client.messages


async def test_a_client_that_reads_nothing_is_left(vad: SileroModel, frames: list[Message]) -> None:
    """After a while it is told to come back later."""
    with pytest.raises(OverloadedError):
        await serve(Client(frames, read_nothing), vad, send_timeout=0.01)


@pytest.mark.parametrize("count", [0, 20])
async def test_a_silent_client(vad: SileroModel, frames: list[Message], count: int) -> None:
    """Nothing for too long, from the start or in mid-stream, is an error and no endless wait."""

    async def take(message: Message) -> None:
        pass

    with pytest.raises(UploadTimeoutError):
        await serve(Client(frames[:count], take), vad, upload_timeout=0.2)


@pytest.mark.parametrize("ended", [False, True])
async def test_a_client_that_leaves(vad: SileroModel, frames: list[Message], *, ended: bool) -> None:
    """Ends the session, before its end or behind it."""
    gone: Message = {"type": "websocket.disconnect", "code": 1001}

    with pytest.raises(ClientGoneError):
        await serve(Client([*frames, *([END] if ended else []), gone], read_nothing), vad)


async def test_a_refusal_before_the_handshake_sends_nothing(vad: SileroModel) -> None:
    """What is said about it is said in one place, for all WebSockets."""
    sent: list[Message] = []

    async def take(message: Message) -> None:
        sent.append(message)

    with pytest.raises(ModelNotFoundError):
        await serve(Client([], take), vad, model="nope")

    assert sent == []


async def test_cancelling_ends_it(vad: SileroModel, frames: list[Message]) -> None:
    """The server may cancel a session while its decoder waits for more: nothing hangs."""
    words = anyio.Event()

    async def take(message: Message) -> None:
        if message["type"] == "websocket.send":
            words.set()

    async def session() -> None:
        await serve(Client(frames, take), vad)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session)
        await words.wait()
        tasks.cancel_scope.cancel()

    assert tasks.cancel_scope.cancelled_caught
