"""In front of an upstream the gateway does what that cannot: streams, sessions, subtitles, speakers."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
import srt
from openai.types.realtime import ConversationItemInputAudioTranscriptionCompletedEvent

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.upstream.spec import UpstreamSpec
from gateway.engine.upstream.wave import wave
from gateway.engine.whisper.engine import WhisperSpec
from tests.e2e.test_realtime_sdk import INTENT, pieces, settings
from tests.support import LiveServer, Sample, live_server
from tests.upstream_server import (
    TEXT,
    UpstreamServer,
    gpt_4o,
    upstream_server,
    vllm,
    vllm_llm,
    whisper_1,
    whisper_cpp,
)

pytestmark = pytest.mark.slow

DIALECTS = {dialect.__name__: dialect for dialect in (whisper_1, gpt_4o, vllm, vllm_llm, whisper_cpp)}


def spec(upstream: UpstreamServer) -> UpstreamSpec:
    """What serves it."""
    return UpstreamSpec("asr", (upstream.url,), "model")


@pytest.fixture(scope="module", params=DIALECTS)
def front(request: pytest.FixtureRequest) -> Iterator[tuple[str, UpstreamServer, LiveServer]]:
    """A gateway in front of each kind of upstream."""
    with (
        upstream_server(DIALECTS[request.param]) as upstream,
        live_server([spec(upstream)]) as server,
    ):
        yield request.param, upstream, server


def post(server: LiveServer, sample: Sample, **fields: Any) -> Any:
    """A request for the sample's transcript."""
    return server.post(file=(sample.path.name, sample.path.read_bytes()), model="asr", **fields)


@pytest.fixture(scope="module")
def sample(samples: dict[str, Sample]) -> Sample:
    """A few seconds."""
    return samples["en_numbers"]


def test_times(front: tuple[str, UpstreamServer, LiveServer], sample: Sample) -> None:
    """Segments and subtitles lie within the recording and in order, whoever told their times."""
    name, _, server = front
    body = post(server, sample, response_format="verbose_json").json()
    cues = list(srt.parse(post(server, sample, response_format="srt").text))

    assert body["text"] == TEXT
    assert body["language"] == ("unknown" if name in {"gpt_4o", "vllm_llm"} else "english")
    assert [segment["text"].strip() for segment in body["segments"]] == [
        "The quick brown fox jumps over the lazy dog.",
        "It never looks back.",
    ]
    assert all(0 <= each["start"] < each["end"] <= sample.duration for each in body["segments"])
    assert all(one["end"] <= other["start"] for one, other in pairwise(body["segments"]))
    assert " ".join(cue.content.replace("\n", " ") for cue in cues) == TEXT


def test_what_it_cannot(front: tuple[str, UpstreamServer, LiveServer], sample: Sample) -> None:
    """Is refused before anything is sent, in OpenAI's envelope, with the parameter's name."""
    name, upstream, server = front
    before = len(upstream.asked)
    words = post(server, sample, response_format="verbose_json", **{"timestamp_granularities[]": "word"})
    logprobs = post(server, sample, **{"include[]": "logprobs"})
    refused = [
        response.json()["error"]["param"] for response in (words, logprobs) if response.status_code == 400
    ]

    assert (
        refused
        == {
            "whisper_1": ["include"],
            "whisper_cpp": ["include"],
            "gpt_4o": ["timestamp_granularities"],
            "vllm": ["timestamp_granularities", "include"],
            "vllm_llm": ["timestamp_granularities", "include"],
        }[name]
    )
    assert len(upstream.asked) - before == 2 - len(refused)
    if words.status_code == 200:
        spoken = [word["word"] for word in words.json()["words"]]
        assert spoken == TEXT.replace(".", "").split()
    if logprobs.status_code == 200:
        tokens = logprobs.json()["logprobs"]
        assert b"".join(bytes(token["bytes"]) for token in tokens).decode() == TEXT


def test_stream(front: tuple[str, UpstreamServer, LiveServer], sample: Sample) -> None:
    """Deltas of an upstream that streams nothing."""
    _, _, server = front
    with sample.path.open("rb") as file:
        stream = server.openai.audio.transcriptions.create(file=file, model="asr", stream=True)
        events = list(stream)

    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == TEXT
    assert events[-1].type == "transcript.text.done"


def test_speakers(front: tuple[str, UpstreamServer, LiveServer], sample: Sample) -> None:
    """Told apart here, by its words where it has them, else by its sentences."""
    _, _, server = front
    body = post(server, sample, response_format="diarized_json").json()

    assert body["text"] == TEXT
    assert {segment["speaker"] for segment in body["segments"]} <= {"A", "B"}


def test_realtime(front: tuple[str, UpstreamServer, LiveServer], sample: Sample) -> None:
    """A session in front of what knows files alone."""
    name, _, server = front
    wanted = settings(None)
    if name != "gpt_4o":
        wanted["include"] = []
    completed = None
    with server.openai.realtime.connect(model="asr", extra_query=INTENT) as connection:
        connection.session.update(session=wanted)
        for audio in pieces(sample):
            connection.input_audio_buffer.append(audio=audio)
        connection.input_audio_buffer.commit()
        while not isinstance(completed, ConversationItemInputAudioTranscriptionCompletedEvent):
            completed = connection.recv()

    assert completed.transcript == TEXT


@pytest.mark.parametrize("name", ["en_numbers", "de_zahlen"])
def test_gateway_behind_gateway(
    quick_whisper: WhisperSpec, samples: dict[str, Sample], server: LiveServer, name: str
) -> None:
    """The same words and times as without one in between, and log-probabilities."""
    sample = samples[name]
    asked: dict[str, Any] = {
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
    }
    with live_server([UpstreamSpec("asr", (f"{server.url}/v1",), quick_whisper.name)]) as ours:
        through = post(ours, sample, **asked).json()
        logprobs = post(ours, sample, **{"include[]": "logprobs"}).json()["logprobs"]
        translated = httpx.post(
            f"{ours.url}/v1/audio/translations",
            data={"model": "asr"},
            files={"file": sample.path.read_bytes()},
            timeout=60,
        )
    direct = server.post(
        file=(sample.path.name, sample.path.read_bytes()), model=quick_whisper.name, **asked
    ).json()

    assert through["text"] == direct["text"]
    assert through["language"] == direct["language"]
    assert [word["word"] for word in through["words"]] == [word["word"] for word in direct["words"]]
    assert [word["start"] for word in through["words"]] == pytest.approx(
        [word["start"] for word in direct["words"]], abs=0.1
    )
    assert all(token["logprob"] <= 0 for token in logprobs)
    assert translated.status_code == 200
    assert translated.json()["text"]


def test_whole_is_for_chunks(server: LiveServer, samples: dict[str, Sample]) -> None:
    """What a gateway sends another one is not cut again; what is longer has to be."""
    chunk = samples["en_numbers"]
    ours = server.post(file=("a.flac", chunk.path.read_bytes()), model="whisper-1", chunking_strategy="whole")
    silence = wave(np.zeros(31 * SAMPLE_RATE, np.float32))
    refused = server.post(file=("a.wav", silence), model="whisper-1", chunking_strategy="whole")

    assert ours.json()["text"] == chunk.text
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "chunking_strategy"


def test_an_outage_is_told(sample: Sample) -> None:
    """`/ready` and `/health` show that it is gone, not where it was; requests are refused."""
    with (
        upstream_server(whisper_1) as upstream,
        live_server([spec(upstream)], upstream_timeout=0.1) as server,
    ):
        before = httpx.get(f"{server.url}/ready").status_code
        upstream.end()
        refused = post(server, sample)
        ready = httpx.get(f"{server.url}/ready")
        lanes = server.metric("gateway_lanes")
    [worker] = ready.json()["models"]["asr"]["workers"]

    assert (before, refused.status_code, ready.status_code) == (200, 503, 503)
    assert refused.json()["error"]["type"] == "server_error"
    assert worker == {"state": "failed", "reason": "upstream cannot be reached"}
    assert str(upstream.port) not in ready.text
    assert lanes == 0


def test_a_key_that_is_no_longer_good(sample: Sample) -> None:
    """Is the operator's affair: no client is told that its own key is wrong."""
    with (
        upstream_server(whisper_1, key="right") as upstream,
        live_server([UpstreamSpec("asr", (upstream.url,), "model", "right")]) as server,
    ):
        upstream.key = "another"
        refused = post(server, sample)
        health = httpx.get(f"{server.url}/health").json()
    [worker] = health["models"]["asr"]["workers"]

    assert refused.status_code == 503
    assert "key" not in refused.text
    assert worker["reason"] == "load failed: upstream refuses the key"
