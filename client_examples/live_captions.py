"""Captions of a recording sent at the pace of speech, through the official client's Realtime connection.

Usage: python live_captions.py [FILE] [BASE_URL]                    needs: pip install 'openai[realtime]' av

Each turn has a line; where its final text is not what was printed, that follows behind an arrow.
"""

import asyncio
import base64
import os
import sys
from pathlib import Path

import av
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

RATE, BLOCK_SECONDS = 24_000, 0.1


async def send(connection: AsyncRealtimeConnection, file: str) -> None:
    """Sends the recording's samples; the last turn is ended by a commit, as no silence follows it."""
    resampler = av.AudioResampler("s16", "mono", RATE, frame_size=int(RATE * BLOCK_SECONDS))
    with av.open(file) as container:
        for decoded in [*container.decode(audio=0), None]:
            for frame in resampler.resample(decoded):
                audio = base64.b64encode(bytes(frame.planes[0])[: 2 * frame.samples]).decode()
                await connection.input_audio_buffer.append(audio=audio)
                await asyncio.sleep(BLOCK_SECONDS)
    await connection.input_audio_buffer.commit()
    await connection.input_audio_buffer.clear()  # answered when all before it was worked on


async def main(file: str, base_url: str) -> None:
    """Prints what is heard, until the last turn has its text."""
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        sending = asyncio.create_task(send(connection, file))
        heard, turns, is_sent = "", 0, False
        async for event in connection:
            match event.type:
                case "conversation.item.input_audio_transcription.delta":
                    heard += event.delta or ""
                    print(event.delta, end="", flush=True)
                case "conversation.item.input_audio_transcription.completed":
                    begins = event.transcript.startswith(heard)
                    print(event.transcript[len(heard) :] if begins else f" -> {event.transcript}")
                    heard = ""
            is_sent |= event.type == "input_audio_buffer.cleared"
            turns += event.type == "input_audio_buffer.committed"
            turns -= event.type.endswith(("transcription.completed", "transcription.failed"))
            if is_sent and not turns:
                break
        await sending


if __name__ == "__main__":
    sample = str(Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac")
    asyncio.run(main(*[*sys.argv[1:], *[sample, "http://127.0.0.1:8000"][len(sys.argv) - 1 :]]))
