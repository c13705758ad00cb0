"""Health tells the truth: alive at once, ready when a worker can serve, and how each worker is."""

import httpx
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.scripted import Act, ScriptedSpec
from tests.support import LiveServer, live_server


def test_health_says_what_is_in_use(server: LiveServer) -> None:
    """Version, Silero file, models and their workers."""
    body = httpx.get(f"{server.url}/health").json()

    assert body["status"] == "ok"
    assert body["vad"].endswith(".onnx")
    assert body["models"] == {
        "mini-whisper": {
            "state": "ready",
            "detail": None,
            "workers": [{"state": "ready", "reason": None}],
        }
    }
    assert httpx.get(f"{server.url}/ready").status_code == 200


def test_metrics(server: LiveServer) -> None:
    """Prometheus can read every gauge of every queue."""
    text = httpx.get(f"{server.url}/metrics").text

    assert 'gateway_queue_rows{class="file",model="mini-whisper"} 0.0' in text
    assert 'gateway_workers_ready{model="mini-whisper"} 1.0' in text


def test_a_model_that_cannot_be_loaded(mini_whisper: WhisperSpec) -> None:
    """An unpinned one costs its own requests a 503 and says that it failed; the server stays ready."""
    broken = ScriptedSpec(name="broken", fault=Act.RAISE)
    with live_server([mini_whisper, broken], unpinned=["broken"]) as server:
        refused = server.post(model="broken", file=("a.wav", b"x"))
        health = httpx.get(f"{server.url}/health").json()["models"]
        ready = httpx.get(f"{server.url}/ready")

    assert (health["broken"]["state"], health["mini-whisper"]["state"]) == ("failed", "ready")
    assert ready.status_code == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_may_use_head(server: LiveServer, path: str) -> None:
    """Load balancers ask with HEAD."""
    assert httpx.head(server.url + path).status_code == 200
