"""Pipecat's service for whole utterances. Prints the text."""

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import TranscriptionFrame
from pipecat.services.openai.stt import OpenAISTTService


async def main(base_url: str, file: str) -> list[str]:
    service = OpenAISTTService(api_key="unused", base_url=f"{base_url}/v1")
    frames = [frame async for frame in service.run_stt(Path(file).read_bytes())]
    return [frame.text for frame in frames if isinstance(frame, TranscriptionFrame)]


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
