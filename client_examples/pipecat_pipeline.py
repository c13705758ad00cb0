"""A pipecat pipeline that writes down what it hears, by pipecat's own OpenAI service.

Usage: arecord -q -t raw -f S16_LE -r 16000 -c 1 | python pipecat_pipeline.py [BASE_URL]
                                                                   needs: pip install 'pipecat-ai[openai]'
"""

import asyncio
import os
import sys

from pipecat.frames.frames import Frame, InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner

RATE, BLOCK_BYTES, LAST_WORDS_SECONDS = 16_000, 3_200, 3


class Printer(FrameProcessor):
    """Each turn on a line."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """A language model would stand here."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            print(frame.text, flush=True)
        await self.push_frame(frame, direction)


async def feed(worker: PipelineWorker) -> None:
    """Standard input, and behind it a silence that ends the last turn; any other transport will do."""
    while block := await asyncio.to_thread(sys.stdin.buffer.read, BLOCK_BYTES):
        await worker.queue_frame(InputAudioRawFrame(block, RATE, 1))
    await worker.queue_frame(InputAudioRawFrame(bytes(2 * RATE), RATE, 1))
    await asyncio.sleep(LAST_WORDS_SECONDS)
    await worker.stop_when_done()


async def main(base_url: str = "http://127.0.0.1:8000") -> None:
    """Runs until standard input ends."""
    speech_to_text = OpenAIRealtimeSTTService(
        api_key=os.environ.get("OPENAI_API_KEY", "unused"),
        base_url=f"{base_url.replace('http', 'ws', 1)}/v1/realtime",
        turn_detection={"type": "server_vad"},  # the gateway says when a turn ends
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-transcribe"),
    )
    worker = PipelineWorker(Pipeline([speech_to_text, Printer()]), idle_timeout_secs=None)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed(worker))
        await runner.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
