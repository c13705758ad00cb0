"""LiveKit's STT of a whole utterance, for a pipeline with a detector of its own. Prints the text."""

import asyncio
import json
import sys
import wave

from livekit import rtc
from livekit.plugins import openai


async def main(base_url: str, file: str) -> str:
    with wave.open(file) as audio:
        data, rate = audio.readframes(audio.getnframes()), audio.getframerate()
    stt = openai.STT(model="whisper-1", base_url=f"{base_url}/v1", api_key="unused")
    event = await stt.recognize(rtc.AudioFrame(data, rate, 1, len(data) // 2))
    await stt.aclose()
    return event.alternatives[0].text


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
