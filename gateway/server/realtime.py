"""WebSocket `/v1/realtime`: OpenAI's transcription sessions.

The protocol (`gateway.protocol.realtime`) turns frames into commands and events into frames, the session
(`gateway.flow.session`) turns commands into events; this endpoint carries both ways.
"""

import hashlib
import time

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.errors import InvalidRequestError
from gateway.flow.inbox import Waiting
from gateway.protocol.realtime.client_secrets import Claims
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.resume import Place, ResumeClaims, ResumeSigner
from gateway.server.admission import Admission, KeyAdmission
from gateway.server.clients import client_of
from gateway.server.live import Live, new_session_id
from gateway.server.live_sessions import LiveSessions
from gateway.server.relay import Publication, Relay
from gateway.server.service import Service

SESSION_CLAIMS = "gateway.session_claims"
"""Where in the scope stands what an ephemeral key says."""

EPHEMERAL_KEY = "gateway.ephemeral_key"
"""Where the key itself does."""

OF_CONVERSATIONS = ("gpt-realtime", "gpt-4o-realtime", "gpt-4o-mini-realtime")
"""How OpenAI's models that answer are called: the model that transcribes is named in the session then."""


class Realtime:
    """The endpoint as an ASGI application.

    Args:
        admission: How many sessions may be open.
        of_keys: The same under one ephemeral key.
        relay: Who has the link of a session that asks for one reads its captions there.
        leaving: Set when the server begins to end: sessions emit what was said until then, and close.
        signer: Of the tokens with which sessions that dropped are taken up again.
    """

    def __init__(
        self,
        service: Service,
        admission: Admission,
        of_keys: KeyAdmission,
        relay: Relay,
        leaving: anyio.Event,
        signer: ResumeSigner,
    ) -> None:
        self._service = service
        self._relay = relay
        self._signer = signer
        self._sessions = LiveSessions()
        self._of_keys = of_keys
        limits, metrics = service.limits, service.resources.metrics
        self._waiting = Waiting(limits.max_waiting_bytes, limits.max_waiting_total, metrics)
        self._admission = admission
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one session.

        Raises:
            GatewayError: What ends it; nothing is sent about it here.
            ClientGoneError: The client left.
        """
        websocket = WebSocket(scope, receive, send)
        claims, after = self._resumed(websocket)
        if claims is not None and (live := self._sessions.find(claims.session_id)) is not None:
            if await live.resume(websocket, after):
                return
            live.give_up()  # what its client missed is gone: it is begun again where it was settled
        config = claims.config if claims and claims.config else self._config(websocket)
        key: Claims | None = scope.get(SESSION_CLAIMS)
        open_sessions = self._service.resources.metrics.live_sessions
        with (
            self._of_keys.place(scope.get(EPHEMERAL_KEY), key.max_sessions if key else None),
            client_of(scope).session(),
            self._admission.place(),
            self._service.load.session(),
            open_sessions.track_inprogress(),
            self._relay.speaking(websocket.query_params.get("publish")) as publication,
        ):
            await websocket.accept()
            live = self._live(websocket, config, claims, after, publication)
            with self._sessions.place(live):
                await live.own(websocket, self._leaving)

    def _live(
        self,
        websocket: WebSocket,
        config: SessionConfig,
        claims: ResumeClaims | None,
        after: Place,
        publication: Publication | None,
    ) -> Live:
        """A new session, or one whose process is gone, from where it was settled."""
        limits = self._service.limits
        key: Claims | None = websocket.scope.get(SESSION_CLAIMS)
        given = claims or ResumeClaims(
            session_id=new_session_id(),
            key=key_fingerprint(websocket.scope),
            expires_at=int(time.time() + limits.max_session_seconds),
            config=config,
        )
        return Live(
            self._service,
            config,
            self._waiting,
            self._sessions,
            given,
            client_of(websocket.scope),
            start=after if claims else None,
            publication=publication,
            token=self._signer.sign(given) if limits.resume_seconds else None,
            beta=_speaks_beta(websocket),
            pinned=key is not None and key.pinned,
        )

    def _resumed(self, websocket: WebSocket) -> tuple[ResumeClaims | None, Place]:
        """The session that the URL wants taken up again, and the last event of it that its client has.

        Raises:
            InvalidRequestError: It cannot be.
        """
        token = websocket.query_params.get("resume")
        if not token or not self._service.limits.resume_seconds:
            return None, Place()
        claims = self._signer.verify(token, key=key_fingerprint(websocket.scope), now=int(time.time()))
        after = websocket.query_params.get("after")
        return claims, Place.of(after, claims.session_id) if after else Place()

    def _config(self, websocket: WebSocket) -> SessionConfig:
        """An ephemeral key's settings, or those of the model that the URL names, or the first one served.

        Raises:
            InvalidRequestError: A conversation is asked for.
            ModelNotFoundError: The model is not served.
        """
        query = websocket.query_params
        if query.get("intent", "transcription") != "transcription":
            raise InvalidRequestError(
                "This server has transcription sessions only: intent=transcription.", param="intent"
            )
        claims: Claims | None = websocket.scope.get(SESSION_CLAIMS)
        model = query.get("model") or query.get("deployment")  # Azure's word for it
        if model and model not in self._service.catalog.names and model.startswith(OF_CONVERSATIONS):
            model = None
        if model:
            self._service.catalog.find(model)
        if claims is not None:
            return claims.session
        return SessionConfig.default(model or self._service.catalog.names[0])


def _speaks_beta(websocket: WebSocket) -> bool:
    offered = websocket.scope["subprotocols"]
    return "openai-beta.realtime-v1" in offered or websocket.headers.get("openai-beta") == "realtime=v1"


def key_fingerprint(scope: Scope) -> str:
    """Of whatever the client shows for a key: the same opens its session again, and nothing else does."""
    headers = Headers(scope=scope)
    shown = (headers.get(name, "") for name in ("authorization", "api-key", "x-api-key"))
    keys = (each for each in scope.get("subprotocols", ()) if "api-key" in each)
    return hashlib.sha256("\n".join((*shown, *keys)).encode()).hexdigest()[:32]
