"""Clients of other servers find theirs: addresses, names and dialects, over real HTTP."""

import gzip
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from openai import AzureOpenAI, OpenAI

from gateway.audio.decode import decode
from tests.support import LiveServer, Sample


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx.Client]:
    """Plain HTTP to the server."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


def test_azures_client(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The deployment names the model, an api-key header is there, a version in the query."""
    sample = samples["en_numbers"]
    with AzureOpenAI(
        azure_endpoint=server.url, azure_deployment="whisper-1", api_version="2024-10-21", api_key="k"
    ) as azure:
        answer = azure.audio.transcriptions.create(model="whisper-1", file=sample.path)

    assert answer.text == sample.text


@pytest.mark.parametrize("base", ["", "/", "/v1/", "//v1", "/v1/v1"])
def test_base_urls(server: LiveServer, samples: dict[str, Sample], base: str) -> None:
    """Whatever somebody put into their settings."""
    sample = samples["en_numbers"]
    client = OpenAI(base_url=server.url + base, api_key="k")

    assert client.audio.transcriptions.create(
        model="Systran/faster-whisper-small", file=sample.path
    ).text == (sample.text)


def test_a_packed_body(client: httpx.Client, samples: dict[str, Sample]) -> None:
    """Gzip is unpacked on the way."""
    sample = samples["en_numbers"]
    form = {"file": ("a.flac", sample.path.read_bytes())}
    request = client.build_request("POST", "/v1/audio/transcriptions", data={"model": "base"}, files=form)
    headers = {"content-type": request.headers["content-type"], "content-encoding": "gzip"}
    answer = client.post("/v1/audio/transcriptions", content=gzip.compress(request.read()), headers=headers)

    assert answer.json()["text"] == sample.text


def test_asr_webservice(client: httpx.Client, samples: dict[str, Sample]) -> None:
    """Subtitles and raw samples as Bazarr asks for them; the language alone."""
    sample = samples["en_numbers"]
    with sample.path.open("rb") as file:
        audio = np.concatenate(list(decode(file, max_seconds=600)))
    raw = (audio * 32767).astype("<i2").tobytes()
    query = {"task": "transcribe", "language": "en", "output": "txt", "encode": "false"}
    text = client.post("/asr", params=query, files={"audio_file": ("audio", raw)})
    subtitles = client.post("/asr?output=srt", files={"audio_file": sample.path.read_bytes()})
    language = client.post("/detect-language", files={"audio_file": sample.path.read_bytes()}).json()
    wrong = client.post("/asr?output=docx", files={"audio_file": sample.path.read_bytes()})
    missing = client.post("/asr", files={"file": sample.path.read_bytes()})

    assert text.text == sample.text
    assert subtitles.text.startswith("1\n00:00:0")
    assert language["language_code"] == "en"
    assert 0.3 < language["confidence"] <= 1
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "output")
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "audio_file")


def test_a_misspelt_field_is_told(client: httpx.Client, samples: dict[str, Sample]) -> None:
    """It is ignored, as every unknown one, but not in silence: plain and streamed."""
    file = samples["en_numbers"].path.read_bytes()
    for stream in ("false", "true"):
        form = {"model": "whisper-1", "langauge": "en", "stream": stream}
        answer = client.post("/v1/audio/transcriptions", data=form, files={"file": file})

        assert answer.status_code == 200
        assert answer.headers["warning"] == '299 - "Unknown field langauge: is language meant?"'


@pytest.mark.parametrize(("path", "part"), [("/asr", "audio_file"), ("/inference", "file")])
def test_dialects_tell_slips_too(
    client: httpx.Client, samples: dict[str, Sample], path: str, part: str
) -> None:
    """By the names that they have."""
    file = samples["en_numbers"].path.read_bytes()
    answer = client.post(path, data={"langauge": "en"}, files={part: file})

    assert answer.headers["warning"] == '299 - "Unknown field langauge: is language meant?"'


def test_whisper_cpp(client: httpx.Client, samples: dict[str, Sample]) -> None:
    """A form without a model, with options of its own."""
    sample = samples["en_numbers"]
    form = {"temperature": "0.0", "temperature_inc": "0.2", "response_format": "json"}
    answer = client.post("/inference", data=form, files={"file": sample.path.read_bytes()})

    assert answer.json()["text"] == sample.text
