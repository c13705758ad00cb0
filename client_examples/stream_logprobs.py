"""Streams a transcript through the official `openai` client and marks the words the model was unsure of.

Usage: python stream_logprobs.py [FILE] [BASE_URL]        needs: pip install openai
"""

import math
import os
import sys
from pathlib import Path

from openai import OpenAI

SURE = 0.5


def main() -> None:
    """Prints each piece when it arrives; unsure tokens stand in brackets with their probability."""
    here = Path(__file__).parent
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "tests" / "samples" / "jfk.flac"
    base_url = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
    client = OpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    stream = client.audio.transcriptions.create(
        file=file, model="gpt-4o-transcribe", stream=True, include=["logprobs"]
    )
    for event in stream:
        if event.type == "transcript.text.delta":
            for token in event.logprobs or []:
                probability = math.exp(token.logprob or 0.0)
                text = token.token or ""
                print(text if probability >= SURE else f"[{text} {probability:.0%}]", end="", flush=True)
        elif event.type == "transcript.text.done":
            print(f"\n\n{event.usage.total_tokens if event.usage else 0} tokens")


if __name__ == "__main__":
    main()
