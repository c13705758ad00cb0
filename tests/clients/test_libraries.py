"""Libraries that speak OpenAI's API for their users."""

import json
import os
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.audio.sound import Encoding, encode, load
from tests.clients.conftest import Run
from tests.clients.environments import ROOT
from tests.support import LiveServer, Sample, until

pytestmark = pytest.mark.slow

PROXY_KEY = "sk-of-the-tests"
TEXT = "Alpha zulu november six. Quebec tango kilo nine."


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.client(
                "langchain", "langchain-community", f"{parser}, recording in its pieces"
            ),
        )
        for kind, parser in (("openai", "OpenAIWhisperParser"), ("azure", "AzureOpenAIWhisperParser"))
    ],
)
def test_langchain(
    server: LiveServer, samples: dict[str, Sample], run: Run, kind: str, tmp_path: Path
) -> None:
    """A document for each recording; OpenAI's parser sends it as MP3, which the miniature hears less well."""
    sample = samples["en_hello"]
    wav = tmp_path / "recording.wav"  # what its splitter reads without a system's FFmpeg
    wav.write_bytes(encode(load(sample.path), Encoding("wav", "pcm_s16le", 16_000)))

    assert run("langchain_parser.py", server.url, str(wav), kind) == [sample.text]


@pytest.mark.client("litellm", "litellm", "library: text, verbose_json with words")
def test_litellm(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """Text and words."""
    answer = run("litellm_file.py", server.url, str(samples["en_nato_8k"].path))

    assert answer == {"text": TEXT, "words": TEXT.replace(".", "").split()}


@pytest.mark.client("litellm", "litellm", "proxy: the official client through it")
def test_litellm_proxy(
    server: LiveServer, samples: dict[str, Sample], environment: str, tmp_path: Path
) -> None:
    """A name of the proxy's own for a model of ours."""
    config = tmp_path / "config.yaml"
    params = {"model": "openai/whisper-1", "api_base": f"{server.url}/v1", "api_key": "unused"}
    model = {"model_name": "speech", "litellm_params": params, "model_info": {"mode": "audio_transcription"}}
    config.write_text(json.dumps({"model_list": [model]}))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Without the second it asks another host for prices before it starts.
    outside |= {"LITELLM_MASTER_KEY": PROXY_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    proxy = subprocess.Popen(
        [
            ROOT / environment / "bin" / "litellm",
            "--config",
            config,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=outside,
    )
    try:
        until(lambda: proxy.poll() is not None or _is_up(port))
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=PROXY_KEY, max_retries=0)
        with client:
            answer = client.audio.transcriptions.create(model="speech", file=samples["en_nato_8k"].path)
    finally:
        proxy.kill()
        proxy.wait()

    assert answer.text == TEXT


def _is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/liveliness", timeout=30).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.client(
    "wyoming", "wyoming-openai", "bridge for Home Assistant: plain, streamed and realtime models"
)
def test_wyoming(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """The same text by each way."""
    texts = run("wyoming_file.py", server.url, str(samples["en_nato_8k"].path))

    assert [text.strip() for text in texts] == [TEXT] * 3


@pytest.mark.client("groq", "groq", "file, verbose_json")
def test_groq(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """Its addresses, its names and its mark."""
    answer = run("groq_file.py", server.url, str(samples["en_nato_8k"].path))

    assert answer["text"] == TEXT
    assert answer["id"].startswith("req_")


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(name, marks=pytest.mark.client("vercel", package, "ai's transcribe: segments, plain"))
        for name, package in (("openai", "@ai-sdk/openai"), ("groq", "@ai-sdk/groq"))
    ],
)
def test_vercel(server: LiveServer, samples: dict[str, Sample], run: Run, provider: str) -> None:
    """Text, segments, duration; Groq's provider takes no answer without `x_groq`."""
    answer = run("vercel.mjs", server.url, str(samples["en_nato_8k"].path), provider)

    assert answer["text"] == answer["plain"] == TEXT
    assert answer["durationInSeconds"] == pytest.approx(5.515, abs=0.01)
    assert "".join(segment["text"] for segment in answer["segments"]).strip() == TEXT
