"""A live session and its connections: one at a time, and for a while none, as who drops may come back.

The handler of the first connection owns the session until it is over; those of later ones only carry frames.
"""

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.aio import Changed, open_task_group
from gateway.errors import (
    ClientGoneError,
    GatewayError,
    InvalidRequestError,
    ModelNotFoundError,
    ShuttingDownError,
)
from gateway.flow.inbox import Waiting
from gateway.flow.options import LiveOptions
from gateway.flow.session import LiveSession
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.fields import as_given
from gateway.protocol.realtime.parts import Wire
from gateway.protocol.realtime.resume import Place, ResumeClaims
from gateway.protocol.realtime.session import RealtimeProtocol
from gateway.server.clients import Client
from gateway.server.live_options import live_options
from gateway.server.live_sessions import LiveSessions
from gateway.server.outbox import Outbox
from gateway.server.progress import Progress
from gateway.server.relay import Publication
from gateway.server.service import Service
from gateway.server.websocket import GOODBYE_SECONDS, send_frame
from gateway.transcript.events import Refused, SessionCreated

LARGE_FRAME = 64 * 1024
"""Characters beyond which a frame is parsed in a thread: its base64 would take over a millisecond."""

MISSED_FRAMES = 1_000
"""Frames that nobody is there to read, before the session waits."""

LEFT = (1000, 1001)
"""Close codes of clients that have said goodbye: done, or on another page."""


class Live:
    """One session, on whichever connection its client is.

    Args:
        claims: Its name, its key and its end.
        client: Whose allowances it takes from.
        start: Where it goes on, if a process that is gone began it.
        publication: Where its captions are relayed to, if they are.
        token: With which its client comes back; None: it cannot.
        pinned: Its key does not let its settings be changed.
    """

    def __init__(  # noqa: PLR0913 - what a session is made of, each once
        self,
        service: Service,
        config: SessionConfig,
        waiting: Waiting,
        sessions: LiveSessions,
        claims: ResumeClaims,
        client: Client,
        *,
        start: Place | None,
        publication: Publication | None,
        token: str | None,
        beta: bool,
        pinned: bool,
    ) -> None:
        self.id = claims.session_id
        self.key = claims.key
        self._service = service
        self._limits = service.limits
        self._config = config
        self._sessions = sessions
        self._publication = publication
        self._token = token
        self._expires_at = claims.expires_at
        self._progress = progress = Progress(self.id, start)
        self._state = "restarted" if start else "new"
        self._protocol = RealtimeProtocol(
            session_id=f"sess_{self.id}",
            new_event_id=progress.new_event_id,
            expires_at=claims.expires_at,
            beta=beta,
            start_ms=progress.start_ms,
            last_item_id=progress.last_item_id,
            # Of the item under way when its process went, some may have been told.
            quiet_item_id=progress.next_item_id if start else None,
        )
        self._client = client
        self._pinned = pinned
        self._session = LiveSession(
            replace(service.resources, hear=client.hear),
            service.load,
            settings=config,
            resolve=self._resolve,
            new_item_id=progress.new_item_id,
            waiting=waiting,
            share=client.share,
        )
        self._outbox = Outbox()
        self._changed = Changed()
        self._connection: anyio.CancelScope | None = None
        self._is_owned_here = True
        self._is_left = False
        self._outcome: Exception | None = None
        self._over = anyio.Event()

    def give_up(self) -> None:
        """Ends the session, as nobody will come back to it."""
        self._is_left = True
        self._changed.notify()

    async def own(self, websocket: WebSocket, leaving: anyio.Event) -> None:
        """Works until the client has left for good, or the session has had its time, or the server ends.

        Raises:
            ClientGoneError: The client left.
            ShuttingDownError: The server ends; what was said is emitted.
        """
        try:
            async with open_task_group() as tasks:
                tasks.start_soon(self._session.run)
                tasks.start_soon(self._pump)
                tasks.start_soon(self._serve_first, websocket)
                tasks.start_soon(self._end_when_alone)
                await self._until_end(leaving)
                tasks.cancel_scope.cancel()
        except Exception as error:
            self._outcome = error
            if isinstance(error, GatewayError) and not self._is_owned_here:
                raise ClientGoneError from error  # the client is told on its own connection
            raise
        finally:
            self._over.set()
        if self._is_owned_here:
            await websocket.close(1000)

    async def resume(self, websocket: WebSocket, after: Place) -> bool:
        """Serves a client that is back; False where what it missed is not there any more.

        Raises:
            ClientGoneError: It left again.
            GatewayError: What ended the session meanwhile.
        """
        # Who names no event, or one of a process that is gone, has got no more than `session.created`.
        seen = max(0, after.number - self._progress.first_number)
        if self._over.is_set() or not self._outbox.rewind(seen + 1):
            return False
        self._is_owned_here = False
        # Whoever comes back knows that the connection is dead; the server may not, for a while. Of several
        # who come at once the last one has it: each finds the one before it there.
        while self._connection is not None:
            await self._end_connection(self._connection)
        self._outbox.rewind(seen + 1)
        # Outside of the order of the events: its id says the place of the last one that was seen.
        event_id = self._progress.event_id(after, seen)
        try:
            await self._serve(websocket, again=event_id)
        except GatewayError as error:
            self._outcome = error
            self.give_up()
            raise
        if self._over.is_set():
            await websocket.close(1000)
        return True

    async def _end_connection(self, connection: anyio.CancelScope) -> None:
        """Returns when it is not the session's any more, though another may be."""
        connection.cancel()
        await self._changed.until(lambda: self._connection is not connection)

    async def _serve_first(self, websocket: WebSocket) -> None:
        try:
            await self._serve(websocket)
        except ClientGoneError:
            if self._token is None:
                self.give_up()

    async def _serve(self, websocket: WebSocket, *, again: str | None = None) -> None:
        """Carries frames until the client drops, or another connection takes over.

        Args:
            again: The id of `session.created` on a connection that is not accepted yet.

        Raises:
            ClientGoneError: It dropped, or said goodbye.
        """
        self._connection = scope = anyio.CancelScope()
        self._changed.notify()
        try:
            with scope:
                if again is not None:
                    await websocket.accept()
                    created = self._protocol.created(self._config, again, self._resume("kept"))
                    await send_frame(websocket, created, send_timeout=self._limits.send_timeout)
                async with open_task_group() as tasks:
                    tasks.start_soon(self._send, websocket)
                    tasks.start_soon(self._raise_outcome, scope)
                    await self._receive(websocket)
        finally:
            self._connection = None
            self._changed.notify()
        if scope.cancelled_caught and not self._over.is_set():
            # Not left open: there is no limit to how often one session is taken over.
            with suppress(GatewayError, WebSocketDisconnect), anyio.move_on_after(GOODBYE_SECONDS):
                await websocket.close(1001, "The session was taken up on another connection.")
            raise ClientGoneError

    async def _raise_outcome(self, scope: anyio.CancelScope) -> None:
        await self._over.wait()
        if self._outcome is not None:
            raise self._outcome
        scope.cancel()

    async def _receive(self, websocket: WebSocket) -> None:
        """Frames to the session.

        Raises:
            ClientGoneError: The client left.
            OverloadedError: It sends more than can be worked on, or reads nothing of what it causes.
        """
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") in LEFT:
                    self.give_up()
                raise ClientGoneError
            self._client.check_audio()
            frame = message.get("text") or message.get("bytes") or ""
            if len(frame) < LARGE_FRAME:
                received = self._protocol.receive(frame)
            else:
                # Not cut short: a frame that was received counts, and is worked on.
                with anyio.CancelScope(shield=True):
                    received = await anyio.to_thread.run_sync(self._protocol.receive, frame)
            if isinstance(received, Refused):
                self._progress.received(None)
                self._session.refuse(received)
            else:
                self._session.put(received)
                self._progress.received(received)

    async def _send(self, websocket: WebSocket) -> None:
        """Frames to the client, one after the other.

        Raises:
            OverloadedError: The client does not read them.
        """
        while True:
            await self._changed.until(lambda: self._outbox.waiting)
            frame = self._outbox.take()
            await send_frame(websocket, frame, send_timeout=self._limits.send_timeout)
            self._changed.notify()

    async def _pump(self) -> None:
        """The session's events to frames; the next ones wait until these are sent, if somebody is there."""
        async for event in self._session:
            if self._publication is not None:
                self._publication.take(event)
            self._progress.emitted(event)
            resume = self._resume(self._state) if isinstance(event, SessionCreated) else None
            for frame in self._protocol.send(event, resume=resume):
                self._outbox.put(frame, anyio.current_time())
            self._changed.notify()
            await self._changed.until(self._may_go_on)

    def _may_go_on(self) -> bool:
        return self._outbox.waiting <= (MISSED_FRAMES if self._connection is None else 0)

    async def _end_when_alone(self) -> None:
        """Waits for who dropped, again and again.

        Raises:
            ClientGoneError: Nobody came back.
        """
        while True:
            await self._changed.until(lambda: self._connection is None)
            with self._sessions.alone(self), anyio.move_on_after(self._limits.resume_seconds):
                await self._changed.until(lambda: self._connection is not None or self._is_left)
            if self._connection is None:
                raise self._outcome or ClientGoneError

    async def _until_end(self, leaving: anyio.Event) -> None:
        """Returns when the session has had its time and its client has heard all.

        Raises:
            ShuttingDownError: The server ends; what was said is emitted.
        """
        with anyio.move_on_after(max(0.0, self._expires_at - time.time())):
            await leaving.wait()
        # It may cut a word in two: whoever takes the session up again is told the whole item once more.
        await self._finish(is_interruption=leaving.is_set() and self._token is not None)
        if leaving.is_set():
            raise ShuttingDownError
        self._session.refuse(Refused(self._expired(), None))
        await self._finish()

    async def _finish(self, *, is_interruption: bool = False) -> None:
        """Sends what was said, as far as there is time, and somebody to read it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_useless, tasks.cancel_scope)
            await self._session.finish(is_interruption=is_interruption)
            await self._changed.until(lambda: not self._outbox.waiting)
            tasks.cancel_scope.cancel()

    async def _cancel_when_useless(self, scope: anyio.CancelScope) -> None:
        async with anyio.create_task_group() as tasks:

            async def stop_waiting() -> None:
                await self._service.stopping.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop_waiting)
            await self._changed.until(lambda: self._connection is None)
            tasks.cancel_scope.cancel()
        scope.cancel()

    def _expired(self) -> GatewayError:
        minutes = f"{self._limits.max_session_seconds / 60:g} minutes"
        return InvalidRequestError(
            f"Your session hit the maximum duration of {minutes}.", code="session_expired"
        )

    def _resume(self, state: str) -> Wire | None:
        """The extension of `session.created`: how to come back, and what the server has."""
        if self._token is None:
            return None
        progress, bytes_per_second = self._progress, self._config.format.bytes_per_second
        return {
            "token": self._token,
            "seconds": round(self._limits.resume_seconds),
            "state": state,
            "events": progress.events,
            "audio_bytes": progress.audio_bytes,
            "audio_ms": progress.start_ms + progress.audio_bytes * 1000 // bytes_per_second,
        }

    async def _resolve(self, session: Mapping[str, Any] | None) -> tuple[LiveOptions, SessionConfig]:
        """The options for a `session.update`, or those to begin with, and the settings they come from."""
        config = self._config if session is None else self._config.updated(session)
        if self._pinned and config != self._config:
            raise InvalidRequestError(
                "The key of this session has pinned its settings.", param="session", code="session_pinned"
            )
        try:
            options = await live_options(
                config,
                self._service.catalog,
                partials=self._service.partials,
                speakers=partial(self._service.speakers.get, param="model"),
            )
        except (InvalidRequestError, ModelNotFoundError) as error:
            raise as_given(error, session or {}) from None
        self._config = config
        return options, config


def new_session_id() -> str:
    """Of a session that begins; its name on the wire has ``sess_`` before it."""
    return secrets.token_hex(12)
