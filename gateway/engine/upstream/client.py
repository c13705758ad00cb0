"""HTTP to one upstream: what is retried, for how long, and what a failure means for a row."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import anyio
import httpx2 as httpx

from gateway import __version__
from gateway.errors import EngineFailedError, GatewayError, UnavailableError, WorkerLostError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
"""To reach the upstream; longer is as good as never."""

IDLE_SECONDS = 30.0
"""Connections are kept open so long for the next row."""

TRIES = 3
"""Of what fails at once; what asks for patience is tried until the row's time is up."""

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
"""Seconds between tries, which double."""

LONGEST_RETRY_AFTER = 3600
"""Seconds, the most that a client is told to wait, whatever the upstream says."""

BUSY = "The upstream is busy. Try again later."
SLOW = "The upstream did not answer in time."
FAULTY = "A part of the recording could not be transcribed by the upstream."
MISCONFIGURED = "The upstream does not let the server in. Its operator has to look at it."

MAX_MESSAGE = 300
"""Characters of an upstream's error that are logged."""


class RefusedError(Exception):
    """The upstream answered, and not with a transcript.

    Attributes:
        status: HTTP's.
        error: What the caller is told; None: that the row failed.
        is_unpaid: It has no credit left for us.
    """

    def __init__(
        self, reason: str, status: int, error: GatewayError | None = None, *, is_unpaid: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error
        self.is_unpaid = is_unpaid


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer.

    Attributes:
        seconds: Of the try that succeeded.
        lost: Seconds before it: failed tries and pauses.
    """

    body: Any
    seconds: float
    lost: float


class Client:
    """The connections to one upstream.

    Args:
        url: Its base, as ``https://host/v1``.
        key: Sent as bearer token, and never logged; empty for none.
        timeout: Seconds for a row, all tries together; one try may take half of them.
        connections: At most so many at a time.
    """

    def __init__(self, url: str, key: str, *, timeout: float, connections: int) -> None:
        self._key = key
        self._timeout = timeout
        headers = {"User-Agent": f"transcription-gateway/{__version__}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(timeout / 2, connect=min(CONNECT_SECONDS, timeout / 2)),
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=IDLE_SECONDS,
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def get(self, path: str) -> Answer | None:
        """Asks once; None where it answers something else than JSON and success.

        Raises:
            WorkerLostError: It cannot be reached.
        """
        began = time.monotonic()
        try:
            # Together: one that sends a byte now and then keeps within all others of its limits.
            with anyio.fail_after(2 * CONNECT_SECONDS):
                response = await self._http.get(path, timeout=CONNECT_SECONDS)
        except (httpx.RequestError, TimeoutError) as error:
            raise WorkerLostError(_words(error), kind="unreachable") from error
        body = _json(response)
        if not response.is_success or body is None:
            return None
        return Answer(body, time.monotonic() - began, 0.0)

    async def post(self, path: str, fields: Mapping[str, str | list[str]], file: bytes) -> Answer:
        """Sends a recording, again and again where that makes sense.

        Args:
            file: As WAV.

        Raises:
            RefusedError: It will not do it, or not in time.
            WorkerLostError: It cannot be reached, or broke off each time.
        """
        began = time.monotonic()
        deadline = began + self._timeout
        pause = FIRST_PAUSE
        tries = 0
        while True:
            tries += 1
            started = time.monotonic()
            wait = pause
            try:
                with anyio.fail_after(min(self._timeout / 2, deadline - started)):
                    response = await self._http.post(
                        path, data=fields, files={"file": ("chunk.wav", file, "audio/wav")}
                    )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure: Exception = WorkerLostError(_words(error), kind="unreachable")
                gives_up = tries >= TRIES
            except (httpx.TimeoutException, TimeoutError):
                failure = RefusedError("no answer in time", 504, UnavailableError(SLOW, retry_after=5))
                gives_up, wait = False, 0.0
            except httpx.RequestError as error:
                failure = WorkerLostError(_words(error))
                gives_up = tries >= TRIES
                # Most of these are connections that the upstream closed while they were idle.
                wait = 0.0 if tries == 1 else pause
            else:
                if response.is_success:
                    ended = time.monotonic()
                    return Answer(_json(response), ended - started, started - began)
                asked = _retry_after(response.headers)
                failure = self._refusal(response, asked)
                status = response.status_code
                is_busy = _is_busy(response)
                gives_up = not is_busy and (status < HTTPStatus.INTERNAL_SERVER_ERROR or tries >= TRIES)
                # The first time it is taken at its word; one that says "at once" again and again is not.
                wait = pause if asked is None else asked if tries == 1 else max(asked, pause)
            if gives_up or time.monotonic() + wait >= deadline:
                raise failure
            logger.debug("upstream: %s; again in %.2f s", failure, wait)
            await anyio.sleep(wait)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _refusal(self, response: httpx.Response, retry_after: float | None) -> RefusedError:
        status = response.status_code
        reason = f"HTTP {status}: {self._message(response)}"
        is_unpaid = _is_unpaid(response)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or is_unpaid:
            return RefusedError(reason, status, UnavailableError(MISCONFIGURED), is_unpaid=is_unpaid)
        if _is_busy(response):
            seconds = max(1, min(LONGEST_RETRY_AFTER, round(retry_after or 1)))
            return RefusedError(reason, status, UnavailableError(BUSY, retry_after=seconds))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RefusedError(reason, status, UnavailableError(FAULTY, retry_after=5))
        return RefusedError(reason, status, EngineFailedError(FAULTY))

    def _message(self, response: httpx.Response) -> str:
        """What the upstream says, for the log; some repeat the key in it."""
        if response.has_redirect_location:
            # Not followed: what is sent is meant for the address that the operator wrote.
            text = f"it is at {response.headers['location'].partition('?')[0]}"
        else:
            text = _error(response).get("message") or response.text
        # Nothing that moves the cursor of the operator's terminal.
        text = "".join(each if each.isprintable() else "?" for each in " ".join(str(text).split()))
        if self._key:
            # Before it is cut, which might leave a part of the key.
            text = text.replace(self._key, "***")
        return text[:MAX_MESSAGE]


def _is_busy(response: httpx.Response) -> bool:
    patient = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.REQUEST_TIMEOUT}
    return response.status_code in patient and not _is_unpaid(response)


def _is_unpaid(response: httpx.Response) -> bool:
    """OpenAI says so with 429, but waiting does not help."""
    # No set: what an upstream says need not be hashable.
    return "insufficient_quota" in (_error(response).get("code"), _error(response).get("type"))


def _error(response: httpx.Response) -> Mapping[str, Any]:
    body = _json(response)
    if isinstance(body, Mapping):
        # vLLM once had its error without the envelope.
        inner = body.get("error", body)
        return inner if isinstance(inner, Mapping) else {"message": inner}
    return {}


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that the upstream wants us to wait."""
    value = headers.get("retry-after", "")
    for told, unit in ((headers.get("retry-after-ms", ""), 0.001), (value, 1.0)):
        try:
            seconds = float(told) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _words(error: httpx.RequestError | TimeoutError) -> str:
    """Fit to be shown to anybody: no address."""
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return "upstream cannot be reached"
        case httpx.TimeoutException() | TimeoutError():
            return "upstream does not answer"
        case _:
            return "upstream broke off"
