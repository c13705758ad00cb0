"""A LiveKit agent that writes down what people in a room say, by LiveKit's own OpenAI plugin.

Usage: python livekit_agent.py dev                    needs: pip install livekit-agents livekit-plugins-openai
       with LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, and OPENAI_BASE_URL=http://127.0.0.1:8000/v1
       (`python livekit_agent.py console` listens to this machine's microphone, without a LiveKit server)
"""

import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, StopResponse, cli, llm
from livekit.plugins import openai

server = AgentServer()


class Scribe(Agent):
    """Listens and never answers. The gateway says when a turn ends, so that no other detector is needed."""

    def __init__(self) -> None:
        speech_to_text = openai.STT(
            model="gpt-4o-transcribe",
            use_realtime=True,
            base_url=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"),
            api_key=os.environ.get("OPENAI_API_KEY", "unused"),
        )
        super().__init__(instructions="Write down what is said.", stt=speech_to_text, turn_detection="stt")

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:  # noqa: ARG002 - LiveKit's names
        """Each turn once, whole."""
        print(new_message.text_content, flush=True)
        raise StopResponse


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Joins the room that it is called to."""
    session = AgentSession()
    await session.start(agent=Scribe(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
