"""The plain WebSocket gives what the POST gives, while the audio still arrives, and ends in order, always."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from gateway.engine.whisper.engine import WhisperSpec
from tests.audio.sound import ENCODINGS, encode, int16, load
from tests.support import MODEL, LiveServer, Sample, live_server, until

END = json.dumps({"type": "input_audio.end"})


def _open(server: LiveServer | str, path: str = "", **query: Any) -> ClientConnection:
    url = server if isinstance(server, str) else server.url
    fields = urlencode({"model": "whisper-1", **query}, doseq=True)
    return connect(
        f"{url.replace('http', 'ws', 1)}{path}/v1/audio/transcriptions?{fields}",
        open_timeout=120,
        max_size=None,
    )


def _frames(data: bytes, *sizes: int) -> Iterator[bytes]:
    """The data in frames of these sizes, in turn."""
    start = 0
    while start < len(data):
        for size in sizes:
            yield data[start : start + size]
            start += size


def _events(server: LiveServer, frames: Iterable[bytes], **query: Any) -> list[dict[str, Any]]:
    """All of a session that must end well."""
    with _open(server, **query) as session:
        for frame in frames:
            session.send(frame)
        session.send(END)
        *events, last = [str(message) for message in session]

        assert last == "[DONE]"
        assert session.protocol.close_code == 1000
    return [json.loads(event) for event in events]


def _posted(server: LiveServer, file: bytes, **fields: Any) -> list[dict[str, Any]]:
    """The same of the POST's event stream."""
    answer = server.post(model="whisper-1", file=("a", file), stream="true", **fields)
    *events, last = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]

    assert last == "[DONE]"
    return [json.loads(event) for event in events]


def _take_logprobs(events: list[dict[str, Any]]) -> list[float]:
    """Takes the numbers out of the events."""
    return [token.pop("logprob") for event in events for token in event.get("logprobs", [])]


def _pcm(sample: Sample) -> bytes:
    return int16(load(sample.path)).tobytes()


def _error(session: Connection) -> tuple[dict[str, Any], int, str]:
    """The error that a session ends with, its close code and reason; events before it are skipped."""
    messages: list[str] = []
    with pytest.raises(ConnectionClosedError) as caught:
        while True:
            messages.append(str(session.recv(timeout=120)))
    error = json.loads(messages[-1])["error"]

    assert set(error) == {"message", "type", "param", "code"}
    assert "[DONE]" not in messages
    assert caught.value.rcvd is not None
    return error, caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("en_hello", (1 << 20,)),
        ("en_hello", (4_096,)),
        ("en_nato_8k", (1, 3_001, 7)),
        ("de_zahlen", (10_001, 3)),
        ("silence_noise", (999,)),
        ("en_long", (1, 3_001, 7)),
    ],
)
def test_the_events_are_those_of_the_post(
    server: LiveServer, samples: dict[str, Sample], name: str, sizes: tuple[int, ...]
) -> None:
    """However the file is cut into frames: the same deltas, the same log-probabilities, the same done."""
    file = samples[name].path.read_bytes()
    query = {"include[]": "logprobs"}

    events = _events(server, _frames(file, *sizes), **query)

    posted = _posted(server, file, **query)

    # Which rows share a batch depends on when they come, and moves a log-probability in its fourth digit.
    assert _take_logprobs(events) == pytest.approx(_take_logprobs(posted), abs=0.01)
    assert events == posted
    assert events[-1]["text"] == samples[name].text


def test_single_bytes(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The smallest frames of all."""
    file = encode(load(samples["en_hello"].path), ENCODINGS["ogg"])

    assert _events(server, _frames(file, 1)) == _posted(server, file)


@pytest.mark.parametrize("name", ["wav", "mp3", "m4a", "mp4_fragmented", "ogg", "webm", "mkv", "aac"])
def test_containers(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """Any container, also one whose index is at its end."""
    file = encode(load(samples["en_numbers"].path), ENCODINGS[name])
    events = _events(server, _frames(file, 5_000))

    assert events == _posted(server, file)
    assert events[-1]["text"] == samples["en_numbers"].text


@pytest.mark.parametrize("sizes", [(640,), (1, 2, 1_001)])
@pytest.mark.parametrize("name", ["en_flite_slt", "es_hola"])
def test_raw_samples(
    server: LiveServer, samples: dict[str, Sample], name: str, sizes: tuple[int, ...]
) -> None:
    """Samples without a container are the same audio; a frame may end within a sample."""
    events = _events(server, _frames(_pcm(samples[name]), *sizes), format="pcm16", sample_rate=16_000)

    assert events == _posted(server, samples[name].path.read_bytes())


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_raw_samples_at_other_rates(server: LiveServer, samples: dict[str, Sample], rate: int) -> None:
    """The rate is what the query says."""
    original = load(samples["en_numbers"].path)
    at = np.arange(round(len(original) * rate / 16_000)) * 16_000 / rate
    pcm = int16(np.interp(at, np.arange(len(original)), original).astype(np.float32)).tobytes()
    events = _events(server, _frames(pcm, 9_999), format="pcm16", sample_rate=rate)

    assert events[-1]["text"] == samples["en_numbers"].text


@pytest.mark.parametrize("raw", [False, True])
def test_words_come_while_the_audio_still_arrives(
    server: LiveServer, samples: dict[str, Sample], *, raw: bool
) -> None:
    """A client that sends a third and waits for words gets them; then it sends the rest."""
    sample = samples["en_long"]
    data = _pcm(sample) if raw else sample.path.read_bytes()
    query: dict[str, Any] = {"format": "pcm16", "sample_rate": 16_000} if raw else {}
    third = len(data) // 3
    with _open(server, **query) as session:
        for frame in _frames(data[:third], 3_000):
            session.send(frame)
        first = json.loads(session.recv(timeout=120))
        for frame in _frames(data[third:], 3_000):
            session.send(frame)
        session.send(END)
        *rest, _ = [str(message) for message in session]
    events = [first, *map(json.loads, rest)]

    assert first["type"] == "transcript.text.delta"
    assert sample.text.startswith(first["delta"])
    assert events == _posted(server, sample.path.read_bytes())


def _is_worked_on(server: LiveServer, seconds: float) -> bool:
    waiting = server.metric("gateway_running_rows") + server.metric("gateway_queue_rows")
    return server.metric("gateway_audio_seconds_total") >= seconds and not waiting


def _speak(server: LiveServer, session: Connection, pcm: bytes) -> None:
    """Sends half a second whenever the server has worked on the one before, partials included."""
    heard, sent = server.metric("gateway_audio_seconds_total"), 0
    for frame in _frames(pcm, 16_000):
        session.send(frame)
        sent += len(frame)
        # A last piece of less than a quarter of a second is decoded when the input ends.
        until(partial(_is_worked_on, server, heard + sent / 32_000 - 0.3))
    session.send(END)


def test_interim_results(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Live speech is told before its chunk is cut, and later chunks' too; all other events are the POST's.

    What a caption shows is right but for its last word, at least once before the first delta.
    """
    sample = samples["en_dialogue"]
    with _open(server, format="pcm16", sample_rate=16_000, interim_results="true") as session:
        _speak(server, session, _pcm(sample))
        *messages, last = [str(message) for message in session]
    events = [json.loads(message) for message in messages]
    types = [event["type"] for event in events]
    first = types.index("transcript.text.delta")
    behind_it = types[first:].index("transcript.text.interim") + first
    captions = [event["text"] for event in events[:first]]

    assert last == "[DONE]"
    assert _without_interims(events) == _posted(server, sample.path.read_bytes())
    assert set(types[:first]) == {"transcript.text.interim"}
    assert any(sample.text.startswith(text.rpartition(" ")[0]) for text in captions if " " in text)
    assert "transcript.text.delta" in types[behind_it:]
    # The full stop before it is among what waits for the words after it.
    assert events[behind_it]["text"].lstrip(".").startswith(" ")
    assert types[-1] == "transcript.text.done"


def test_interim_results_of_a_file(server: LiveServer, samples: dict[str, Sample]) -> None:
    """What arrives faster than it is read costs hardly a row more, and the events are the POST's."""
    sample = samples["en_dialogue"]
    expected = _posted(server, sample.path.read_bytes())
    before = server.metric("gateway_decoded_rows_total")
    _posted(server, sample.path.read_bytes())
    rows = server.metric("gateway_decoded_rows_total") - before
    events = _events(server, [_pcm(sample)], format="pcm16", sample_rate=16_000, interim_results="true")

    assert _without_interims(events) == expected
    assert server.metric("gateway_decoded_rows_total") - before - rows <= rows + 1


def _without_interims(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] != "transcript.text.interim"]


def test_segments(server: LiveServer, samples: dict[str, Sample]) -> None:
    """verbose_json brings segment events with their words, as in the POST."""
    file = samples["en_dialogue"].path.read_bytes()
    query = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}

    events = _events(server, _frames(file, 9_000), **query)

    assert events == _posted(server, file, **query)
    assert sum(event["type"] == "transcript.text.segment" for event in events) > 1
    assert all(event["words"] for event in events if event["type"] == "transcript.text.segment")


def test_parameters_count(server: LiveServer, samples: dict[str, Sample]) -> None:
    """VAD object, language and a project's prefix: the query is obeyed like the form."""
    with _open(
        server,
        "/my-project",
        language="de",
        chunking_strategy='{"type":"server_vad","silence_duration_ms":700}',
    ) as session:
        session.send(samples["de_zahlen"].path.read_bytes())
        session.send(END)
        *_, done, last = [str(message) for message in session]

    assert last == "[DONE]"
    assert json.loads(done)["text"] == samples["de_zahlen"].text
    assert json.loads(done)["languages"] == [{"code": "de"}]


BAD_QUERIES: dict[str, tuple[dict[str, Any], str, int]] = {
    "unknown model": ({"model": "nope"}, "model", 1008),
    "unknown language": ({"language": "klingon"}, "language", 1008),
    "subtitles": ({"response_format": "srt"}, "response_format", 1008),
    "no rate": ({"format": "pcm16"}, "sample_rate", 1008),
    "a rate too high": ({"format": "pcm16", "sample_rate": 96_000}, "sample_rate", 1008),
    "track 0": ({"track": 0}, "track", 1008),
    "perhaps partials": ({"interim_results": "perhaps"}, "interim_results", 1008),
}


@pytest.mark.parametrize("case", BAD_QUERIES)
def test_queries_are_refused_in_a_frame(server: LiveServer, case: str) -> None:
    """The handshake succeeds, so that browsers see why; then the error and its code."""
    query, param, code = BAD_QUERIES[case]
    with _open(server, **query) as session:
        error, closed, reason = _error(session)

    assert (error["param"], closed) == (param, code)
    assert error["message"].startswith(reason)


BAD_FRAMES: dict[str, tuple[list[bytes | str], dict[str, Any], int]] = {
    "no JSON": (["hello"], {"code": "invalid_json"}, 1007),
    "unknown type": (['{"type":"session.update"}'], {"code": "unknown_message", "param": "type"}, 1003),
    "nothing": ([END], {"param": "file"}, 1007),
    "no audio": ([b"Not a song. " * 500, END], {"param": "file"}, 1007),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_bad_frames(server: LiveServer, samples: dict[str, Sample], case: str) -> None:
    """Each mistake is told, with the code that fits; the next session is served."""
    frames, expected, code = BAD_FRAMES[case]
    with _open(server) as session:
        with suppress(ConnectionClosed):
            for frame in frames:
                session.send(frame)
        error, closed, _ = _error(session)

    assert closed == code
    assert expected.items() <= error.items()
    assert _events(server, [samples["en_hello"].path.read_bytes()])[-1]["text"] == "Hello world."


def test_audio_behind_the_end(server: LiveServer, samples: dict[str, Sample]) -> None:
    """The end is the end; what was said before it may still be heard."""
    with _open(server) as session:
        session.send(samples["en_long"].path.read_bytes())
        session.send(END)
        session.send(b"more")
        error, code, _ = _error(session)

    assert "behind the end" in error["message"]
    assert code == 1008


def test_limits(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """Of samples so many seconds, of a container so many bytes; what came before is still transcribed."""
    pcm, file = _pcm(samples["en_long"]), samples["en_long"].path.read_bytes()
    with live_server([mini_whisper], max_audio_seconds=60, max_stream_bytes=len(file) // 2) as server:
        queries: list[tuple[bytes, dict[str, Any]]] = [
            (pcm, {"format": "pcm16", "sample_rate": 16_000}),
            (file, {}),
        ]
        for data, query in queries:
            with _open(server, **query) as session:
                with suppress(ConnectionClosed):
                    for frame in _frames(data, 10_000):
                        session.send(frame)
                error, code, _ = _error(session)

            assert code == 1009
            assert ("60 seconds" if query else str(len(file) // 2)) in error["message"]
            assert error["param"] == "file"


def test_keys(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """As a header, or as browsers send it; without one, nobody is served."""
    with live_server([mini_whisper], api_keys=("secret",)) as server:
        url = server.url.replace("http", "ws", 1) + "/v1/audio/transcriptions?model=whisper-1"
        with connect(url, subprotocols=["realtime"]) as session:  # type: ignore[list-item]  # a NewType of str
            error, code, _ = _error(session)

            assert (error["code"], code) == ("invalid_api_key", 1008)
        ways: list[dict[str, Any]] = [
            {"additional_headers": {"Authorization": "Bearer secret"}},
            {"subprotocols": ["realtime", "openai-insecure-api-key.secret"]},
        ]
        for options in ways:
            with connect(url, **options) as session:
                session.send(samples["en_hello"].path.read_bytes())
                session.send(END)
                *_, done, _ = [str(message) for message in session]

                assert json.loads(done)["text"] == "Hello world."
                assert session.subprotocol == ("realtime" if "subprotocols" in options else None)


def test_a_silent_client_is_told_and_left(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """Nothing for too long: what was said so far is dropped, the place is free for another."""
    with live_server([mini_whisper], upload_timeout=0.2, max_streams=1) as server:
        for _ in range(2):
            with _open(server) as session:
                with suppress(ConnectionClosed):  # it may be left before it begins
                    session.send(samples["en_long"].path.read_bytes()[:20_000])
                error, code, _ = _error(session)

            assert "0.2 seconds" in error["message"]
            assert code == 1008


def test_overload(mini_whisper: WhisperSpec) -> None:
    """More than the server takes: told at once, with the code after which clients come back."""
    with live_server([mini_whisper], max_streams=1) as server, _open(server) as first:
        first.send(b"RIFF")
        until(lambda: server.metric("gateway_open_streams"))
        with _open(server) as second:
            error, code, _ = _error(second)

        assert (error["code"], code) == ("rate_limit_exceeded", 1013)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("abruptly", [False, True])
def test_a_client_that_leaves_frees_everything(
    mini_whisper: WhisperSpec, samples: dict[str, Sample], *, ended: bool, abruptly: bool
) -> None:
    """Politely or not, in mid-stream or behind its end: no row, no place, no thread, no file is left."""
    with live_server([mini_whisper], max_streams=1) as server:
        before = _spools()
        with _open(server, format="pcm16", sample_rate=16_000) as session:
            for _ in range(4):
                session.send(_pcm(samples["en_long"]))
            if ended:
                session.send(END)
            until(lambda: server.metric("gateway_decoded_rows_total"))

            assert _spools() > before
            if abruptly:
                session.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: not (server.metric("gateway_open_streams") or server.metric("gateway_queue_rows")))
        decoded = server.metric("gateway_decoded_rows_total")

        assert _events(server, [samples["en_hello"].path.read_bytes()])[-1]["text"] == "Hello world."
        # The batch that was running when the client left was finished; no other was begun.
        assert server.metric("gateway_decoded_rows_total") <= decoded + 8 + 1
        assert _spools() == before


def test_the_end_of_the_server(samples: dict[str, Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM: a session gets the grace period, then an error and 1012; the log keeps prompts to itself."""
    monkeypatch.setenv("GATEWAY_SHUTDOWN_GRACE", "0.2")
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "debug")
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", "0", "--model", str(MODEL)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = next(line.split("running on ")[1].split()[0] for line in process.stderr if "running on" in line)
        until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        with _open(url, prompt="my secret words") as session:
            session.send(samples["en_long"].path.read_bytes()[:-1_000])
            first = json.loads(session.recv(timeout=120))
            process.send_signal(signal.SIGTERM)
            error, code, _ = _error(session)

        assert first["type"] == "transcript.text.delta"
        assert "shutting down" in error["message"]
        assert code == 1012
        assert process.wait(timeout=120) == 0
        log = process.stderr.read()
        assert "/v1/audio/transcriptions" in log
        assert "secret" not in log
        assert first["delta"].strip() not in log
    finally:
        process.kill()
        process.communicate()


def _value(text: str, name: str) -> float:
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith(name) and line[len(name)] in " {"
    )


def _spools() -> int:
    """Deleted files that this process, which the server runs in, still holds open."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += descriptor.readlink().name.endswith("(deleted)")
    return count
