"""The captions of live sessions, for whoever has their link: a channel for each speaker, and its readers.

Who speaks holds a secret, and readers the token that is made of it: a token opens captions to read and
nothing else, and a secret cannot be had of it. So nothing is registered, and a link outlives restarts.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from gateway.aio import Changed
from gateway.errors import InvalidRequestError, NotFoundError, OverloadedError
from gateway.metrics import Metrics
from gateway.protocol.captions import Caption, CaptionPart, CaptionsEvent
from gateway.protocol.events import encode
from gateway.transcript.events import ItemCompleted, ItemDelta, ItemFailed, ItemSegment, LiveEvent

KEPT = 12
"""Captions that a reader who comes late still gets: more than fit on a screen across a room."""

MOST_CHARACTERS = 2_000
"""Of one caption, its last ones: speech without a pause could go on for good."""

_SECRET = re.compile(r"[\w-]{20,128}", re.ASCII)


class Channel:
    """One speaker's captions: no queue, but a state with a version, so that a slow reader costs nothing more.

    Attributes:
        changed: Notified at each change.
        version: Of the state; 0 is before everything.
    """

    def __init__(self) -> None:
        self.changed = Changed()
        self.version = 0
        self.readers = 0
        self._captions: dict[str, Caption] = {}
        self._versions: dict[str, int] = {}
        self._speaking: list[object] = []
        self._interrupted: tuple[str, ...] = ()
        self._encoded: dict[int, str] = {}

    @property
    def is_idle(self) -> bool:
        """Nobody speaks and nobody reads."""
        return not self._speaking and not self.readers

    def begin(self, session: object) -> None:
        """A session speaks from here on; what an earlier one left unsettled it will say once more."""
        self._speaking.append(session)
        self._interrupted = tuple(name for name, caption in self._captions.items() if not caption["settled"])

    def end(self, session: object) -> None:
        """It speaks no longer."""
        self._speaking.remove(session)

    def take(self, session: object, event: LiveEvent) -> None:
        """What the session emits; nothing of one that another has taken over from."""
        if session is not self._speaking[-1]:
            return
        match event:
            case ItemDelta(name, text):
                caption = self._caption(name)
                caption["text"] = (caption["text"] + text)[-MOST_CHARACTERS:]
            case ItemSegment(name, _, segment):
                part: CaptionPart = {"speaker": segment.speaker or "", "text": segment.text.strip()}
                self._caption(name).setdefault("segments", []).append(part)
            case ItemCompleted(name, transcript):
                caption = self._caption(name)
                caption |= {"text": transcript.text[-MOST_CHARACTERS:], "settled": True}
            case ItemFailed(name):
                self._caption(name).update({"text": "", "settled": True})
            case _:
                return
        self.changed.notify()

    def since(self, version: int) -> str:
        """The event, as JSON, for a reader of the state of ``version``; made once for all who are there."""
        if version not in self._encoded:
            newer = [self._captions[name] for name, at in self._versions.items() if at > version]
            kind: Literal["captions", "captions.snapshot"] = "captions" if version else "captions.snapshot"
            event: CaptionsEvent = {"type": kind, "captions": newer}
            self._encoded[version] = encode(event)
        return self._encoded[version]

    def _caption(self, name: str) -> Caption:
        """The caption of this name, about to change."""
        self.version += 1
        self._encoded.clear()
        if name not in self._captions:
            self._captions[name] = {"id": name, "text": "", "settled": False}
            for interrupted in self._interrupted:
                self._captions[interrupted].update({"text": "", "settled": True})
                self._versions[interrupted] = self.version
            self._interrupted = ()
        self._versions[name] = self.version
        while len(self._captions) > KEPT:
            oldest = next(iter(self._captions))
            del self._captions[oldest], self._versions[oldest]
        return self._captions[name]


class Publication:
    """A session's end of its channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def take(self, event: LiveEvent) -> None:
        """Relays what the session emits."""
        self._channel.take(self, event)


class Relay:
    """All channels; one is there as long as somebody speaks or reads in it.

    Args:
        max_readers: Of all channels together.
    """

    def __init__(self, max_readers: int, metrics: Metrics) -> None:
        self._max_readers = max_readers
        self._readers = metrics.caption_readers
        self._open = 0
        self._channels: dict[str, Channel] = {}

    @contextmanager
    def speaking(self, secret: str | None) -> Iterator[Publication | None]:
        """The session's captions are relayed until the context is left; without a secret nobody gets them.

        Raises:
            InvalidRequestError: It is not a secret.
        """
        if secret is None:
            yield None
            return
        if not _SECRET.fullmatch(secret):
            raise InvalidRequestError(
                "'publish' is 20 to 128 letters, digits, '-' and '_', which nobody can guess.",
                param="publish",
            )
        token = token_of(secret)
        channel = self._channels.setdefault(token, Channel())
        publication = Publication(channel)
        channel.begin(publication)
        try:
            yield publication
        finally:
            channel.end(publication)
            self._drop_idle(token)

    @contextmanager
    def reading(self, token: str) -> Iterator[Channel]:
        """A reader's place in the channel until the context is left.

        Raises:
            NotFoundError: Nobody speaks there.
            OverloadedError: There are too many readers.
        """
        channel = self._channels.get(token)
        if channel is None:
            raise NotFoundError("Nobody is speaking there at the moment.")
        if self._open >= self._max_readers:
            raise OverloadedError(
                "Too many people are reading captions here. Please try again soon.", reason="viewers_full"
            )
        self._open += 1
        channel.readers += 1
        with self._readers.track_inprogress():
            try:
                yield channel
            finally:
                self._open -= 1
                channel.readers -= 1
                self._drop_idle(token)

    def _drop_idle(self, token: str) -> None:
        if self._channels[token].is_idle:
            del self._channels[token]


def token_of(secret: str) -> str:
    """What readers need: 192 bits of the secret's hash."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest())[:32].decode()
