"""The official Node client works as the Python one does: every format, streams, lists, errors."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import srt

from tests.support import LiveServer, Sample


def _call(
    node: Path, server: LiveServer, sample: Sample, method: str = "transcriptions", **body: Any
) -> dict[str, Any]:
    call = {"method": method, "file": str(sample.path), "body": {"model": "whisper-1", **body}}
    done = subprocess.run(
        ["node", "client.mjs", f"{server.url}/v1", json.dumps(call)],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", ["en_nato_8k", "de_zahlen", "silence_noise"])
def test_json_and_text(node: Path, server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """The same words in both."""
    sample = samples[name]
    answer = _call(node, server, sample)["answer"]

    assert answer["text"] == sample.text
    assert _call(node, server, sample, response_format="text")["answer"] == sample.text


def test_stream(node: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Deltas with log-probabilities, then done; the client swallows [DONE]."""
    sample = samples["en_flite_slt"]
    events = _call(node, server, sample, model="gpt-4o-transcribe", stream=True, include=["logprobs"])[
        "events"
    ]
    deltas = [event for event in events if event["type"] == "transcript.text.delta"]

    assert "".join(delta["delta"] for delta in deltas) == sample.text == events[-1]["text"]
    assert all(token["logprob"] <= 0 for delta in deltas for token in delta["logprobs"])


def test_verbose_json(node: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Lists of granularities arrive as they are meant."""
    answer = _call(
        node,
        server,
        samples["en_numbers"],
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )["answer"]

    assert [word["word"] for word in answer["words"]][:3] == ["Seven", "two", "zero"]
    assert answer["segments"]


def test_subtitles(node: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Subtitles come back as text."""
    sample = samples["en_nato_8k"]
    cues = list(srt.parse(_call(node, server, sample, response_format="srt")["answer"]))

    assert " ".join(cue.content.replace("\n", " ") for cue in cues) == sample.text


def test_objects_and_lists(node: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """Nested objects, keywords and languages in the Node client's encoding."""
    answer = _call(
        node,
        server,
        samples["es_hola"],
        model="gpt-transcribe",
        chunking_strategy={"type": "server_vad", "threshold": 0.4},
        languages=["es", "de"],
    )["answer"]

    assert answer["text"] == samples["es_hola"].text
    assert answer["languages"] == [{"code": "es"}]


def test_translations(node: Path, server: LiveServer, samples: dict[str, Sample]) -> None:
    """German speech in English."""
    assert "morning" in _call(node, server, samples["de_zahlen"], "translations")["answer"]["text"].lower()


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "nothing"}, 404, "model"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"stream": True, "response_format": "srt"}, 400, "response_format"),
    ],
)
def test_errors(
    node: Path, server: LiveServer, samples: dict[str, Sample], body: dict[str, Any], status: int, param: str
) -> None:
    """Refusals have their status and parameter, with and without a stream."""
    answer = _call(node, server, samples["en_hello"], **body)

    assert (answer["status"], answer["param"]) == (status, param)
