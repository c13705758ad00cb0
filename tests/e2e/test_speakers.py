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
from openai.types.realtime import ConversationItemInputAudioTranscriptionSegment
from websockets.sync.client import connect

from tests.audio.sound import Encoding, encode, int16, load, wav
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

    for segment in segments:
        ConversationItemInputAudioTranscriptionSegment.model_validate(segment, strict=True)
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


def _call(samples: dict[str, Sample], channels: int = 2) -> bytes:
    """Two people on two channels, who speak one after the other; further channels are silent."""
    voice = load(samples["en_hello"].path)
    call = np.zeros((4 * len(voice), channels), np.float32)
    call[: len(voice), 1] = call[3 * len(voice) :, 0] = voice
    return wav(int16(call))


def test_channels(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Each channel is a speaker, in order of time, in every format; nothing is listened to for it."""
    fields = {"model": MODEL, "channels": "speakers", "file": _call(samples)}
    answers = {
        form: server.post(response_format=form, **fields)
        for form in ("diarized_json", "verbose_json", "srt", "vtt", "text", "json")
    }
    segments = answers["diarized_json"].json()["segments"]
    TranscriptionDiarized.model_validate(answers["diarized_json"].json(), strict=True)

    assert {form: answer.status_code for form, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert [segment["speaker"] for segment in segments] == ["B", "A"]
    assert [segment["speaker"] for segment in answers["verbose_json"].json()["segments"]] == ["B", "A"]
    assert answers["srt"].text.index("B: ") < answers["srt"].text.index("A: ")
    assert answers["vtt"].text.index("<v B>") < answers["vtt"].text.index("<v A>")
    text = " ".join(segment["text"] for segment in segments)
    assert answers["json"].json()["text"] == answers["text"].text.strip() == text


def test_channels_streamed(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The event stream and the plain WebSocket have the same segments; names go by the channels."""
    stream = server.openai.audio.transcriptions.create(
        model=MODEL,
        file=_call(samples),
        response_format="diarized_json",
        stream=True,
        known_speaker_names=["Ann & <b>", "Bob"],
        extra_body={"channels": "speakers"},
    )
    told = [
        TranscriptionTextSegmentEvent.model_validate(event.model_dump(), strict=True)
        for event in stream
        if event.type == "transcript.text.segment"
    ]
    url = f"{server.url.replace('http', 'ws')}/v1/audio/transcriptions"
    with connect(f"{url}?model={MODEL}&response_format=diarized_json&channels=speakers") as socket:
        socket.send(_call(samples))
        socket.send(json.dumps({"type": "input_audio.end"}))
        *frames, _ = [json.loads(str(frame)) for frame in socket if frame != "[DONE]"]
    subtitles = server.post(
        model=MODEL,
        channels="speakers",
        response_format="vtt",
        file=_call(samples),
        **{"known_speaker_names[]": ["Ann & <b>", "Bob"]},
    ).text

    assert [segment.speaker for segment in told] == ["Bob", "Ann & <b>"]
    assert [frame["speaker"] for frame in frames if "speaker" in frame] == ["B", "A"]
    assert "<v Ann &amp; &lt;b&gt;>" in subtitles


@pytest.mark.parametrize(
    ("fields", "channels", "param"),
    [
        ({}, 1, "channels"),
        ({"stream": "true"}, 1, "channels"),
        ({}, 9, "channels"),
        ({"channels": "both"}, 2, "channels"),
        ({"num_speakers": "2"}, 2, "num_speakers"),
        ({"known_speaker_names[]": ["a", "b", "c"]}, 2, "known_speaker_names"),
        (
            {"known_speaker_names[]": ["a"], "known_speaker_references[]": [_url(3)]},
            2,
            "known_speaker_references",
        ),
    ],
)
def test_channels_that_cannot_be_speakers(
    server: LiveServer, samples: dict[str, Sample], fields: dict[str, Any], channels: int, param: str
) -> None:
    """Each is a 400 that names its parameter, of a stream, too."""
    file = wav(int16(load(samples["en_hello"].path))) if channels == 1 else _call(samples, channels)

    refused = server.post(**{"model": "whisper-1", "channels": "speakers", "file": file, **fields})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_silent_channels(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Nobody speaks: no segments. One speaks: the others have none."""
    alone = np.zeros((40_000, 2), np.float32)
    nobody = server.post(
        model=MODEL, channels="speakers", response_format="diarized_json", file=wav(int16(alone))
    )
    voice = load(samples["en_hello"].path)[: len(alone)]
    alone[: len(voice), 1] = voice
    one = server.post(
        model=MODEL, channels="speakers", response_format="diarized_json", file=wav(int16(alone))
    )

    assert nobody.json()["segments"] == []
    assert {segment["speaker"] for segment in one.json()["segments"]} == {"B"}
