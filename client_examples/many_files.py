"""Several recordings at the same time, by the official asynchronous client; each is printed when it is done.

Usage: python many_files.py BASE_URL FILE…                         needs: pip install openai

The server takes turns between them. One that fails is named, and the others go on.
"""

import asyncio
import os
import sys
from pathlib import Path

from openai import AsyncOpenAI, OpenAIError

AT_ONCE = 8


async def main(base_url: str, *files: str) -> int:
    """Gives how many have failed."""
    places = asyncio.Semaphore(AT_ONCE)

    async def transcribe(file: str) -> bool:
        async with places:
            try:
                answer = await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=Path(file))
            except (OpenAIError, OSError) as error:
                print(f"{file}: {error}", file=sys.stderr)
                return False
        print(f"{file}: {answer.text}", flush=True)
        return True

    # The client itself tries again, with patience, where the server says that it is busy.
    key = os.environ.get("OPENAI_API_KEY", "unused")
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=5) as client:
        return (await asyncio.gather(*map(transcribe, files))).count(False)


if __name__ == "__main__":
    sample = str(Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac")
    sys.exit(asyncio.run(main(*(sys.argv[1:] or ["http://127.0.0.1:8000", sample]))))
