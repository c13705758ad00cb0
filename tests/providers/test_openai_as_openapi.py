"""Clients made from the OpenAPI page of the first API: no extra properties, defaults json and 0."""

import httpx
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import LiveServer, Sample, live_server


def test_defaults(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Without a format the answer is json; without a temperature it is that of temperature 0."""
    file = ("a.flac", samples["en_numbers"].path.read_bytes())
    plain = server.post(model="whisper-1", file=file)
    explicit = server.post(model="whisper-1", file=file, response_format="json", temperature="0")

    assert plain.json() == explicit.json()
    assert plain.json()["text"] == samples["en_numbers"].text


def test_additional_properties(
    server: LiveServer, mini_whisper: WhisperSpec, samples: dict[str, Sample]
) -> None:
    """An unknown field is ignored; under `strict_openai` it is refused, as the page says."""
    file = ("a.flac", samples["en_hello"].path.read_bytes())
    lenient = server.post(model="whisper-1", file=file, surprise="1")
    with live_server([mini_whisper], strict_openai=True) as strict:
        refused = strict.post(model="whisper-1", file=file, surprise="1")
        accepted = strict.post(model="whisper-1", file=file)

    assert (lenient.status_code, accepted.status_code) == (200, 200)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "surprise"


@pytest.mark.parametrize("kind", ["json", "urlencoded"])
def test_other_bodies(server: LiveServer, kind: str) -> None:
    """A body that is no form is told to be one."""
    url = f"{server.url}/v1/audio/transcriptions"
    fields = {"model": "whisper-1"}
    answer = httpx.post(url, json=fields) if kind == "json" else httpx.post(url, data=fields)

    assert answer.status_code == 400
    assert "multipart/form-data" in answer.json()["error"]["message"]
