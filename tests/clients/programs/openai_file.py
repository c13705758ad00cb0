"""The official Python client of any version: a file, verbose, and a refusal. Prints what came back."""

import json
import sys

import openai

base_url, file = sys.argv[1:]
client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0)
with open(file, "rb") as audio:
    plain = client.audio.transcriptions.create(model="whisper-1", file=audio)
with open(file, "rb") as audio:
    verbose = client.audio.transcriptions.create(
        model="whisper-1",
        file=audio,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
try:
    client.audio.transcriptions.create(model="nobody", file=("a.wav", b"RIFF"))
except openai.NotFoundError as error:
    refusal = error.code
streamed = []
if int(openai.__version__.split(".")[1]) >= 66 or openai.__version__ >= "2":
    with open(file, "rb") as audio:
        stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=audio, stream=True)
        streamed = [event.delta for event in stream if event.type == "transcript.text.delta"]
words = [word.word for word in verbose.words]
print(
    json.dumps(
        {"text": plain.text, "words": words, "refusal": refusal, "streamed": "".join(streamed)},
    )
)
