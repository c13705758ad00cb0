"""A recording's text, with the time of each word, through the official client.

Usage: python transcribe_file.py [FILE] [BASE_URL]                 needs: pip install openai
"""

import os
import sys
from pathlib import Path

from openai import OpenAI

SAMPLE = Path(__file__).parent.parent / "tests" / "samples" / "jfk.flac"


def main(file: str, base_url: str) -> None:
    """Prints the text, then a line for each word."""
    client = OpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    with Path(file).open("rb") as audio:
        transcript = client.audio.transcriptions.create(
            model="whisper-1",
            file=audio,
            response_format="verbose_json",
            timestamp_granularities=["segment", "word"],
        )
    print(f"{transcript.text}\n({transcript.language}, {transcript.duration:.1f} s)")
    for word in transcript.words or []:
        print(f"{word.start:8.2f} {word.end:8.2f}  {word.word}")


if __name__ == "__main__":
    main(*[*sys.argv[1:], *[str(SAMPLE), "http://127.0.0.1:8000"][len(sys.argv) - 1 :]])
