"""Scripted sessions with a server: what `test_recorded` compares.

One client at a time, which waits for the answer before it goes on, so that no frame depends on timing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.recorder import Log, Socket, mulaw, pcm, quiet, slices, wave

TESTS = Path(__file__).parent.parent
JFK = TESTS / "samples" / "jfk.flac"
HELLO = TESTS / "mini-whisper" / "samples" / "en_hello.flac"
NUMBERS = TESTS / "mini-whisper" / "samples" / "en_numbers.flac"
NOISE = TESTS / "mini-whisper" / "samples" / "silence_noise.flac"

KEY = "the-right-key"
SERVERS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"live_partials": False, "max_upload_bytes": 1_200_000, "max_audio_seconds": 60.0},
    "strict": {
        "live_partials": False,
        "strict_openai": True,
        "logprobs": "always",
        "api_keys": (KEY,),
        "session_secret": "secret",
    },
    "small": {
        "live_partials": False,
        "default_chunking": "block",
        "max_session_seconds": 2.0,
        "max_stream_bytes": 60_000,
        "max_audio_seconds": 5.0,
    },
    "crowded": {"live_partials": False, "max_streams": 1, "max_sessions": 1},
}
"""The settings of the servers that the sessions need."""

Script = Callable[[Log], None]

SCRIPTS: dict[str, tuple[str, Script]] = {}
"""By name, with the server that each is for."""


def script(server: str = "plain") -> Callable[[Script], Script]:
    """Adds a script, for this server."""

    def add(function: Script) -> Script:
        SCRIPTS[function.__name__] = server, function
        return function

    return add


COMPLETED = "input_audio_transcription.completed"
REALTIME = "/v1/realtime"
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@contextmanager
def realtime(log: Log, model: str = "", **options: Any) -> Iterator[Socket]:
    """A live session, behind its first event."""
    query = {"intent": "transcription", **({"model": model} if model else {})}
    with log.websocket(REALTIME, query, **options) as socket:
        socket.receive()
        yield socket


@script()
def server_vad(log: Log) -> None:
    """Two utterances with a long pause between them, in appends of odd sizes; a pause within the first."""
    with realtime(log, "whisper-1") as socket:
        socket.update(turn_detection={"type": "server_vad", "silence_duration_ms": 2_000})
        socket.append(pcm(JFK, 24_000, 3.0), (1, 4_799, 24_001, 7))
        socket.until(COMPLETED)
        socket.append(pcm(HELLO, 24_000, 1.5), (9_600,))
        socket.until(COMPLETED)
        socket.update()


@script()
def semantic_vad(log: Log) -> None:
    """The words before a pause say how long it may be."""
    with realtime(log, "whisper-1") as socket:
        for eagerness in ("high", "low"):
            socket.update(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
            socket.append(pcm(HELLO, 24_000, 9.0))
            socket.until(COMPLETED)


@script()
def vad_settings(log: Log) -> None:
    """Other thresholds, paddings and silences."""
    with realtime(log, "whisper-1") as socket:
        turns = {"type": "server_vad", "threshold": 0.7, "prefix_padding_ms": 100, "silence_duration_ms": 900}
        socket.update(turn_detection=turns)
        socket.append(pcm(NUMBERS, 24_000, 2.0))
        socket.until(COMPLETED)
        socket.update(turn_detection={"silence_duration_ms": 200})
        socket.append(pcm(HELLO, 24_000, 1.0))
        socket.until(COMPLETED)


@script()
def commits(log: Log) -> None:
    """The client says when a turn ends; too little audio is a mistake, and so is none."""
    with realtime(log, "whisper-1") as socket:
        socket.update(turn_detection=None)
        socket.event("input_audio_buffer.commit", event_id="mine-1")
        socket.receive()
        socket.append(quiet(24_000, 0.05))
        socket.event("input_audio_buffer.commit", event_id="mine-2")
        socket.receive()
        socket.append(pcm(HELLO, 24_000), (3_333,))
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)
        socket.append(quiet(24_000, 1.0))
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)
        socket.append(pcm(JFK, 24_000))
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)


@script()
def commit_in_mid_speech(log: Log) -> None:
    """Turn detection or not, a commit ends the turn."""
    with realtime(log, "whisper-1") as socket:
        socket.append(pcm(JFK, 24_000)[: 24_000 * 2 * 2])
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)


@script()
def clear(log: Log) -> None:
    """What is cleared in mid-speech has no text, and the next utterance is whole."""
    with realtime(log, "whisper-1") as socket:
        socket.append(pcm(JFK, 24_000)[: 24_000 * 2 * 2])
        socket.event("input_audio_buffer.clear", event_id="mine")
        socket.until("cleared")
        socket.append(quiet(24_000, 1.0) + pcm(HELLO, 24_000, 1.5))
        socket.until(COMPLETED)
        socket.update(turn_detection=None)
        socket.append(pcm(HELLO, 24_000))
        socket.event("input_audio_buffer.clear")
        socket.until("cleared")
        socket.event("input_audio_buffer.commit")
        socket.receive()


@script()
def idle(log: Log) -> None:
    """Nobody speaks."""
    with realtime(log, "whisper-1") as socket:
        socket.update(turn_detection={"type": "server_vad", "idle_timeout_ms": 5_000})
        socket.append(quiet(24_000, 6.0))
        socket.until(COMPLETED)
        socket.append(pcm(HELLO, 24_000, 1.0))
        socket.until(COMPLETED)


@script()
def formats(log: Log) -> None:
    """G.711 and other rates."""
    with realtime(log, "whisper-1") as socket:
        socket.update(format={"type": "audio/pcmu"})
        socket.append(mulaw(HELLO, 1.5), (801,))
        socket.until(COMPLETED)
        socket.update(format={"type": "audio/pcma"})
        socket.update(format={"type": "audio/pcm", "rate": 16_000})
        socket.append(pcm(HELLO, 16_000, 1.5), (641,))
        socket.until(COMPLETED)
        socket.update(format={"type": "audio/pcm"})


@script()
def settings(log: Log) -> None:
    """What a session can be set to, part by part; absent is unchanged, null clears."""
    with realtime(log, "gpt-4o-transcribe") as socket:
        transcriptions: list[dict[str, Any] | None] = [
            {"language": "de"},
            {"languages": ["en", "de"]},
            {"prompt": "About numbers.", "keywords": ["seven", "eleven"]},
            {"delay": "low"},
            {"language": None, "languages": [], "prompt": None, "keywords": [], "delay": None},
            {"model": "whisper-1", "language": "en"},
            None,
            {"model": "scripted"},
        ]
        for transcription in transcriptions:
            socket.update(transcription=transcription)
        for noise in (
            {"type": "near_field"},
            {"type": "far_field", "strength": 0.5},
            {"type": "near_field"},
            None,
        ):
            socket.update(noise_reduction=noise)
        socket.event("session.update", session={"include": ["item.input_audio_transcription.logprobs"]})
        socket.receive()
        socket.event("session.update", session={"include": []}, event_id="mine")
        socket.receive()
        socket.event("session.update", session={})
        socket.receive()


@script()
def settings_at_work(log: Log) -> None:
    """Log-probabilities, a language, noise reduction, and no transcription at all."""
    with realtime(log, "gpt-4o-transcribe") as socket:
        socket.update(transcription={"language": "de"}, noise_reduction={"type": "near_field"})
        socket.event("session.update", session={"include": ["item.input_audio_transcription.logprobs"]})
        socket.receive()
        socket.append(pcm(HELLO, 24_000, 1.5))
        socket.until(COMPLETED)
        socket.update(transcription=None)
        socket.append(pcm(HELLO, 24_000, 1.5))
        socket.until("item.done")


@script()
def mistakes_in_settings(log: Log) -> None:
    """Wrong values and wrong types: each an error that names the parameter, and nothing changes."""
    with realtime(log, "whisper-1") as socket:
        mistakes: list[dict[str, Any]] = [
            {"format": {"type": "audio/mp3"}},
            {"format": {"type": "audio/pcmu", "rate": 16_000}},
            {"format": {"rate": "24000"}},
            {"format": {"rate": 4_000}},
            {"format": "pcm16"},
            {"transcription": {"model": "nobody"}},
            {"transcription": {"model": 7}},
            {"transcription": {"language": "klingon"}},
            {"transcription": {"language": "ja"}},
            {"transcription": {"language": "en", "languages": ["de"]}},
            {"transcription": {"languages": "en"}},
            {"transcription": {"delay": "none"}},
            {"transcription": {"prompt": ["no text"]}},
            {"transcription": {"prompt": "a" * 70_000}},
            {"transcription": {"keywords": ["a" * 2_000]}},
            {"transcription": "whisper-1"},
            {"noise_reduction": {"type": "no_field"}},
            {"noise_reduction": {"type": "near_field", "strength": 2}},
            {"turn_detection": {"type": "telepathy"}},
            {"turn_detection": {"type": "server_vad", "threshold": 3}},
            {"turn_detection": {"type": "server_vad", "threshold": "0.5"}},
            {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 100}},
            {"turn_detection": {"type": "server_vad", "silence_duration_ms": -1}},
            {"turn_detection": {"type": "semantic_vad", "eagerness": "great"}},
            {"turn_detection": []},
        ]
        for given in mistakes:
            session = {"type": "transcription", "audio": {"input": given}}
            frame = json.dumps({"type": "session.update", "event_id": "mine", "session": session})
            socket.send(frame, frame[:200])
            socket.receive()
        sessions: list[Any] = [
            {"type": "realtime", "instructions": "Sing."},
            {"surprise": 1},
            {"audio": {"input": {"turn_detection": {"treshold": 0.5}}}},
            {"type": "transcription", "audio": []},
            {"type": "transcription", "audio": {"input": 1}},
            {"include": ["everything"]},
            {"include": "item.input_audio_transcription.logprobs"},
            None,
            "a session",
        ]
        for session in sessions:
            socket.event("session.update", session=session)
            socket.receive()
        for flat in (
            {"input_audio_format": "g711_ulaw", "turn_detection": None},
            {"input_audio_format": "mp3"},
        ):
            socket.event("transcription_session.update", session=flat)
            socket.receive()
        socket.event("session.update")
        socket.receive()
        socket.update(turn_detection=None)
        socket.update(turn_detection={"threshold": 0.5})


@script()
def mistakes_in_frames(log: Log) -> None:
    """Frames that are no command: the session goes on."""
    with realtime(log) as socket:
        frames: list[str | bytes] = [
            "",
            "no JSON",
            "[]",
            "7",
            "{}",
            "[" * 5_000,
            json.dumps({"type": "response.create", "event_id": "mine"}),
            json.dumps({"type": "conversation.item.create"}),
            json.dumps({"type": "input_audio_buffer.juggle"}),
            json.dumps({"type": 7}),
            json.dumps({"type": "ä" * 100}),
            json.dumps({"type": "input_audio_buffer.append"}),
            json.dumps({"type": "input_audio_buffer.append", "audio": 7}),
            json.dumps({"type": "input_audio_buffer.append", "audio": "@@@@", "event_id": "mine"}),
            json.dumps({"type": "input_audio_buffer.append", "audio": "AA=A"}),
            json.dumps({"type": "input_audio_buffer.clear", "event_id": 7}),
            json.dumps({"type": "input_audio_buffer.clear", "event_id": "i" * 600}),
            json.dumps({"type": "session.update", "session": {"pad": "p" * 600_000}}),
            b"\xff\xfe",
            json.dumps({"type": "input_audio_buffer.clear"}).encode(),
            json.dumps({"type": "session.update", "session": {}}).encode(),
        ]
        for frame in frames:
            socket.send(frame, None if len(frame) < 200 else f"{frame[:40]!r} and so on")
            socket.receive()


@script()
def names(log: Log) -> None:
    """What a model's name says about usage, and which one says that there are no turns."""
    for model in (
        "",
        "whisper-1",
        "openai/whisper-1",
        "openai/gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "scripted",
    ):
        with realtime(log, model) as socket:
            socket.append(pcm(HELLO, 24_000, 1.5))
            socket.until(COMPLETED)
    with realtime(log, "gpt-live-transcribe") as socket:
        socket.update(turn_detection={"type": "server_vad"})
        socket.append(pcm(HELLO, 24_000, 1.5))
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)
        socket.update(transcription={"model": "whisper-1"}, turn_detection={"type": "server_vad"})


@script()
def refused_sessions(log: Log) -> None:
    """Live sessions that never begin."""
    for path, query in (
        (REALTIME, {"intent": "conversation"}),
        (REALTIME, {"model": "nobody"}),
        ("/project/v1/realtime", {"model": "nobody"}),
    ):
        with log.websocket(path, query) as socket:
            socket.ended()
    with log.websocket(REALTIME, {}, subprotocols=["realtime"]) as socket:
        socket.receive()
    with pytest.raises(InvalidStatus) as caught, log.websocket("/v1/telepathy", {}):
        pass
    log.came("status", str(caught.value.response.status_code))


@script("small")
def longest_session(log: Log) -> None:
    """At its end what was said is told."""
    with realtime(log, "whisper-1") as socket:
        socket.append(pcm(HELLO, 24_000))
        socket.ended()


@script("crowded")
def places(log: Log) -> None:
    """One session and one stream at a time."""
    with realtime(log), log.websocket(REALTIME, {}) as second:
        second.ended()
    audio = {"model": "whisper-1", "format": "pcm16", "sample_rate": 16_000}
    with log.websocket(TRANSCRIPTIONS, audio) as first, log.websocket(TRANSCRIPTIONS, audio) as second:
        second.ended()
        log.post(file=HELLO.read_bytes(), model="whisper-1")
        first.send(quiet(16_000, 1.0))
        first.send('{"type":"input_audio.end"}')
        first.ended()


@script("strict")
def keys(log: Log) -> None:
    """Real keys open everything, wrong ones nothing."""
    right = {"Authorization": f"Bearer {KEY}"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, right):
        log.request("GET", "/v1/models/whisper-1", str(headers), headers=headers)
        log.post(file=HELLO.read_bytes(), model="whisper-1", headers=headers)
        with log.websocket(REALTIME, {}, additional_headers=headers) as socket:
            if headers is right:
                socket.receive()
            else:
                socket.ended()
        with log.websocket(TRANSCRIPTIONS, {"model": "nobody"}, additional_headers=headers) as socket:
            socket.ended()
    log.request("GET", "/health")
    log.request("OPTIONS", "/v1/models")
    with realtime(log, subprotocols=["realtime", f"openai-insecure-api-key.{KEY}"]):
        pass
    with log.websocket(REALTIME, {}, subprotocols=["realtime", "openai-insecure-api-key.no"]) as socket:
        socket.ended()


@script("strict")
def ephemeral_keys(log: Log) -> None:
    """Made with settings, which the session then has."""
    right = {"Authorization": f"Bearer {KEY}"}
    session = {
        "type": "transcription",
        "audio": {
            "input": {"transcription": {"model": "whisper-1", "language": "de"}, "turn_detection": None}
        },
    }
    old = {"input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
    for path, bodies in {
        "client_secrets": [
            {},
            {"session": session},
            {"expires_after": {"anchor": "created_at", "seconds": 7_200}, "session": session},
            {"expires_after": {"anchor": "created_at", "seconds": 5}},
            {"expires_after": {"anchor": "birth"}},
            {"session": {"type": "realtime"}},
            {"session": {"audio": {"input": {"transcription": {"model": "nobody"}}}}},
            {"session": []},
        ],
        "transcription_sessions": [
            {},
            old,
            {**old, "turn_detection": None, "include": ["item.input_audio_transcription.logprobs"]},
            {"input_audio_format": "mp3"},
            {"input_audio_transcription": {"model": "nobody"}},
            {"input_audio_noise_reduction": {"type": "no_field"}},
        ],
    }.items():
        for body in bodies:
            log.request("POST", f"/v1/realtime/{path}", json.dumps(body), json=body, headers=right)
        log.request("POST", f"/v1/realtime/{path}", "no JSON", content=b"{", headers=right)
        log.request("POST", f"/v1/realtime/{path}", "without a key", json={})
        log.request("GET", f"/v1/realtime/{path}", headers=right)
    made = log.request(
        "POST", "/v1/realtime/client_secrets", "with", json={"session": session}, headers=right
    )
    key = {"Authorization": f"Bearer {made.json()['value']}"}
    with realtime(log, additional_headers=key) as socket:
        socket.append(pcm(HELLO, 24_000))
        socket.event("input_audio_buffer.commit")
        socket.until(COMPLETED)
    log.request("GET", "/v1/models", "with an ephemeral key", headers=key)
    with log.websocket(REALTIME, {}, additional_headers={"Authorization": "Bearer ek_forged"}) as socket:
        socket.ended()


def _stream(log: Log, query: Mapping[str, Any], *frames: str | bytes, end: bool = True) -> None:
    with log.websocket(TRANSCRIPTIONS, query) as socket:
        for frame in frames:
            socket.send(frame)
        if end:
            socket.send('{"type":"input_audio.end"}')
        socket.ended()


@script()
def audio_websocket(log: Log) -> None:
    """Bare samples and containers."""
    samples = {"model": "whisper-1", "format": "pcm16", "sample_rate": 16_000}
    _stream(log, samples, *slices(pcm(JFK, 16_000), (32_001, 7, 65_000)))
    _stream(log, {**samples, "include[]": "logprobs", "language": "de"}, pcm(HELLO, 16_000))
    _stream(log, {**samples, "response_format": "verbose_json"}, pcm(NUMBERS, 16_000, 1.0))
    words = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    _stream(log, {**samples, **words}, pcm(HELLO, 16_000, 1.0))
    _stream(log, {"model": "gpt-4o-transcribe"}, *slices(HELLO.read_bytes(), (5_000,)))
    _stream(log, {"model": "scripted"}, HELLO.read_bytes())
    _stream(log, samples, quiet(16_000, 2.0))


@script()
def audio_websocket_mistakes(log: Log) -> None:
    """What ends it, with which code."""
    samples = {"model": "whisper-1", "format": "pcm16", "sample_rate": 16_000}
    queries: list[dict[str, Any]] = [
        {},
        {"model": "nobody"},
        {"model": "whisper-1", "format": "pcm16"},
        {"model": "whisper-1", "sample_rate": 16_000},
        {"model": "whisper-1", "format": "mp3", "sample_rate": 16_000},
        {**samples, "sample_rate": 100},
        {**samples, "response_format": "srt"},
        {**samples, "interim_results": "perhaps"},
        {**samples, "language": "klingon"},
    ]
    for query in queries:
        _stream(log, query, end=False)
    _stream(log, samples, "no JSON", end=False)
    _stream(log, samples, '{"type":"input_audio.begin"}', end=False)
    _stream(log, samples, "[]", end=False)
    _stream(log, samples)
    _stream(log, {"model": "whisper-1"}, b"no audio at all")
    _stream(log, {"model": "whisper-1"}, HELLO.read_bytes()[:3_000])


@script("small")
def audio_websocket_limits(log: Log) -> None:
    """Too long, and too large."""
    _stream(
        log, {"model": "whisper-1", "format": "pcm16", "sample_rate": 8_000}, quiet(8_000, 6.0), end=False
    )
    _stream(log, {"model": "whisper-1"}, bytes(60_001), end=False)


@script()
def response_formats(log: Log) -> None:
    """Every format, of a recording with a pause, with names of each kind."""
    audio, silence = JFK.read_bytes(), wave(quiet(16_000, 2.0), 16_000)
    for response_format in ("json", "text", "srt", "vtt", "verbose_json"):
        for model in ("whisper-1", "openai/gpt-4o-transcribe"):
            log.post(file=audio, model=model, response_format=response_format)
        log.post(
            file=silence,
            model="scripted",
            response_format=response_format,
        )
    log.post(file=audio, model="gpt-4o-transcribe")
    log.post(file=audio, model="openai/whisper-1", language="de")
    for granularities in (["word"], ["segment"], ["word", "segment"]):
        verbose: dict[str, Any] = {"timestamp_granularities[]": granularities}
        log.post(file=audio, model="whisper-1", response_format="verbose_json", **verbose)
    log.post(file=audio, model="gpt-4o-transcribe", **{"include[]": "logprobs"})
    log.post(
        file=audio, model="gpt-4o-transcribe", include='["logprobs"]', temperature="0.4", prompt="Numbers."
    )
    log.request(
        "POST",
        "/project/v1/audio/transcriptions",
        "in a project",
        data={"model": "whisper-1"},
        files={"file": ("a", audio)},
    )


@script()
def streams(log: Log) -> None:
    """Event streams."""
    audio = JFK.read_bytes()
    for fields in (
        {},
        {"response_format": "text"},
        {"response_format": "verbose_json"},
        {"response_format": "verbose_json", "timestamp_granularities[]": ["word"]},
        {"include[]": "logprobs"},
    ):
        for model in ("whisper-1", "gpt-4o-transcribe", "scripted"):
            log.post(file=audio, model=model, stream="true", **fields)
    log.post(file=NUMBERS.read_bytes(), model="openai/whisper-1", stream="true", language="de")
    log.post(file=wave(quiet(16_000, 2.0), 16_000), model="whisper-1", stream="true")
    log.post(file=b"no audio", model="whisper-1", stream="true")


@script()
def chunking(log: Log) -> None:
    """Chunking strategies."""
    audio = JFK.read_bytes()
    for strategy in (
        "auto",
        '{"type": "server_vad"}',
        '{"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 200, "prefix_padding_ms": 0}',
        "block",
        "vad",
        '{"type": "server_vad", "threshold": 7}',
        '{"type": "telepathy"}',
        "{",
    ):
        log.post(file=audio, model="whisper-1", response_format="verbose_json", chunking_strategy=strategy)
    nested = {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.5"}
    log.post(file=audio, model="whisper-1", response_format="srt", **nested)


@script("small")
def blocks(log: Log) -> None:
    """Whisper's own windows where nothing is said about chunking; what is too long for this server."""
    for stream in ("false", "true"):
        log.post(file=HELLO.read_bytes(), model="whisper-1", response_format="verbose_json", stream=stream)
    log.post(file=HELLO.read_bytes(), model="whisper-1", chunking_strategy="auto")
    for stream in ("false", "true"):
        log.post(file=NUMBERS.read_bytes(), model="whisper-1", stream=stream)
        log.post(file=JFK.read_bytes(), model="whisper-1", stream=stream)


@script()
def translations(log: Log) -> None:
    """The other task."""
    audio = NUMBERS.read_bytes()
    for response_format in ("json", "text", "srt", "vtt", "verbose_json"):
        log.post("translations", file=audio, model="whisper-1", response_format=response_format)
    log.post("translations", file=audio, model="whisper-1", stream="true", language="de", prompt="Numbers.")
    log.post("translations", file=audio, model="nobody")
    log.post("translations", file=None, model="whisper-1")


@script()
def refusals(log: Log) -> None:
    """What a form may not say."""
    audio = HELLO.read_bytes()
    log.post(file=None)
    log.post(file=None, model="whisper-1")
    log.post(file=audio)
    mistakes: list[dict[str, Any]] = [
        {"model": "nobody"},
        {"model": ""},
        {"response_format": "pdf"},
        {"response_format": "diarized_json"},
        {"response_format": "srt", "stream": "true"},
        {"response_format": "text", "include[]": "logprobs"},
        {"include[]": "everything"},
        {"timestamp_granularities[]": "word"},
        {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
        {"temperature": "hot"},
        {"temperature": "3"},
        {"language": "klingon"},
        {"language": "ja"},
        {"language": "en", "languages[]": "de"},
        {"languages[]": ["en", "xx"]},
        {"stream": "perhaps"},
        {"model[]": "whisper-1"},
        {"keywords[]": "a" * 2_000},
        {"model": "gpt-4o-transcribe-diarize", "prompt": "Numbers."},
        {"known_speaker_names[]": "me"},
        {"known_speaker_names[]": "me", "known_speaker_references[]": "http://me"},
        {"known_speaker_names[]": "me", "known_speaker_references[]": "data:audio/wav;base64,AA"},
        {"odd[name": "1"},
    ]
    for fields in mistakes:
        log.post(file=audio, **({"model": "whisper-1"} | fields))
    for file in (b"", b"no audio", audio[:200], wave(b"", 16_000), wave(quiet(16_000, 0.01), 16_000)):
        log.post(file=file, model="whisper-1")
    log.post(file=wave(quiet(8_000, 61.0), 8_000), model="whisper-1")
    log.post(file=bytes(1_200_001), model="whisper-1")
    log.post(file=audio, model="whisper-1", unknown="field")


@script()
def bodies(log: Log) -> None:
    """Bodies by hand: fields after the file, and what is no form."""
    path, boundary = TRANSCRIPTIONS, "x"
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}

    def part(name: str, value: bytes) -> bytes:
        return b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)

    audio, end = part("file", HELLO.read_bytes()), b"--x--\r\n"
    model, text = part("model", b"whisper-1"), part("response_format", b"text")
    stream = part("stream", b"true")
    for note, body in {
        "all after the file": audio + model + text + end,
        "format after the file": model + audio + text + end,
        "stream after the file": model + audio + stream + end,
        "the same once more": model + text + audio + model + text + end,
        "wrong after the file": model + audio + part("response_format", b"pdf") + end,
        "another model after the file": model + audio + part("model", b"nobody") + end,
        "two files": model + audio + audio + end,
        "no end": model + audio,
        "no form": b"nothing",
        "empty": b"",
    }.items():
        log.request("POST", path, note, content=body, headers=headers)
    log.request("POST", path, "JSON", json={"model": "whisper-1"})
    log.request("POST", path, "no boundary", content=b"", headers={"content-type": "multipart/form-data"})


@script("strict")
def strictly(log: Log) -> None:
    """What OpenAI refuses, too; log-probabilities in every stream."""
    right, audio = {"Authorization": f"Bearer {KEY}"}, HELLO.read_bytes()
    questions: list[dict[str, Any]] = [
        {"unknown": "field"},
        {"temperature": "1.5"},
        {"model": "gpt-4o-transcribe", "response_format": "srt"},
        {"model": "whisper-1", "include[]": "logprobs"},
        {"model": "gpt-4o-transcribe", "timestamp_granularities[]": "segment"},
        {"model": "whisper-1", "keywords[]": "seven"},
        {"model": "gpt-transcribe", "keywords[]": "seven", "languages[]": ["en", "de"]},
        {"model": "gpt-4o-transcribe-diarize", "response_format": "text"},
        {"model": "whisper-1", "stream": "true"},
        {"model": "gpt-4o-transcribe", "stream": "true"},
        {"model": "scripted", "stream": "true"},
    ]
    for fields in questions:
        log.post(file=audio, headers=right, **({"model": "whisper-1"} | fields))
    log.post("translations", file=audio, headers=right, model="whisper-1", language="de")
    with log.websocket(TRANSCRIPTIONS, {"model": "gpt-4o-transcribe"}, additional_headers=right) as socket:
        socket.send(audio)
        socket.send('{"type":"input_audio.end"}')
        socket.ended()


@script()
def pages(log: Log) -> None:
    """What there is to read, and what there is not."""
    for path in ("/v1/models", "/v1/models/whisper-1", "/v1/models/openai/whisper-1", "/v1/models/nobody"):
        log.request("GET", path)
    for path in (
        "/health",
        "/ready",
        "/openapi.json",
        "/nowhere",
        "/v1/nowhere",
        "/v1/models/",
        "/docs/nothing",
    ):
        log.request("GET", path)
    log.request("POST", "/v1/models")
    log.request("DELETE", "/v1/audio/transcriptions")
    log.request("GET", "/v1/audio/translations")
    log.request("HEAD", "/ready")
    metrics = httpx.get(f"{log.url}/metrics").text.splitlines()
    # A labelled counter says when it was created once it was used: that depends on the sessions before.
    kinds = (line for line in metrics if line.startswith("# TYPE gateway") and "_created " not in line)
    log.came("metrics", "\n".join(sorted(kinds)))
