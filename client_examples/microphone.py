"""Captions of this machine's microphone, through the official client's Realtime connection; Enter ends them.

Usage: python microphone.py [BASE_URL]                 needs: pip install 'openai[realtime]' sounddevice
"""

import asyncio
import base64
import os
import sys

import sounddevice
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

SOUND = {"samplerate": 24_000, "blocksize": 2_400, "channels": 1, "dtype": "int16"}


async def send(connection: AsyncRealtimeConnection) -> None:
    """Sends what the microphone hears until Enter is pressed; the last turn is ended by a commit."""
    loop, blocks = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()

    def hear(samples: memoryview, *_: object) -> None:  # in a thread of PortAudio's, which must never wait
        loop.call_soon_threadsafe(blocks.put_nowait, bytes(samples))

    def stop() -> None:
        sys.stdin.readline()
        microphone.stop()
        loop.call_soon_threadsafe(blocks.put_nowait, None)

    with sounddevice.RawInputStream(**SOUND, callback=hear) as microphone:
        loop.run_in_executor(None, stop)
        while block := await blocks.get():
            await connection.input_audio_buffer.append(audio=base64.b64encode(block).decode())
    await connection.input_audio_buffer.commit()
    await connection.input_audio_buffer.clear()  # answered when all before it was worked on


async def main(base_url: str = "http://127.0.0.1:8000") -> None:
    """Prints each word once it is settled, each turn on a line."""
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        sending = asyncio.create_task(send(connection))
        heard, turns, is_sent = "", 0, False
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.delta":
                heard += event.delta or ""
                print(event.delta, end="", flush=True)
            elif event.type == "conversation.item.input_audio_transcription.completed":
                text, told, heard = event.transcript, heard, ""
                print(text[len(told) :] if text.startswith(told) else f" -> {text}", flush=True)
            turns += event.type == "input_audio_buffer.committed"
            turns -= event.type.endswith(("transcription.completed", "transcription.failed"))
            if (is_sent := is_sent or event.type == "input_audio_buffer.cleared") and not turns:
                break
        await sending


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
