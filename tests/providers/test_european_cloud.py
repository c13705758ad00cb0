"""Clients of a European cloud with projects: a path prefix, `whisper-large-v3`, seeds, streams."""

import json
from collections.abc import Iterator

import httpx
import pytest
from openai import NotFoundError, OpenAI

from tests.support import LiveServer, Sample

MODEL = "whisper-large-v3"


@pytest.fixture
def project(server: LiveServer) -> Iterator[OpenAI]:
    """A client as that cloud's documentation builds it."""
    url = f"{server.url}/0f1e2d3c-project/v1"
    with OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


def test_project_prefix(project: OpenAI, samples: dict[str, Sample]) -> None:
    """Everything works below the project, too."""
    answer = project.audio.transcriptions.create(file=samples["en_hello"].path, model=MODEL)
    models = [model.id for model in project.models.list()]

    assert answer.text == "Hello world."
    assert MODEL in models
    assert project.models.retrieve(MODEL).id == MODEL
    with pytest.raises(NotFoundError):
        project.models.retrieve("nothing")


def test_stream_of_chunks(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Every data line is a chunk of type, delta and log-probabilities, unasked; the last is [DONE]."""
    sample = samples["en_flite_slt"]
    with httpx.stream(
        "POST",
        f"{server.url}/v1/audio/transcriptions",
        data={"model": MODEL, "stream": "true"},
        files={"file": sample.path.read_bytes()},
        timeout=120,
    ) as answer:
        body = answer.read().decode()
    lines = [line.removeprefix("data: ") for line in body.split("\n") if line]
    deltas = [json.loads(line) for line in lines[:-2]]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert body.endswith("data: [DONE]\n\n")
    assert all(delta["logprobs"] for delta in deltas)
    assert "".join(delta["delta"] for delta in deltas) == sample.text
    assert json.loads(lines[-2])["text"] == sample.text


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.8])
def test_same_seed_same_answer(project: OpenAI, samples: dict[str, Sample], temperature: float) -> None:
    """The same seed and temperature give the same answer, also beside other requests."""
    texts = {
        project.audio.transcriptions.create(
            file=samples["en_noisy"].path, model=MODEL, temperature=temperature, extra_body={"seed": 42}
        ).text
        for _ in range(3)
    }

    assert len(texts) == 1


@pytest.mark.parametrize("container", ["wav", "mp3", "flac", "mpga", "oga", "ogg"])
def test_formats(project: OpenAI, samples: dict[str, Sample], container: str) -> None:
    """The cloud's list of file formats."""
    from tests.audio.sound import ENCODINGS, encode  # noqa: PLC0415
    from tests.e2e.test_containers import decoded  # noqa: PLC0415

    audio = encode(decoded(samples["en_numbers"]), ENCODINGS[container])
    answer = project.audio.transcriptions.create(file=(f"a.{container}", audio), model=MODEL)

    assert answer.text == samples["en_numbers"].text
