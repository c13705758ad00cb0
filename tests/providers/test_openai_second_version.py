"""Clients of `gpt-4o-transcribe` and its family: streams, log-probabilities, and what the names refuse."""

import pytest
from openai import BadRequestError
from openai.types.audio import Transcription

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import LiveServer, Sample, live_server

MODELS = ["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15"]


@pytest.mark.parametrize("model", MODELS)
def test_logprobs_and_tokens(server: LiveServer, samples: dict[str, Sample], model: str) -> None:
    """Plain and streamed, with log-probabilities, parsed strictly by the SDK's own types."""
    create = server.openai.audio.transcriptions
    sample = samples["en_flite_rms"]
    raw = create.with_raw_response.create(
        file=sample.path, model=model, include=["logprobs"], chunking_strategy="auto"
    )
    plain = Transcription.model_validate_json(raw.http_response.text, strict=True)
    streamed = list(create.create(file=sample.path, model=model, include=["logprobs"], stream=True))

    assert plain.text == sample.text
    assert plain.usage is not None
    assert plain.usage.type == "tokens"
    assert streamed[-1].type == "transcript.text.done"
    assert streamed[-1].text == sample.text
    assert plain.logprobs is not None
    assert streamed[-1].logprobs is not None
    assert [t.logprob for t in plain.logprobs] == [t.logprob for t in streamed[-1].logprobs]


def test_more_than_openai_gives(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Subtitles of a gpt name, log-probabilities and streams of whisper-1: refused there, given here."""
    create = server.openai.audio.transcriptions.create
    file = samples["en_hello"].path

    assert "Hello world." in create(file=file, model="gpt-4o-transcribe", response_format="srt")
    assert create(file=file, model="whisper-1", include=["logprobs"]).logprobs
    *deltas, done = create(file=file, model="whisper-1", stream=True)
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == done.text


def test_streamed_segments(server: LiveServer, samples: dict[str, Sample]) -> None:
    """With verbose_json each closed segment comes as an event with its times, behind its text."""
    sample = samples["en_flite_slt"]
    events = list(
        server.openai.audio.transcriptions.create(
            file=sample.path, model="gpt-4o-transcribe", response_format="verbose_json", stream=True
        )
    )
    segments = [event for event in events if event.type == "transcript.text.segment"]

    assert "".join(segment.text for segment in segments).strip() == sample.text
    for segment, utterance in zip(segments, sample.utterances, strict=True):
        assert segment.start == pytest.approx(utterance["start"], abs=0.3)
        assert segment.end == pytest.approx(utterance["end"], abs=0.3)


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"prompt": "a"}, "prompt"),
        ({"include": ["logprobs"]}, "include"),
        ({"timestamp_granularities": ["segment"]}, "timestamp_granularities"),
        ({"known_speaker_names": ["a"]}, "known_speaker_references"),
        (
            {
                "response_format": "diarized_json",
                "known_speaker_names": ["a"],
                "known_speaker_references": ["data:audio/wav;base64," + "A" * 3_000_000],
            },
            "known_speaker_references",
        ),
    ],
)
def test_diarizing_refusals(
    server: LiveServer, samples: dict[str, Sample], extra: dict[str, object], param: str
) -> None:
    """What the diarizing name refuses is a 400 with its parameter."""
    with pytest.raises(BadRequestError) as caught:
        server.openai.audio.transcriptions.create(
            file=samples["en_hello"].path,
            model="gpt-4o-transcribe-diarize",
            extra_body=extra,
        )

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "gpt-4o-transcribe", "response_format": "srt"}, "response_format"),
        ({"model": "whisper-1", "include": ["logprobs"]}, "include"),
    ],
)
def test_strict_openai(
    mini_whisper: WhisperSpec, samples: dict[str, Sample], fields: dict[str, object], param: str
) -> None:
    """The setting brings OpenAI's refusals back, and whisper-1 does not stream."""
    with live_server([mini_whisper], strict_openai=True) as server:
        create = server.openai.audio.transcriptions.create
        with pytest.raises(BadRequestError) as caught:
            create(file=samples["en_hello"].path, model="whisper-1", extra_body=fields)
        plain = server.post(
            model="whisper-1", stream="true", file=("a.flac", samples["en_hello"].path.read_bytes())
        )

    assert (caught.value.param, caught.value.code) == (param, "unsupported_value")
    assert plain.json()["text"] == "Hello world."
