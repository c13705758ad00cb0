"""LangChain's Whisper parser, with OpenAI's and with Azure's client. Prints the documents' texts."""

import json
import sys

from imageio_ffmpeg import get_ffmpeg_exe
from langchain_community.document_loaders.parsers.audio import AzureOpenAIWhisperParser, OpenAIWhisperParser
from langchain_core.documents.base import Blob
from pydub import AudioSegment

# Where the system has none, which it needs for its pieces of 20 minutes.
AudioSegment.converter = get_ffmpeg_exe()

base_url, file, kind = sys.argv[1:]
parser = (
    OpenAIWhisperParser(api_key="unused", base_url=f"{base_url}/v1")
    if kind == "openai"
    else AzureOpenAIWhisperParser(
        api_key="unused", azure_endpoint=base_url, api_version="2024-06-01", deployment_name="whisper-1"
    )
)
print(json.dumps([document.page_content for document in parser.lazy_parse(Blob.from_path(file))]))
