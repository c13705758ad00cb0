"""The official client gets what it asks for: real words, typed, streamed and plain alike."""

import math
from collections.abc import Iterator
from typing import Literal

import pytest
from openai import AsyncOpenAI, NotFoundError
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import LiveServer, Sample, live_server

EXACT = [
    "en_hello",
    "en_command_44k_stereo",
    "en_numbers",
    "en_nato_8k",
    "en_flite_slt",
    "en_flite_rms",
    "en_heldout_voice",
    "en_noisy",
    "de_zahlen",
    "es_hola",
    "en_long",
]
"""The recordings that the miniature Whisper transcribes exactly."""


@pytest.fixture(scope="module")
def server(mini_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """As it is by default: with all of Whisper's context."""
    with live_server([mini_whisper]) as running:
        yield running


@pytest.mark.parametrize("name", EXACT)
def test_plain(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """Every recording's text comes back, letter for letter, in every language the model knows."""
    sample = samples[name]
    answer = server.openai.audio.transcriptions.create(file=sample.path, model="whisper-1")

    assert answer.text == sample.text
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == math.ceil(sample.duration)


@pytest.mark.parametrize("name", ["en_hello", "de_zahlen", "en_long"])
def test_stream_equals_plain(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """Deltas, done and the plain answer are one text; tokens carry real log-probabilities and its bytes."""
    sample = samples[name]
    events = list(
        server.openai.audio.transcriptions.create(
            file=sample.path, model="gpt-4o-transcribe", stream=True, include=["logprobs"]
        )
    )
    deltas = [event for event in events if isinstance(event, TranscriptionTextDeltaEvent)]
    done = events[-1]

    assert isinstance(done, TranscriptionTextDoneEvent)
    assert "".join(delta.delta for delta in deltas) == done.text == sample.text
    tokens = [token for delta in deltas for token in delta.logprobs or []]
    assert b"".join(bytes(token.bytes or []) for token in tokens).decode() == sample.text
    assert all(token.logprob is not None and -10 < token.logprob <= 0 for token in tokens)
    assert len({token.logprob for token in tokens}) > len(tokens) / 2
    assert done.logprobs is not None
    assert [token.logprob for token in done.logprobs] == [token.logprob for token in tokens]
    assert done.usage is not None
    assert done.usage.output_tokens == len(tokens)


def test_long_recordings_arrive_piece_by_piece(server: LiveServer, samples: dict[str, Sample]) -> None:
    """More than a minute of speech is many deltas, not one."""
    events = list(
        server.openai.audio.transcriptions.create(
            file=samples["en_long"].path, model="whisper-1", stream=True
        )
    )

    assert len(events) > 10


def test_plain_logprobs(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The plain answer carries the same log-probabilities."""
    answer = server.openai.audio.transcriptions.create(
        file=samples["en_hello"].path, model="gpt-4o-transcribe", include=["logprobs"]
    )

    assert answer.logprobs is not None
    assert "".join(token.token or "" for token in answer.logprobs) == "Hello world."
    assert answer.usage is not None
    assert answer.usage.type == "tokens"


async def test_async_client(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The asynchronous client works the same."""
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        stream = await client.audio.transcriptions.create(
            file=samples["en_nato_8k"].path, model="gpt-4o-mini-transcribe", stream=True
        )
        text = "".join([event.delta async for event in stream if event.type == "transcript.text.delta"])

    assert text == samples["en_nato_8k"].text


def test_chunking_strategy_object(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The SDK's nested encoding of a VAD object is understood; the text stays."""
    answer = server.openai.audio.transcriptions.create(
        file=samples["en_flite_slt"].path,
        model="whisper-1",
        chunking_strategy={
            "type": "server_vad",
            "threshold": 0.4,
            "prefix_padding_ms": 200,
            "silence_duration_ms": 300,
        },
    )

    assert answer.text == samples["en_flite_slt"].text


@pytest.mark.parametrize("strategy", ["auto", None])
def test_silence_is_empty(
    server: LiveServer, samples: dict[str, Sample], strategy: Literal["auto"] | None
) -> None:
    """Silence and noise are no words: not "Thank you.", not anything."""
    answer = server.openai.audio.transcriptions.create(
        file=samples["silence_noise"].path, model="whisper-1", chunking_strategy=strategy
    )

    assert answer.text == ""


def test_language_is_taken(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A given language is used; German words come back in German."""
    answer = server.openai.audio.transcriptions.create(
        file=samples["de_zahlen"].path, model="whisper-1", language="de"
    )

    assert answer.text == samples["de_zahlen"].text


def test_models(server: LiveServer) -> None:
    """The list names the served model first, and every alias after it."""
    names = [model.id for model in server.openai.models.list()]

    assert names[0] == "mini-whisper"
    assert {"whisper-1", "gpt-4o-transcribe", "openai/whisper-1", "whisper-large-v3"} <= set(names)


def test_unknown_models_are_refused_with_what_is_served(
    server: LiveServer, samples: dict[str, Sample]
) -> None:
    """A model that is not here is a 404 that says what is."""
    with pytest.raises(NotFoundError) as caught:
        server.openai.audio.transcriptions.create(file=samples["en_hello"].path, model="whisper-99")

    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "mini-whisper" in caught.value.message
