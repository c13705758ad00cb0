"""Traces are off unless the standard variables say where they go, and then no library is loaded for them."""

import logging
import os
import subprocess
import sys

import pytest

from gateway.tracing import NoTracer, within
from gateway.tracing.setup import open_tracer
from tests.collector import Collector
from tests.scripted import ScriptedSpec
from tests.support import Sample, live_server

SOMEWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    "more",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_off(more: dict[str, str]) -> None:
    """Nowhere to send them, or told not to."""
    assert isinstance(open_tracer({}), NoTracer)
    assert isinstance(open_tracer(SOMEWHERE | more), NoTracer)


@pytest.mark.parametrize(
    "more", [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}]
)
def test_what_cannot_be_done_is_said(more: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """The variables may be those of a whole machine: the server starts all the same."""
    assert isinstance(open_tracer(SOMEWHERE | more), NoTracer)
    assert "no traces" in caplog.text
    assert next(iter(more.values())) in caplog.text


def test_the_extra_may_be_missing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What would bring it is said."""
    monkeypatch.setitem(sys.modules, "gateway.tracing.otel", None)

    assert isinstance(open_tracer(SOMEWHERE), NoTracer)
    assert "[otel]" in caplog.text


@pytest.mark.slow
def test_nothing_is_loaded_where_nothing_is_asked_for() -> None:
    """A whole application is wired, and OpenTelemetry is not there."""
    code = """
import sys
from gateway.app import Gateway
from gateway.engine.lifecycle import ModelPlan
from gateway.settings import Settings
from tests.scripted import ScriptedSpec
Gateway(Settings(), [ModelPlan("m", ScriptedSpec)])
sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run([sys.executable, "-c", code], env=kept, check=False, timeout=120)

    assert run.returncode == 0


@pytest.mark.parametrize("name", ["", "captions"])
def test_spans_are_sent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """To the address of the variable, with the service's name, whole and nested, when the server ends."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")
    messages = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    caplog.set_level(logging.INFO, "gateway")
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        if name:
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        tracer = open_tracer(os.environ)
        root = tracer.begin("request", {})
        with within(root):
            root.child("row", gateway__rows=3).end()
        root.end()
        tracer.close()

    assert collector.url in caplog.text
    [(path, body)] = collector.received
    message = messages.ExportTraceServiceRequest.FromString(body)
    [resource] = message.resource_spans
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    row, request = resource.scope_spans[0].spans
    assert path == "/v1/traces"
    assert attributes["service.name"] == (name or "gateway")
    assert (row.name, row.parent_span_id, row.trace_id) == ("row", request.span_id, request.trace_id)
    assert row.attributes[0].key == "gateway.rows"


def test_a_server_sends_them(monkeypatch: pytest.MonkeyPatch, samples: dict[str, Sample]) -> None:
    """To the collector of the variable, those of its last request, too, before it has ended."""
    messages = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with live_server([ScriptedSpec(name="scripted")]) as server:
            server.post(model="scripted", file=("a.flac", samples["en_hello"].path.read_bytes()))
    spans = [
        span
        for _, body in collector.received
        for resource in messages.ExportTraceServiceRequest.FromString(body).resource_spans
        for span in resource.scope_spans[0].spans
    ]

    assert {"POST request", "row", "queue", "engine call"} <= {span.name for span in spans}
    assert len({span.trace_id for span in spans}) == 1
