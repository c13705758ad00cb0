"""How the log looks: lines or JSON, with request ids, without queries, and bounded in its lines."""

import json
import logging
import logging.config
import time
from collections.abc import Callable
from typing import Any, Literal

from gateway.tracing import current

LINES_PER_SECOND = 200
"""More are counted and dropped: a flood of refusals must not become a flood of the disk."""

_QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "sse_starlette", "python_multipart")

_SECONDS = "%Y-%m-%dT%H:%M:%S"

_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})
"""What every record has; the rest are fields of the message's own."""


def configure_logging(level: str, form: Literal["text", "json"] = "text") -> None:
    """All records to standard error."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"text": {"()": TextFormatter}, "json": {"()": JsonFormatter}},
            "filters": {
                "without_query": {"()": WithoutQuery},
                "rate": {"()": RateLimit},
                "trace": {"()": WithTrace},
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": form,
                    "filters": ["rate", "without_query", "trace"],
                }
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                # Per-request lines of HTTP clients and of the stream encoder would repeat what we log.
                **{name: {"level": "WARNING"} for name in _QUIET},
                # At debug level it logs headers and frames of WebSockets: keys and transcripts. What it says
                # of its own start we say better; what it says at its end is for those who want details.
                "uvicorn.error": {"level": "INFO" if level == "debug" else "WARNING"},
            },
        }
    )


class TextFormatter(logging.Formatter):
    """A line for people; the message's fields follow it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, before a traceback."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields


class JsonFormatter(logging.Formatter):
    """An object in a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        shown: dict[str, Any] = {
            "time": f"{time.strftime(_SECONDS, time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown, default=str, ensure_ascii=False)


class WithoutQuery(logging.Filter):
    """Uvicorn logs a WebSocket's query, where a prompt or a key may stand."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        if isinstance(record.msg, str) and '"WebSocket %s"' in record.msg and isinstance(record.args, tuple):
            record.args = tuple(
                value.partition("?")[0] if isinstance(value, str) else value for value in record.args
            )
        return True


class WithTrace(logging.Filter):
    """A line of a request that is traced has the trace's id, and so has one whose client traces it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        if trace_id := current().trace_id:
            record.trace_id = trace_id
        return True


class RateLimit(logging.Filter):
    """Lets so many records of a second through, and says in the next one how many it did not."""

    def __init__(
        self, per_second: int = LINES_PER_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._per_second = per_second
        self._clock = clock
        self._second = 0
        self._seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        second = int(self._clock())
        if second != self._second:
            if (dropped := self._seen - self._per_second) > 0:
                record.dropped_lines = dropped
            self._second, self._seen = second, 0
        self._seen += 1
        return self._seen <= self._per_second


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}
