"""A paced client, against a scripted server."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from bench.realtime import TRY_AGAIN, converse
from bench.talk import silence

TEXT = "conversation.item.input_audio_transcription."


@asynccontextmanager
async def _serving(handle: Callable[[ServerConnection], Any]) -> AsyncIterator[int]:
    async with serve(handle, "127.0.0.1", 0) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def _tell(socket: ServerConnection, kind: str, **fields: Any) -> None:
    await socket.send(json.dumps({"type": kind, **fields}))


async def test_an_utterance_is_noted() -> None:
    """Its times, what was told before its end and behind, and its final; then the client leaves by itself."""
    heard: list[str] = []

    async def handle(socket: ServerConnection) -> None:
        await _tell(socket, "session.created")
        async for frame in socket:
            heard.append(json.loads(frame)["type"])
            if heard.count("input_audio_buffer.append") == 1 and heard[-1].endswith("append"):
                await _tell(socket, "input_audio_buffer.speech_started", item_id="a", audio_start_ms=10)
                await _tell(socket, f"{TEXT}delta", item_id="a", delta="One")
                await _tell(socket, "input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=90)
                await _tell(socket, "input_audio_buffer.committed", item_id="a")
                await _tell(socket, f"{TEXT}delta", item_id="a", delta=" two")
            if heard[-1].endswith("clear"):
                await _tell(socket, "input_audio_buffer.cleared")
                await _tell(
                    socket, f"{TEXT}completed", item_id="a", transcript="One two", languages=[{"code": "en"}]
                )

    async with _serving(handle) as port:
        session = await converse(port, silence(0.3))

    (item,) = session.items
    assert heard == ["session.update", *["input_audio_buffer.append"] * 3, "input_audio_buffer.clear"]
    assert (item.audio_start, item.audio_end, item.released) == (0.01, 0.09, 1)
    assert item.languages == ("en",)
    assert [text for _, text in item.deltas] == ["One", " two"]
    assert item.completed is not None
    assert 0.1 <= item.deltas[0][0] <= item.completed
    assert item.completed >= 0.3
    assert session.closed is None
    assert not session.broken


async def test_a_refused_client_is_told_apart() -> None:
    """1013 in place of a session is a refusal; afterwards it is a session that broke."""

    async def refuse(socket: ServerConnection) -> None:
        await socket.close(TRY_AGAIN)

    async def break_off(socket: ServerConnection) -> None:
        await _tell(socket, "session.created")
        await _tell(socket, "input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
        await _tell(socket, "input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=9)
        await _tell(socket, "input_audio_buffer.committed", item_id="a")
        await socket.close(TRY_AGAIN)

    async with _serving(refuse) as port:
        refused = await converse(port, silence(0.2))
    async with _serving(break_off) as port:
        broken = await converse(port, silence(0.2))

    assert refused.refused
    assert not refused.broken
    assert broken.broken
    assert not broken.refused
    assert broken.items[0].pending


async def test_a_client_ends_its_turns_itself() -> None:
    """In continuous mode it commits at the end at least, and the item's end is the commit."""

    async def handle(socket: ServerConnection) -> None:
        async for frame in socket:
            match json.loads(frame)["type"]:
                case "input_audio_buffer.commit":
                    await _tell(socket, "input_audio_buffer.committed", item_id="a")
                    await _tell(socket, f"{TEXT}failed", item_id="a", error={})
                case "input_audio_buffer.clear":
                    await _tell(socket, "input_audio_buffer.cleared")

    async with _serving(handle) as port:
        session = await converse(port, silence(0.2), continuous=True)

    (item,) = session.items
    assert item.failed
    assert not item.pending
    assert item.audio_end is not None
    assert 0.2 <= item.audio_end < 1


async def test_what_is_sent_faster_than_it_is_said() -> None:
    """All of it, and nobody waits a minute; and the language may be left to the server."""
    said: list[Any] = []

    async def handle(socket: ServerConnection) -> None:
        async for frame in socket:
            said.append(json.loads(frame))
            if said[-1]["type"].endswith("clear"):
                await _tell(socket, "input_audio_buffer.cleared")

    async with _serving(handle) as port:
        session = await converse(port, silence(60), language=None, pace=1_000)

    kinds = [event["type"] for event in said]
    assert kinds.count("input_audio_buffer.append") == 600
    assert said[0]["session"]["audio"]["input"]["transcription"]["language"] is None
    assert session.closed is None
