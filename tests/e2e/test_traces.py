"""One trace from a request to its rows, on a real server, kept by OpenTelemetry's own exporter for tests."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.e2e.speaker import COMPLETED, speaker, speech
from tests.support import LiveServer, Sample, live_server, until

exporters = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="the extra otel is not installed"
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Traces:
    """What was kept so far."""

    def __init__(self) -> None:
        self.exporter = exporters.InMemorySpanExporter()

    def spans(self, root: str) -> list[Any]:
        """All of the last trace whose first span has this name, as they began; waits for it."""
        until(lambda: any(span.name == root for span in self.exporter.get_finished_spans()))
        kept = self.exporter.get_finished_spans()
        [*_, first] = [span for span in kept if span.name == root]
        own = [span for span in kept if span.context.trace_id == first.context.trace_id]
        return sorted(own, key=lambda span: span.start_time)


@pytest.fixture(scope="module")
def traces() -> Traces:
    """Of this module's server."""
    return Traces()


@pytest.fixture(scope="module")
def traced(quick_whisper: WhisperSpec, traces: Traces) -> Iterator[LiveServer]:
    """A server whose traces are kept."""
    sdk, export = (pytest.importorskip(f"opentelemetry.sdk.{name}") for name in ("trace", "trace.export"))
    otel = pytest.importorskip("gateway.tracing.otel", exc_type=ImportError)
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export.SimpleSpanProcessor(traces.exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.app.open_tracer", lambda _: otel.OtelTracer(provider))
        with live_server([quick_whisper]) as server:
            yield server


def parent(spans: list[Any], span: Any) -> str | None:
    """The name of the span above."""
    return next(
        (each.name for each in spans if span.parent and each.context.span_id == span.parent.span_id), None
    )


def named(spans: list[Any], name: str) -> list[Any]:
    """Those of this name."""
    return [span for span in spans if span.name == name]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_recording(traced: LiveServer, traces: Traces, samples: dict[str, Sample], stream: str) -> None:
    """Upload, decoding, answer, and each row with its wait and its call; the client's trace goes on."""
    sample = samples["en_numbers"]
    traces.exporter.clear()
    answer = httpx.post(
        f"{traced.url}/v1/audio/transcriptions",
        data={"model": "gpt-4o-transcribe", "stream": stream, "prompt": "a secret"},
        files={"file": sample.path.read_bytes()},
        headers=GIVEN,
        timeout=60,
    )
    assert answer.status_code == 200
    spans = traces.spans("POST request")
    above = {span.name: parent(spans, span) for span in spans}
    root = spans[0]

    assert (f"{root.context.trace_id:032x}", f"{root.parent.span_id:016x}") == (TRACE, PARENT)
    assert above == {
        "POST request": None,
        "upload": "POST request",
        "decode and cut": "POST request",
        "answer": "POST request",
        "row": "POST request",
        "queue": "row",
        "engine call": "row",
    }
    assert dict(root.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/audio/transcriptions",
        "http.response.status_code": 200,
        "gateway.request_id": answer.headers["x-request-id"],
    }
    [cut] = named(spans, "decode and cut")
    assert cut.attributes["seconds"] == pytest.approx(sample.duration, abs=0.1)
    for row in named(spans, "row"):
        inside = [span for span in spans if span.parent and span.parent.span_id == row.context.span_id]
        assert [span.name for span in inside] == ["queue", "engine call"]
        assert row.start_time <= inside[0].start_time <= inside[0].end_time <= inside[1].start_time
        assert inside[1].end_time <= row.end_time
    assert "secret" not in " ".join(span.to_json() for span in spans)


def test_a_refusal(traced: LiveServer, traces: Traces) -> None:
    """Its reason stands in the trace, as it does in metrics and log."""
    traces.exporter.clear()
    traced.post(model="no-such-model", file=("a.wav", b"x"))
    root = traces.spans("POST request")[0]

    assert root.status.description == root.attributes["error.type"] == "model_not_found"
    assert root.attributes["http.response.status_code"] == 404


def test_probes_are_not_traced(traced: LiveServer, traces: Traces) -> None:
    """They would be most of all traces."""
    traces.exporter.clear()
    for path in ("/health", "/ready", "/metrics"):
        httpx.get(traced.url + path, headers=GIVEN)
    httpx.get(f"{traced.url}/v1/models")

    assert [span.name for span in traces.spans("GET request")] == ["GET request"]
    assert len(traces.exporter.get_finished_spans()) == 1


def test_a_session(traced: LiveServer, traces: Traces, samples: dict[str, Sample]) -> None:
    """Each turn from where speech begins to its text, with its rows; all of them in the session's trace."""
    traces.exporter.clear()
    with speaker(traced, model="gpt-4o-transcribe", options={"additional_headers": GIVEN}) as session:
        for _ in range(2):
            session.say(speech(samples["en_hello"].path))
            session.until(COMPLETED)
        items = [event["item_id"] for event in session.all(COMPLETED)]
    spans = traces.spans("session")
    turns = named(spans, "turn")

    assert f"{spans[0].context.trace_id:032x}" == TRACE
    assert spans[0].attributes["http.route"] == "/v1/realtime"
    assert [turn.attributes["item_id"] for turn in turns] == items
    for turn in turns:
        events = [event.name for event in turn.events]
        assert (events[0], events[-1]) == ("speech started", "words") or "speech ended" in events
        assert parent(spans, turn) == "session"
    assert {parent(spans, row) for row in named(spans, "row")} == {"turn"}
    assert {parent(spans, call) for call in named(spans, "engine call")} == {"row"}
