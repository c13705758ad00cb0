"""Traces by OpenTelemetry's SDK, which reads the standard OTEL_* variables: endpoint, headers, sampler."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import __version__
from gateway.tracing import Span, Value

NAME = "gateway"
"""Of the service, where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say nothing."""


def exporting_provider() -> TracerProvider:
    """One that sends spans over OTLP, from a thread of its own, and drops what nobody takes in time."""
    named = Resource({SERVICE_VERSION: __version__}).merge(Resource.create())
    if str(named.attributes[SERVICE_NAME]).startswith("unknown_service"):
        named = named.merge(Resource({SERVICE_NAME: NAME}))
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class OtelTracer:
    """A `Tracer` on a provider of the SDK, which is not made the process' own: libraries trace nothing."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(NAME, __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, headers: Mapping[str, str], **attributes: Value) -> Span:
        """See `Tracer`."""
        carrier = {key: headers[key] for key in ("traceparent", "tracestate") if key in headers}
        context = self._propagator.extract(carrier, Context())
        span = self._tracer.start_span(name, context, SpanKind.SERVER, _dotted(attributes))
        return OtelSpan(self._tracer, span)

    def close(self) -> None:
        """See `Tracer`."""
        self._provider.shutdown()


class OtelSpan:
    """A `Span` that is kept."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def trace_id(self) -> str:
        """See `Span`."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def child(self, name: str, **attributes: Value) -> Span:
        """See `Span`."""
        context = trace.set_span_in_context(self._span, Context())
        return OtelSpan(self._tracer, self._tracer.start_span(name, context, attributes=_dotted(attributes)))

    def note(self, **attributes: Value) -> None:
        """See `Span`."""
        self._span.set_attributes(_dotted(attributes))

    def mark(self, event: str) -> None:
        """See `Span`."""
        if self._span.is_recording():
            self._span.add_event(event)

    def fail(self, reason: str) -> None:
        """See `Span`."""
        self._span.set_status(StatusCode.ERROR, reason)
        self._span.set_attribute("error.type", reason)

    def end(self) -> None:
        """See `Span`."""
        if self._span.is_recording():  # the SDK complains about a second end
            self._span.end()


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Names with dots, as conventions have them, are written with two underscores in calls."""
    return {name.replace("__", "."): value for name, value in attributes.items()}
