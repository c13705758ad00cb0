"""Speaks a recording into a live session that survives its network: what drops goes on where it was."""
# Usage: python resume_captions.py [RAW_PCM_24_KHZ] [BASE_URL]        needs: pip install websockets

import asyncio
import base64
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

BYTES_PER_MS, FRAME_BYTES = 48, 4800


async def speak(socket: ClientConnection, audio: bytes, start_ms: int) -> None:
    """Sends the rest of the audio at the pace of speech."""
    with suppress(WebSocketException):  # the next connection goes on
        for at in range(start_ms * BYTES_PER_MS, len(audio), FRAME_BYTES):
            frame = base64.b64encode(audio[at : at + FRAME_BYTES]).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": frame}))
            await asyncio.sleep(FRAME_BYTES / BYTES_PER_MS / 1000)
        await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))


async def main(audio: bytes, base_url: str) -> None:
    """Opens a session, again whenever it drops, until all is told."""
    key = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'unused')}"}
    query, waiting, is_last = {"intent": "transcription"}, 0, False
    while True:
        with suppress(OSError, WebSocketException):
            url = f"{base_url.replace('http', 'ws', 1)}/realtime?{urlencode(query)}"
            async with connect(url, additional_headers=key) as socket:
                async for frame in socket:
                    event = json.loads(frame)
                    query["after"] = event.get("event_id", "")
                    if event["type"] == "session.created":
                        query["resume"] = event["resume"]["token"]
                        waiting *= event["resume"]["state"] == "kept"  # or those are told anew
                        speaking = asyncio.create_task(speak(socket, audio, event["resume"]["audio_ms"]))
                    elif event["type"].endswith("transcription.completed"):
                        if not event.get("interrupted"):  # by the server's end: it is told again, whole
                            print(event["transcript"], flush=True)
                        waiting -= 1
                    elif event["type"] == "input_audio_buffer.committed":
                        waiting, is_last = waiting + 1, speaking.done()
                    is_last |= event["type"] == "error"  # nothing was left to commit
                    if is_last and not waiting:
                        return
        await asyncio.sleep(1)


if __name__ == "__main__":
    name, url = [*sys.argv[1:], *["speech.pcm", "http://127.0.0.1:8000/v1"][len(sys.argv) - 1 :]]
    asyncio.run(main(Path(name).read_bytes(), url))
