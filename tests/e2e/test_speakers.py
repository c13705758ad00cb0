"""Who spoke, over every wire, by the official clients: their types parse each answer and event strictly."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import BadRequestError
from openai.types.audio import (
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
)
from websockets.sync.client import connect

from tests.audio.sound import Encoding, encode, load
from tests.e2e.speaker import COMPLETED, TRANSCRIPTION, speaker, speech
from tests.scripted import ScriptedSpec
from tests.support import LiveServer, Sample, live_server

MODEL = "gpt-4o-transcribe-diarize"
WAV = Encoding("wav", "pcm_s16le", 16_000)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """The scripted engine, and toy networks to which all sound is a voice."""
    with live_server([ScriptedSpec()]) as running:
        yield running


def _url(seconds: float) -> str:
    noise = np.random.default_rng(0).standard_normal(round(seconds * 16_000)) * 0.1
    return "data:audio/wav;base64," + base64.b64encode(encode(noise.astype(np.float32), WAV)).decode()


def _diarized(server: LiveServer, path: Path, **extra: Any) -> TranscriptionDiarized:
    return server.openai.audio.transcriptions.create(
        model=MODEL, file=path, response_format="diarized_json", chunking_strategy="auto", extra_body=extra
    )


def test_plain(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The documented example: segments with a letter, whose texts join to the text; usage in tokens."""
    answer = _diarized(server, samples["en_dialogue"].path)

    checked = TranscriptionDiarized.model_validate(answer.model_dump(), strict=True)
    assert checked.segments[0].speaker == "A"
    assert " ".join(segment.text for segment in checked.segments) == checked.text
    assert [segment.id for segment in checked.segments] == [
        f"seg_{at:03}" for at in range(len(checked.segments))
    ]
    assert checked.usage is not None
    assert checked.usage.type == "tokens"


def test_streamed(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Deltas name their segment, which closes after them with its speaker; all join to the plain text."""
    path = samples["en_dialogue"].path
    stream = server.openai.audio.transcriptions.create(
        model=MODEL, file=path, response_format="diarized_json", chunking_strategy="auto", stream=True
    )
    *events, done = stream
    texts, closed = dict[str | None, str](), list[str]()
    for event in events:
        if event.type == "transcript.text.delta":
            delta = TranscriptionTextDeltaEvent.model_validate(event.model_dump(), strict=True)
            assert delta.segment_id not in closed
            texts[delta.segment_id] = texts.get(delta.segment_id, "") + delta.delta
        else:
            segment = TranscriptionTextSegmentEvent.model_validate(event.model_dump(), strict=True)
            assert segment.speaker == "A"
            assert texts[segment.id].strip() == segment.text
            closed.append(segment.id)

    assert done.type == "transcript.text.done"
    assert TranscriptionTextDoneEvent.model_validate(done.model_dump(), strict=True).text == "".join(
        texts.values()
    )
    assert list(texts) == closed
    assert done.text == _diarized(server, path).text


def test_known_speaker(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The one whose voice the reference is has its name; strangers keep letters."""
    path = samples["en_dialogue"].path
    sound = load(path)[: 5 * 16_000]
    url = "data:audio/wav;base64," + base64.b64encode(encode(sound, WAV)).decode()

    names = {
        segment.speaker
        for segment in _diarized(
            server, path, known_speaker_names=["Agent"], known_speaker_references=[url]
        ).segments
    }

    assert "Agent" in names


@pytest.mark.parametrize(
    ("references", "message"),
    [
        (["http://me"], "data URL"),
        (["data:audio/wav;base64,%%"], "base64"),
        (["data:audio/wav;base64,AAAA"], "cannot be decoded"),
        ([_url(1.5)], "2 to 10 seconds"),
        ([_url(10.5)], "2 to 10 seconds"),
        ([_url(3), _url(3)], "each name needs"),
    ],
)
def test_bad_references(
    server: LiveServer, samples: dict[str, Sample], references: list[str], message: str
) -> None:
    """Each is a 400 of the references."""
    with pytest.raises(BadRequestError, match=message) as caught:
        _diarized(
            server,
            samples["en_hello"].path,
            known_speaker_names=["Ann"],
            known_speaker_references=references,
        )
    assert caught.value.param == "known_speaker_references"


def test_silent_reference(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A reference without a voice is refused, too."""
    silence = base64.b64encode(encode(np.zeros(48_000, np.float32), WAV)).decode()

    with pytest.raises(BadRequestError, match="Nobody speaks"):
        _diarized(
            server,
            samples["en_hello"].path,
            known_speaker_names=["Ann"],
            known_speaker_references=[f"data:audio/wav;base64,{silence}"],
        )


@pytest.mark.parametrize("stream", [False, True])
def test_long_recordings_want_a_strategy(
    server: LiveServer, samples: dict[str, Sample], *, stream: bool
) -> None:
    """As OpenAI's: beyond 30 s a diarizing model must be told how to cut; other names need not be."""
    path = samples["en_long"].path

    with pytest.raises(BadRequestError) as caught:
        server.openai.audio.transcriptions.create(
            model=MODEL, file=path, response_format="diarized_json", extra_body={"stream": stream}
        )
    other = server.post(model="whisper-1", response_format="diarized_json", file=path.read_bytes())

    assert caught.value.param == "chunking_strategy"
    assert other.status_code == 200


@pytest.mark.parametrize(("form", "expected"), [("srt", "A: "), ("vtt", "<v A>")])
def test_subtitles(server: LiveServer, samples: dict[str, Sample], form: str, expected: str) -> None:
    """Cues carry names where a diarizing model, or a number of speakers, is asked for; else none."""
    file = samples["en_hello"].path.read_bytes()

    diarizing = server.post(model=MODEL, response_format=form, file=file).text
    counted = server.post(model="whisper-1", response_format=form, max_speakers="2", file=file).text
    plain = server.post(model="whisper-1", response_format=form, file=file).text

    assert expected in diarizing
    assert expected in counted
    assert expected not in plain


def test_verbose_json(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Segments have their speaker beside OpenAI's fields where speakers are asked for."""
    file = samples["en_hello"].path.read_bytes()
    asked = server.post(model="whisper-1", response_format="verbose_json", num_speakers="1", file=file).json()
    plain = server.post(model="whisper-1", response_format="verbose_json", file=file).json()

    assert {segment["speaker"] for segment in asked["segments"]} == {"A"}
    assert all("speaker" not in segment for segment in plain["segments"])


def test_any_model_may_end_so(server: LiveServer, samples: dict[str, Sample]) -> None:
    """A served model's name with the ending is that model, diarizing."""
    answer = server.post(
        model="scripted-diarize", response_format="vtt", file=samples["en_hello"].path.read_bytes()
    )

    assert "<v A>" in answer.text


def test_websocket(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The plain WebSocket has the event stream's events."""
    url = f"{server.url.replace('http', 'ws')}/v1/audio/transcriptions"
    query = f"model={MODEL}&response_format=diarized_json&chunking_strategy=auto"
    with connect(f"{url}?{query}") as socket:
        socket.send(samples["en_dialogue"].path.read_bytes())
        socket.send(json.dumps({"type": "input_audio.end"}))
        frames = [str(frame) for frame in socket]
    events = [json.loads(frame) for frame in frames[:-1]]
    segments = [event for event in events if event["type"] == "transcript.text.segment"]

    assert frames[-1] == "[DONE]"
    assert {segment["speaker"] for segment in segments} >= {"A"}
    assert {event["segment_id"] for event in events if "delta" in event} == {each["id"] for each in segments}


def test_realtime(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Each item's segments come before it is completed, and join to its text."""
    with speaker(server, model=MODEL) as client:
        client.say(speech(samples["en_hello"].path))
        done = client.until(COMPLETED)
        segments = client.all(f"{TRANSCRIPTION}.segment")

    assert {segment["speaker"] for segment in segments} == {"A"}
    assert " ".join(segment["text"] for segment in segments) == done["transcript"]
    assert {segment["item_id"] for segment in segments} == {done["item_id"]}


def test_without_networks(samples: dict[str, Sample], tmp_path: Path) -> None:
    """A 400 that says how to get them; what tells nobody apart works."""
    with live_server([ScriptedSpec()], speakers=str(tmp_path)) as server:
        file = samples["en_hello"].path.read_bytes()
        refused = server.post(model=MODEL, response_format="diarized_json", file=file)
        text = server.post(model=MODEL, response_format="text", file=file)

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "response_format")
    assert "gateway models pull speakers" in refused.json()["error"]["message"]
    assert text.status_code == 200
