"""Streams a recording through the WebSocket and prints the words as they come, while it is still sending.

Usage: python websocket_file.py [FILE] [BASE_URL] [--live]        needs: pip install websockets (--live: av)
       --live: as bare 16-bit samples at the pace of speech; else as it is, as fast as it is taken
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

RATE, FRAME_SECONDS = 16_000, 0.1


def pieces(file: str, *, live: bool) -> Iterator[bytes]:
    """The file's bytes, or its samples as a microphone gives them."""
    if not live:
        with Path(file).open("rb") as data:
            yield from iter(lambda: data.read(32_768), b"")
        return
    import av  # noqa: PLC0415 - only this way of sending needs it

    resampler = av.AudioResampler("s16", "mono", RATE, frame_size=int(RATE * FRAME_SECONDS))
    with av.open(file) as container:
        for decoded in [*container.decode(audio=0), None]:
            yield from (bytes(each.planes[0])[: 2 * each.samples] for each in resampler.resample(decoded))


async def send(socket: ClientConnection, file: str, *, live: bool) -> None:
    """Sends the audio, then says that this was all."""
    for piece in pieces(file, live=live):
        await socket.send(piece)
        await asyncio.sleep(FRAME_SECONDS if live else 0)
    await socket.send(json.dumps({"type": "input_audio.end"}))


async def main(file: str, base_url: str, *, live: bool) -> None:
    """Sends and prints at the same time."""
    query = urlencode({"model": "whisper-1"} | ({"format": "pcm16", "sample_rate": RATE} if live else {}))
    key = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'unused')}"}
    address = f"{base_url.replace('http', 'ws', 1)}/v1/audio/transcriptions?{query}"
    async with connect(address, additional_headers=key) as socket, asyncio.TaskGroup() as tasks:
        tasks.create_task(send(socket, file, live=live))
        while (message := await socket.recv()) != "[DONE]":
            event = json.loads(message)
            if "error" in event:
                raise SystemExit(event["error"]["message"])
            print(event["delta"] if event["type"] == "transcript.text.delta" else "\n", end="", flush=True)


if __name__ == "__main__":
    defaults = [str(Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac"), "http://127.0.0.1:8000"]
    words = [word for word in sys.argv[1:] if word != "--live"]
    asyncio.run(main(*words, *defaults[len(words) :], live="--live" in sys.argv))
