"""The bridge of Wyoming to OpenAI's API: plain, streamed and realtime models. Prints the texts."""

import asyncio
import json
import subprocess
import sys
import wave

from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

PORT, BLOCK_BYTES = 10_391, 4_096

base_url, file = sys.argv[1:]
with wave.open(file) as audio:
    SOUND, FORMAT = (
        audio.readframes(audio.getnframes()),
        {"rate": audio.getframerate(), "width": 2, "channels": 1},
    )


async def transcribe(model: str) -> str:
    async with AsyncTcpClient("127.0.0.1", PORT) as client:
        await client.write_event(Transcribe(name=model, language="en").event())
        await client.write_event(AudioStart(**FORMAT).event())
        for at in range(0, len(SOUND), BLOCK_BYTES):
            await client.write_event(AudioChunk(audio=SOUND[at : at + BLOCK_BYTES], **FORMAT).event())
        await client.write_event(AudioStop().event())
        pieces = []
        while event := await client.read_event():
            if TranscriptChunk.is_type(event.type):
                pieces.append(TranscriptChunk.from_event(event).text)
            if Transcript.is_type(event.type):
                return Transcript.from_event(event).text or "".join(pieces)
    return ""


async def main() -> list[str]:
    for _ in range(1200):
        try:
            async with AsyncTcpClient("127.0.0.1", PORT):
                break
        except OSError:
            await asyncio.sleep(0.1)
    return [await transcribe(model) for model in ("whisper-1", "gpt-4o-transcribe", "gpt-transcribe")]


command = [sys.executable, "-m", "wyoming_openai", "--uri", f"tcp://127.0.0.1:{PORT}", "--languages", "en"]
command += ["--stt-openai-key", "unused", "--stt-openai-url", f"{base_url}/v1", "--stt-backend", "OPENAI"]
command += ["--stt-models", "whisper-1", "--stt-streaming-models", "gpt-4o-transcribe"]
command += ["--stt-realtime-models", "gpt-transcribe"]
bridge = subprocess.Popen(command, stdout=sys.stderr)
try:
    print(json.dumps(asyncio.run(main())))
finally:
    bridge.kill()
