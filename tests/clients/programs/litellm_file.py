"""LiteLLM, as a library and by its proxy. Prints text and verbose words."""

import json
import sys

import litellm

base_url, file = sys.argv[1:]
with open(file, "rb") as audio:
    plain = litellm.transcription(
        model="openai/whisper-1", file=audio, api_base=f"{base_url}/v1", api_key="unused"
    )
with open(file, "rb") as audio:
    verbose = litellm.transcription(
        model="openai/whisper-1",
        file=audio,
        api_base=f"{base_url}/v1",
        api_key="unused",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
print(json.dumps({"text": plain.text, "words": [word["word"] for word in verbose.words]}))
