"""Live sessions that drop are taken up again: the client gets what it would have got, each event once."""

import base64
import inspect
import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime import AsyncRealtime
from openai.types.realtime import ConversationItemInputAudioTranscriptionCompletedEvent
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from gateway.engine.whisper.engine import WhisperSpec
from tests.e2e.resuming import BYTES_PER_MS, FRAME_BYTES, Client
from tests.e2e.speaker import COMPLETED, STARTED, WAIT_SECONDS, speech
from tests.support import LiveServer, Sample, live_server, until

COME_AT_ONCE = 8
"""Connections for one session."""


def _audio(samples: dict[str, Sample], *names: str) -> bytes:
    return b"".join(speech(samples[name].path) for name in names)


def _undisturbed(server: LiveServer, audio: bytes) -> Client:
    client = Client(server, audio)
    client.finish()
    return client


@pytest.mark.timeout(300)
@pytest.mark.promise("50 drops of a live session at random points: the same transcript, each event once")
def test_fifty_drops_cost_nothing(live: LiveServer, samples: dict[str, Sample]) -> None:
    """At random points: the same items, at the same times, with the same texts, and each event once."""
    audio = _audio(samples, "en_long", "en_hello", "en_dialogue")
    calm = _undisturbed(live, audio)
    client = Client(live, audio)
    dice = random.Random(0)
    per_drop = len(audio) // FRAME_BYTES // 50
    for _ in range(50):
        client.say(dice.randint(1, per_drop))
        for _ in range(dice.randint(0, 6)):
            client.read(dice.choice([0.0, 0.02]))
        client.drop()
        client.connect()
    client.finish()
    ids = [event["event_id"] for event in client.events]
    numbers = [int(each.removeprefix("event_")[8:14], 16) for each in ids]

    assert client.states == ["new", *["kept"] * 50]
    assert client.told() == calm.told()
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(ids)) == len(ids)


def test_what_was_missed_is_told_in_order(live: LiveServer, samples: dict[str, Sample]) -> None:
    """A client that read nothing before it dropped gets all of it afterwards."""
    audio = _audio(samples, "en_hello")
    calm = _undisturbed(live, audio)
    client = Client(live, audio)
    client.say(len(audio))
    client.drop()
    client.connect()
    client.finish()

    assert client.told() == calm.told()
    assert list(client.deltas().values()) == list(calm.deltas().values())


@pytest.mark.promise("another replica with the same secret goes on with a session that dropped")
def test_another_replica_goes_on(
    live: LiveServer, quick_whisper: WhisperSpec, samples: dict[str, Sample]
) -> None:
    """It has the secret, and no more: it says from where it wants the audio; items told once stay told."""
    audio = _audio(samples, "en_hello", "en_hello", "en_hello")
    calm = _undisturbed(live, audio)
    with live_server([quick_whisper], session_secret="the same") as first:
        client = Client(first, audio)
        client.say(len(audio) // FRAME_BYTES // 2)
        client.until_items(1)
        client.drop()
        told = len(client.texts)
        with live_server([quick_whisper], session_secret="the same") as second:
            client.connect(second)
            began = client._sent
            client.finish()
    items = [event["item_id"] for event in client.of(COMPLETED)]

    assert client.states == ["new", "restarted"]
    assert 0 < told < len(calm.texts)
    assert 0 < began < len(audio)
    assert client.texts == calm.texts
    assert len(set(items)) == len(items)


@pytest.mark.promise("a rolling restart loses no word of a live session")
def test_a_drained_server_loses_nothing(
    quick_whisper: WhisperSpec, live: LiveServer, samples: dict[str, Sample]
) -> None:
    """A rolling restart: the old server tells what it heard, the new one goes on behind it."""
    audio = _audio(samples, "en_hello", "en_hello")
    calm = _undisturbed(live, audio)
    with live_server([quick_whisper], session_secret="the same") as first:
        client = Client(first, audio)
        client.say(len(audio) // FRAME_BYTES // 2)
        client.until_items(1)
        first.loop.call_soon_threadsafe(first.gateway.leave)
        while client.read(WAIT_SECONDS):
            pass
    with live_server([quick_whisper], session_secret="the same") as second:
        client.connect(second)
        client.finish()

    assert client.texts == calm.texts


@pytest.mark.parametrize("word", [2, 4, 7])
@pytest.mark.promise("a restart that cuts a word in two loses neither half of it, nor tells a word twice")
def test_a_word_that_a_restart_cuts(
    quick_whisper: WhisperSpec, live: LiveServer, samples: dict[str, Sample], word: int
) -> None:
    """The old server tells what it heard, for those who do not come back; who does is told the item whole."""
    audio = _audio(samples, "en_hello", "en_command_44k_stereo", "en_hello")
    calm = _undisturbed(live, audio)
    before = len(_audio(samples, "en_hello"))
    cut = samples["en_command_44k_stereo"].utterances[0]["words"][word]
    middle = before + round((cut["start"] + cut["end"]) / 2 * 1000) * BYTES_PER_MS
    with live_server([quick_whisper], session_secret="the same") as first:
        client = Client(first, audio)
        client.say(middle // FRAME_BYTES)
        while len(client.of(STARTED)) < 2 or len(client.texts) < 1:
            assert client.read(WAIT_SECONDS)
        first.loop.call_soon_threadsafe(first.gateway.leave)
        while client.read(WAIT_SECONDS):
            pass
    at_the_end = client.of(COMPLETED)[-1]
    with live_server([quick_whisper], session_secret="the same") as second:
        client.connect(second)
        began = client._sent
        client.finish()

    assert at_the_end["interrupted"] is True
    assert len(at_the_end["transcript"].split()) < len(calm.texts[1].split())
    assert began <= before
    assert len(client.items) == len(calm.items) == 3
    assert client.texts == calm.texts


@pytest.mark.promise("a session is taken up with its own key alone")
def test_who_may_not_come_back(live: LiveServer, samples: dict[str, Sample]) -> None:
    """With a forged token, or one of another key: an error that names it, and the close code of a refusal."""
    client = Client(live, b"", key="one")
    token = client._resume["token"]
    client.drop()
    answers = []
    for key, given in [("two", token), ("one", f"{token}x"), ("one", "nonsense")]:
        with connect(
            f"{live.url.replace('http', 'ws', 1)}/v1/realtime?{urlencode({'resume': given})}",
            additional_headers={"Authorization": f"Bearer {key}"},
        ) as socket_:
            answers.append(json.loads(socket_.recv(WAIT_SECONDS))["error"])
            with pytest.raises(ConnectionClosed) as closed:
                socket_.recv(WAIT_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    assert {(answer["param"], answer["code"]) for answer in answers} == {("resume", "invalid_resume_token")}


def test_several_who_come_back_at_once(live: LiveServer) -> None:
    """As two tabs, or a client that loses patience: each is answered, and one of them has the session."""
    client = Client(live, b"")
    query = {"resume": client._resume["token"], "after": str(client._last_event)}
    client.drop()

    def come_back(_: int) -> Connection:
        return connect(
            f"{live.url.replace('http', 'ws', 1)}/v1/realtime?{urlencode(query)}",
            additional_headers={"Authorization": "Bearer unused"},
        )

    def hears(socket_: Connection) -> list[str]:
        with suppress(ConnectionClosed):
            socket_.send(json.dumps({"type": "input_audio_buffer.clear"}))
        told: list[str] = []
        with suppress(ConnectionClosed):
            while "input_audio_buffer.cleared" not in told:
                told.append(json.loads(socket_.recv(WAIT_SECONDS))["type"])
        return told

    with ThreadPoolExecutor(COME_AT_ONCE) as threads:
        sockets = list(threads.map(come_back, range(COME_AT_ONCE)))
    answers = [hears(socket_) for socket_ in sockets]
    for socket_ in sockets:
        socket_.close()

    assert sorted(answers) == [["session.created"]] * (COME_AT_ONCE - 1) + [
        ["session.created", "input_audio_buffer.cleared"]
    ]


def test_goodbye_ends_the_session(live: LiveServer) -> None:
    """Nothing waits for a client that closed as clients do; one that dropped is waited for."""
    client = Client(live, b"")
    before = live.metric("gateway_live_sessions")
    client.socket.close()
    until(lambda: live.metric("gateway_live_sessions") == before - 1)
    dropped = Client(live, b"")
    dropped.drop()
    dropped.connect()
    states = dropped.states
    dropped.socket.close()
    until(lambda: live.metric("gateway_live_sessions") == before - 1)

    assert states == ["new", "kept"]


@pytest.mark.skipif(
    "on_reconnecting" not in inspect.signature(AsyncRealtime.connect).parameters,
    reason="this version of the openai package does not reconnect",
)
async def test_the_official_client_comes_back(live: LiveServer, samples: dict[str, Sample]) -> None:
    """By its own hook: it reconnects with the token and the last event's id, and goes on."""
    audio = _audio(samples, "en_hello")
    calm = _undisturbed(live, audio)
    at: dict[str, Any] = {}

    def come_back(event: Any) -> Any:
        return {"extra_query": {**event.extra_query, "resume": at["token"], "after": at["after"]}}

    states, texts = [], []
    async with (
        AsyncOpenAI(base_url=f"{live.url}/v1", api_key="unused") as client,
        client.realtime.connect(
            model="whisper-1", extra_query={"intent": "transcription"}, on_reconnecting=come_back
        ) as session,
    ):
        async for event in session:
            at["after"] = event.to_dict()["event_id"]
            if event.type == "session.created":
                resume = (event.model_extra or {})["resume"]
                at["token"] = resume["token"]
                states.append(resume["state"])
                rest = audio[resume["audio_ms"] * BYTES_PER_MS :]
                rest = rest[: len(audio) // 2] if len(states) == 1 else rest
                for start in range(0, len(rest), FRAME_BYTES):
                    data = base64.b64encode(rest[start : start + FRAME_BYTES]).decode()
                    await session.input_audio_buffer.append(audio=data)
                if len(states) == 1:
                    session._connection.transport.abort()
            elif isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent):
                texts.append(event.transcript)
                if len(texts) == len(calm.texts):
                    break

    assert states == ["new", "kept"]
    assert texts == calm.texts
