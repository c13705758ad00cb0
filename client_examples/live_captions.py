"""Captions while somebody speaks, through the official client's Realtime connection.

Usage: python live_captions.py [FILE] [BASE_URL]                    needs: pip install 'openai[realtime]' av
       arecord -q -t raw -f S16_LE -r 24000 -c 1 | python live_captions.py - [BASE_URL]

A file is sent at the pace of speech; `-` reads samples from standard input (24 kHz, 16 bit, mono), as a
microphone gives them. Words are printed when they are heard, each turn on a line of its own; where the final
text is not what was printed, it follows behind an arrow.
"""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeTranscriptionSessionCreateRequestParam

RATE: Final = 24_000
BLOCK_SECONDS = 0.1
BLOCK_BYTES = int(RATE * BLOCK_SECONDS) * 2
END = "end"
SESSION: RealtimeTranscriptionSessionCreateRequestParam = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": {"model": "gpt-4o-transcribe", "delay": "low"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
        }
    },
}


def samples(file: Path) -> bytes:
    """The recording as a microphone gives it."""
    import av  # noqa: PLC0415 - a microphone needs none

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(file)) as container:
        decoded = [*container.decode(audio=0), None]
    # Not by `to_ndarray`, which needs NumPy.
    parts = (part for frame in decoded for part in resampler.resample(frame))
    return b"".join(bytes(part.planes[0])[: 2 * part.samples] for part in parts)


async def blocks(source: str) -> AsyncIterator[bytes]:
    """A tenth of a second of samples every tenth of a second."""
    if source == "-":
        while block := await asyncio.to_thread(sys.stdin.buffer.read, BLOCK_BYTES):
            yield block
        return
    audio = samples(Path(source))
    clock = asyncio.get_running_loop().time
    began = clock()
    for number, start in enumerate(range(0, len(audio), BLOCK_BYTES)):
        await asyncio.sleep(began + number * BLOCK_SECONDS - clock())
        yield audio[start : start + BLOCK_BYTES]


async def send(connection: AsyncRealtimeConnection, source: str) -> None:
    """Sends the audio; the last turn is ended by a commit, as no silence follows it."""
    async for block in blocks(source):
        await connection.input_audio_buffer.append(audio=base64.b64encode(block).decode())
    await connection.input_audio_buffer.commit()
    # There is nothing left to commit: the refusal says that everything before it was worked on.
    await connection.input_audio_buffer.commit(event_id=END)


async def show(connection: AsyncRealtimeConnection) -> None:
    """Prints what is heard, until the last turn has its text."""
    heard, waiting, ended = "", set[str](), False
    async for event in connection:
        match event.type:
            case "conversation.item.input_audio_transcription.delta":
                heard += event.delta or ""
                print(event.delta, end="", flush=True)
            case "conversation.item.input_audio_transcription.completed":
                if event.transcript or heard:
                    begins = event.transcript.startswith(heard)
                    print(event.transcript[len(heard) :] if begins else f" -> {event.transcript}")
                heard = ""
                waiting.discard(event.item_id)
            case "conversation.item.input_audio_transcription.failed":
                print(f" (failed: {event.error.message})")
                heard = ""
                waiting.discard(event.item_id)
            case "input_audio_buffer.committed":
                waiting.add(event.item_id)
            case "error" if event.error.event_id == END:
                ended = True
            case "error" if event.error.code != "input_audio_buffer_commit_empty":
                raise SystemExit(event.error.message)
        if ended and not waiting:
            return


async def main(source: str, base_url: str) -> None:
    """Sends and prints at the same time."""
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key="not needed")
    async with client.realtime.connect(
        model="gpt-4o-transcribe", extra_query={"intent": "transcription"}
    ) as connection:
        await connection.session.update(session=SESSION)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send(connection, source))
            await show(connection)
            sending.cancel()


if __name__ == "__main__":
    sample = Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac"
    recording = sys.argv[1] if len(sys.argv) > 1 else str(sample)
    server = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
    asyncio.run(main(recording, server))
