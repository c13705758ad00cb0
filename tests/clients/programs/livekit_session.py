"""The example's LiveKit agent in a session whose audio is standard input. Each turn is printed on a line."""

import asyncio
import os
import sys

from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions
from livekit.agents.utils import http_context
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.io import AudioInput

RATE, BLOCK_BYTES, LAST_WORDS_SECONDS = 24_000, 2_400, 2

base_url, examples = sys.argv[1:]
os.environ["OPENAI_BASE_URL"] = f"{base_url}/v1"
sys.path.insert(0, examples)
from livekit_agent import Scribe  # noqa: E402 - found by what was said above


class StandardInput(AudioInput):
    def __init__(self) -> None:
        super().__init__(label="standard input")
        self.ended = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        data = await asyncio.to_thread(sys.stdin.buffer.read, BLOCK_BYTES)
        if not data:
            self.ended.set()
            await asyncio.Event().wait()
        return rtc.AudioFrame(data, RATE, 1, len(data) // 2)


async def main() -> None:
    # A machine that runs tests may be slow to answer; LiveKit waits for 10 s by default.
    patient = APIConnectOptions(timeout=60)
    session = AgentSession(conn_options=SessionConnectOptions(stt_conn_options=patient))
    session.input.audio = source = StandardInput()
    async with http_context.open():
        await session.start(agent=Scribe())
        await source.ended.wait()
        await asyncio.sleep(LAST_WORDS_SECONDS)
        await session.aclose()


asyncio.run(main())
