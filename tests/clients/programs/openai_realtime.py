"""The official Python client's Realtime connection as version 2 has it. Prints the turns' texts."""

import asyncio
import base64
import json
import sys

import openai


async def main(base_url: str, file: str) -> list[str]:
    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="unused")
    texts = []
    async with client.realtime.connect(
        model="gpt-4o-transcribe", extra_query={"intent": "transcription"}
    ) as connection:
        await connection.session.update(session={"type": "transcription"})
        with open(file, "rb") as audio:
            while block := audio.read(48_000):
                await connection.input_audio_buffer.append(audio=base64.b64encode(block).decode())
        await connection.input_audio_buffer.commit()
        await connection.input_audio_buffer.clear()
        turns = cleared = 0
        async for event in connection:
            turns += event.type == "input_audio_buffer.committed"
            cleared += event.type == "input_audio_buffer.cleared"
            if event.type == "conversation.item.input_audio_transcription.completed":
                texts.append(event.transcript)
            if cleared and len(texts) == turns:
                return texts
    return texts


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
