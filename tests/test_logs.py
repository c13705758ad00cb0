"""The log has lines or objects, no query, and no more of them than anybody reads."""

import json
import logging
import subprocess
import sys

import pytest

from gateway.logs import (
    LINES_PER_SECOND,
    JsonFormatter,
    RateLimit,
    TextFormatter,
    WithoutQuery,
    WithTrace,
)
from gateway.tracing import NoTracer, within

FLOOD = 20 * LINES_PER_SECOND


def record(message: str = "hello %s", *args: object, **fields: object) -> logging.LogRecord:
    """One of a request."""
    return logging.makeLogRecord(
        {"name": "gateway.x", "levelno": 20, "levelname": "INFO", "msg": message, "args": args, **fields}
    )


def test_text_has_the_fields_behind_the_message() -> None:
    """So that a request's id is in its line."""
    line = TextFormatter().format(record("hello %s", "you", request_id="req_1"))

    assert line.endswith(" INFO    gateway.x: hello you request_id=req_1")


def test_json_is_one_object() -> None:
    """With the fields beside the message, and a traceback in the same line."""
    error = ValueError("x\ny")
    line = JsonFormatter().format(
        record("hello %s", "you", request_id="req_1", exc_info=(ValueError, error, None))
    )
    shown = json.loads(line)

    assert "\n" not in line
    assert (shown["message"], shown["level"], shown["request_id"]) == ("hello you", "info", "req_1")
    assert shown["exception"] == "ValueError: x\ny"


def test_the_query_of_a_websocket_is_left_out() -> None:
    """Uvicorn's line has it, with whatever key or prompt stands there."""
    line = record('%s - "WebSocket %s" [accepted]', "1.2.3.4:5", "/v1/realtime?api_key=sk-1")

    assert WithoutQuery().filter(line)
    assert line.getMessage() == '1.2.3.4:5 - "WebSocket /v1/realtime" [accepted]'


@pytest.mark.parametrize("flood", [1, 3, 1000])
def test_a_flood_is_counted(flood: int) -> None:
    """What is over the limit of a second is dropped, and its number told with the next line."""
    now = 10.0
    limit = RateLimit(3, lambda: now)
    passed = sum(limit.filter(record()) for _ in range(flood))
    now = 11.0
    after = record()

    assert limit.filter(after)
    assert passed == min(flood, 3)
    assert getattr(after, "dropped_lines", 0) == max(0, flood - 3)


def test_the_log_of_a_process_is_bounded() -> None:
    """Whoever writes, a worker's stderr or a library, too; an error among them comes with its traceback."""
    code = f"""
import logging, time
from gateway.logs import configure_logging
configure_logging("info", "json")
for number in range({FLOOD}):
    logging.getLogger(f"library{{number % 7}}").warning("refused %d", number)
second = int(time.monotonic())
while int(time.monotonic()) == second:
    pass
logging.getLogger("gateway").error("the last one")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    seconds = {line["time"][:19] for line in lines}
    dropped = sum(line.get("dropped_lines", 0) for line in lines)

    assert lines[-1]["message"] == "the last one"
    assert len(lines) <= LINES_PER_SECOND * (len(seconds) + 1)
    assert len(lines) + dropped == FLOOD + 1
    assert dropped > 0


def test_a_line_has_its_traces_id() -> None:
    """And none where nothing is traced."""
    traced, untraced = record(), record()
    span = NoTracer().begin("x", {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    with within(span):
        assert WithTrace().filter(traced)
    WithTrace().filter(untraced)

    assert json.loads(JsonFormatter().format(traced))["trace_id"] == "a" * 32
    assert "trace_id" not in json.loads(JsonFormatter().format(untraced))
