"""What operators watch moves when clients do what it counts: asked over the wire, read as Prometheus does."""

import threading
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.engine.whisper.engine import WhisperSpec
from gateway.flow.session import AHEAD_SECONDS
from tests.e2e.speaker import COMPLETED, speaker, speech
from tests.scripted import ScriptedSpec
from tests.support import LiveServer, Sample, live_server, until


class Seen:
    """The metrics of a server at one time."""

    def __init__(self, server: LiveServer) -> None:
        answer = httpx.get(f"{server.url}/metrics")
        self._samples = [
            sample for family in text_string_to_metric_families(answer.text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of what has these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def names(self) -> set[str]:
        """Of all samples."""
        return {sample.name for sample in self._samples}


@pytest.fixture(scope="module")
def watched(quick_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """A server of this module's own, with limits that are soon reached."""
    with live_server([quick_whisper], max_sessions=1, client_sessions=1, client_streams=2) as server:
        yield server


def test_a_recording_moves_them(watched: LiveServer, samples: dict[str, Sample]) -> None:
    """Requests, time before the engine, waiting, batches, audio, first words and the real-time factor."""
    sample, before = samples["en_numbers"], Seen(watched)
    with sample.path.open("rb") as file:
        answer = watched.openai.audio.transcriptions.create(model="gpt-4o-transcribe", file=file, stream=True)
        assert [*answer]
    until(lambda: Seen(watched)("gateway_request_seconds_count", endpoint="/v1/audio/transcriptions"))
    after = Seen(watched)

    for name, labels in (
        ("gateway_requests_total", {"endpoint": "/v1/audio/transcriptions", "status": "200"}),
        ("gateway_first_delta_seconds_count", {"source": "recording"}),
        ("gateway_real_time_factor_count", {}),
        ("gateway_queue_seconds_count", {"class": "file"}),
        ("gateway_batch_rows_count", {}),
        ("gateway_batch_seconds_sum", {}),
        ("gateway_decoded_rows_total", {}),
        ("gateway_cut_seconds_total", {"source": "recording", "stage": "decode"}),
        ("gateway_cut_seconds_total", {"source": "recording", "stage": "cut"}),
        ("gateway_stage_seconds_total", {"stage": "search"}),
    ):
        assert after(name, **labels) > before(name, **labels), (name, labels)
    heard = after("gateway_audio_seconds_total") - before("gateway_audio_seconds_total")
    assert heard == pytest.approx(sample.duration, abs=0.1)
    assert after("gateway_decoded_audio_seconds_total") > before("gateway_decoded_audio_seconds_total")


def test_a_speaker_moves_them(watched: LiveServer, samples: dict[str, Sample]) -> None:
    """Who sends no faster than people speak: first words, end of speech to text, waiting by class."""
    before = Seen(watched)
    with speaker(watched, model="gpt-4o-transcribe") as session:
        # So little that nobody can tell it from a microphone after a hiccup of its network.
        sample = samples["en_hello"]
        begin, end = sample.utterances[0]["start"] - 0.1, sample.utterances[-1]["end"] + 0.7
        said = speech(sample.path)[round(begin * 24_000) * 2 : round(end * 24_000) * 2]
        assert len(said) < AHEAD_SECONDS * 24_000 * 2
        session.say(said)
        session.until(COMPLETED)
        during = Seen(watched)
    after = Seen(watched)

    assert during("gateway_live_sessions") == 1
    assert during("gateway_open_connections") > 1
    for name, labels in (
        ("gateway_first_delta_seconds_count", {"source": "live"}),
        ("gateway_speech_end_to_final_seconds_count", {}),
        ("gateway_live_final_seconds_count", {}),
        ("gateway_queue_seconds_count", {"class": "live_final"}),
        ("gateway_cut_seconds_total", {"source": "live"}),
    ):
        assert after(name, **labels) > before(name, **labels), (name, labels)
    late = after("gateway_speech_end_to_final_seconds_sum") - before(
        "gateway_speech_end_to_final_seconds_sum"
    )
    assert 0 < late < 60


def test_refusals_tell_why(watched: LiveServer, samples: dict[str, Sample]) -> None:
    """By reason: an unknown model, no audio, a mistake in a live session, a client with too many sessions."""
    before = Seen(watched)
    watched.post(model="no-such-model", file=("a.wav", b"x"))
    watched.post(model="gpt-4o-transcribe", file=("a.wav", b"x" * 2000))
    with speaker(watched, model="gpt-4o-transcribe") as session:
        session.receive()
        session.send("no.such.event")
        session.until("error")
        with speaker(watched, model="gpt-4o-transcribe") as second:
            second.closed()
            second.events.clear()
        session.events.clear()
    after = Seen(watched)
    name = "gateway_refusals_total"

    for reason in ("model_not_found", "invalid_audio", "client_sessions"):
        assert after(name, reason=reason) == before(name, reason=reason) + 1, reason
    assert after(name, status="400") == before(name, status="400") + 2


def test_limits_and_resources(watched: LiveServer) -> None:
    """Memory of the server and of its workers, handles, and each bound beside what it bounds."""
    seen = Seen(watched)

    assert seen("process_resident_memory_bytes") > 10e6
    assert seen("gateway_worker_memory_bytes", worker="0") > 10e6
    assert seen("gateway_worker_cpu_seconds_total") > 0
    assert 0 < seen("process_open_fds") < seen("process_max_fds")
    assert seen("gateway_live_sessions_limit") == 1
    assert seen("gateway_open_streams_limit") == 64
    assert seen("gateway_queue_limit_rows") == 640
    assert seen("gateway_live_waiting_limit_bytes") > 1e6
    assert seen("gateway_workers") == seen("gateway_workers_ready") == 1
    assert {"gateway_unsent_bytes", "gateway_spool_bytes", "gateway_queue_oldest_seconds"} <= seen.names()


def test_a_queue_is_seen_while_it_waits(samples: dict[str, Sample]) -> None:
    """Depth by class, how long the oldest waits, the call under way and the spool; all at rest behind it."""
    spec = ScriptedSpec(name="slow", row_seconds=1.0, max_batch=1)
    recording = samples["en_numbers"].path
    seen = []

    def waits() -> bool:
        seen.append(Seen(server))
        return all(
            seen[-1](f"gateway_{name}")
            for name in ("queue_rows", "queue_oldest_seconds", "batch_oldest_seconds", "spool_bytes")
        )

    with live_server([spec]) as server:
        ask = partial(server.post, model="slow", file=("a.wav", recording.read_bytes()))
        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        until(waits)
        for thread in asking:
            thread.join()
        rest = Seen(server)

    assert seen[-1]("gateway_queue_rows") == seen[-1]("gateway_queue_rows", **{"class": "file"})
    assert seen[-1]("gateway_open_streams") > 0
    for name in ("queue_rows", "queue_oldest_seconds", "batch_oldest_seconds", "spool_bytes", "open_streams"):
        assert rest(f"gateway_{name}") == 0, name
