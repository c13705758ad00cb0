"""Who said what: OpenAI's documented example, and a second file whose voice gets a name.

Usage: python client_examples/who_spoke.py [FILE] [BASE_URL] [NAME=REFERENCE.wav …]
"""

import base64
import os
import sys
from pathlib import Path

from openai import OpenAI

SAMPLE = Path(__file__).resolve().parent.parent / "tests" / "samples" / "jfk.flac"


def to_data_url(path: str) -> str:
    """The file as OpenAI's API takes references: 2 to 10 s of one voice."""
    with Path(path).open("rb") as fh:
        return "data:audio/wav;base64," + base64.b64encode(fh.read()).decode("utf-8")


def main() -> None:
    """Prints a line for each segment."""
    file, base_url, *known = [*sys.argv[1:], *[str(SAMPLE), "http://127.0.0.1:8000"][len(sys.argv) - 1 :]]
    voices = [voice.partition("=")[::2] for voice in known]
    client = OpenAI(base_url=f"{base_url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "unused"))
    with Path(file).open("rb") as audio_file:
        transcript = client.audio.transcriptions.create(
            model="gpt-4o-transcribe-diarize",
            file=audio_file,
            response_format="diarized_json",
            chunking_strategy="auto",
            extra_body={
                "known_speaker_names": [name for name, _ in voices],
                "known_speaker_references": [to_data_url(path) for _, path in voices],
            },
        )
    for segment in transcript.segments:
        print(segment.speaker, segment.text, segment.start, segment.end)


if __name__ == "__main__":
    main()
