"""Live captions as a WebVTT file that grows while somebody speaks: one cue for each turn, with its times.

Usage: arecord -q -t raw -f S16_LE -r 24000 -c 1 | python captions_to_vtt.py captions.vtt [BASE_URL]
       ffmpeg -v error -re -i talk.mp4 -f s16le -ar 24000 -ac 1 - | python captions_to_vtt.py captions.vtt
                                                                   needs: pip install 'openai[realtime]'
"""

import asyncio
import base64
import os
import sys
import textwrap
from pathlib import Path

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection


def stamp(milliseconds: int) -> str:
    """As WebVTT writes times."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest / 1000:06.3f}"


async def send(connection: AsyncRealtimeConnection) -> None:
    """Sends standard input; the last turn is ended by a commit, as no silence follows it."""
    while block := await asyncio.to_thread(sys.stdin.buffer.read, 4800):
        await connection.input_audio_buffer.append(audio=base64.b64encode(block).decode())
    await connection.input_audio_buffer.commit()
    await connection.input_audio_buffer.clear()  # answered when all before it was worked on


async def main(file: str, base_url: str = "http://127.0.0.1:8000") -> None:
    """Writes a cue when its turn has its text."""
    begins, ends, is_sent = dict[str, int](), dict[str, int](), False
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    with Path(file).open("w", encoding="utf-8") as vtt:  # noqa: ASYNC230 - some lines a minute
        print("WEBVTT", file=vtt, flush=True)
        async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            sending = asyncio.create_task(send(connection))
            async for event in connection:
                if event.type == "input_audio_buffer.speech_started":
                    begins[event.item_id] = event.audio_start_ms
                elif event.type == "input_audio_buffer.speech_stopped":
                    ends[event.item_id] = event.audio_end_ms
                elif event.type == "conversation.item.input_audio_transcription.completed":
                    if event.item_id in begins:  # silence that was committed never began
                        times = f"{stamp(begins.pop(event.item_id))} --> {stamp(ends.pop(event.item_id))}"
                        lines = textwrap.fill(event.transcript.replace("-->", "→"), 42)
                        print(f"\n{times}\n{lines or '…'}", file=vtt, flush=True)
                elif event.type == "conversation.item.input_audio_transcription.failed":
                    begins.pop(event.item_id, None)
                if (is_sent := is_sent or event.type == "input_audio_buffer.cleared") and not begins:
                    break
            await sending


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
