"""Groq's own Python client. Prints text and segments."""

import json
import sys
from pathlib import Path

import groq

base_url, file = sys.argv[1:]
# It puts /openai/v1 behind the address by itself.
client = groq.Groq(base_url=base_url, api_key="unused", max_retries=0)
answer = client.audio.transcriptions.create(
    file=(Path(file).name, Path(file).read_bytes()),
    model="whisper-large-v3-turbo",
    response_format="verbose_json",
)
print(json.dumps({"text": answer.text, "id": answer.x_groq["id"]}))
