"""Streams a recording through the WebSocket and prints the words as they come, while it is still sending.

Usage: python websocket_file.py [FILE] [BASE_URL] [--live]        needs: pip install websockets (--live: av)

With --live the recording is sent as bare 16-bit samples at the pace of speech, as a microphone would be;
otherwise the file goes as it is, as fast as the connection takes it.
"""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

RATE = 16_000
FRAME_SECONDS = 0.1


def samples(file: Path) -> bytes:
    """The recording as a microphone gives it."""
    import av  # noqa: PLC0415 - only this way of sending needs it

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(file)) as container:
        decoded = [*container.decode(audio=0), None]
    # Not by `to_ndarray`, which needs NumPy.
    parts = (part for frame in decoded for part in resampler.resample(frame))
    return b"".join(bytes(part.planes[0])[: 2 * part.samples] for part in parts)


async def send(socket: ClientConnection, audio: bytes, *, live: bool) -> None:
    """Sends the audio, live a tenth of a second every tenth of a second, then says that this was all."""
    size = int(RATE * FRAME_SECONDS) * 2 if live else 32_768
    for start in range(0, len(audio), size):
        await socket.send(audio[start : start + size])
        if live:
            await asyncio.sleep(FRAME_SECONDS)
    await socket.send(json.dumps({"type": "input_audio.end"}))


async def main(audio: bytes, base_url: str, *, live: bool) -> None:
    """Sends and prints at the same time."""
    query = {"model": "whisper-1"} | ({"format": "pcm16", "sample_rate": RATE} if live else {})
    url = f"{base_url.replace('http', 'ws', 1)}/v1/audio/transcriptions?{urlencode(query)}"
    async with connect(url) as socket, asyncio.TaskGroup() as tasks:
        tasks.create_task(send(socket, audio, live=live))
        async for message in socket:
            if message == "[DONE]":
                print()
                break
            event = json.loads(message)
            if "error" in event:
                raise SystemExit(event["error"]["message"])
            if event["type"] == "transcript.text.delta":
                print(event["delta"], end="", flush=True)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--live"]
    is_live = "--live" in sys.argv
    sample = Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac"
    recording = Path(arguments[0]) if arguments else sample
    server = arguments[1] if len(arguments) > 1 else "http://127.0.0.1:8000"
    asyncio.run(main(samples(recording) if is_live else recording.read_bytes(), server, live=is_live))
