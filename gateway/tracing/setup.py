"""Whether anything is traced: only where the standard OTEL_* variables name somebody to send it to."""

import logging
from collections.abc import Mapping

from gateway.tracing import NoTracer, Tracer

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Without one of these nothing is traced: the library's own default would be a port of this machine."""

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

HTTP = "http/protobuf"


def open_tracer(environ: Mapping[str, str]) -> Tracer:
    """What the variables ask for; where they ask for nothing, no library is loaded.

    They may be those of a whole machine, and mean others: what cannot be done is said in the log, and is no
    reason not to start.
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none"
    endpoint = _first(environ, ENDPOINTS)
    if not endpoint or is_off:
        return NoTracer()
    protocol = _first(environ, PROTOCOLS) or HTTP
    if exporter != "otlp" or protocol != HTTP:
        logger.warning(
            "no traces: %s over %s is asked for, and otlp over %s is what there is", exporter, protocol, HTTP
        )
        return NoTracer()
    try:
        from gateway.tracing.otel import OtelTracer, exporting_provider  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        logger.warning("no traces: pip install 'transcription-gateway[otel]' brings what sends them")
        return NoTracer()
    logger.info("traces go to %s", endpoint.partition("?")[0])
    return OtelTracer(exporting_provider())


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
