"""Captions reach who has the link, as they are now; a token opens nothing else, and all is bounded."""

import base64
import hashlib
import json
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidRequestError, NotFoundError, OverloadedError
from gateway.metrics import Metrics
from gateway.server.relay import KEPT, MOST_CHARACTERS, Channel, Relay, token_of
from gateway.transcript import Segment, Transcript
from gateway.transcript.events import (
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    ItemSegment,
    SpeechStarted,
)

SECRET = "nobody-can-guess-this-one"


def delta(item: str, text: str) -> ItemDelta:
    """More text."""
    return ItemDelta(item, text, (), logprobs=False)


def completed(item: str, text: str) -> ItemCompleted:
    """The final text."""
    return ItemCompleted(item, Transcript(text, None, (), 1.0, (), ()), "whisper-1", logprobs=False)


def read(channel: Channel, version: int = 0) -> list[dict[str, Any]]:
    """What a reader gets who knows the state of ``version``."""
    captions: list[dict[str, Any]] = json.loads(channel.since(version))["captions"]
    return captions


@pytest.fixture
def relay() -> Relay:
    """A relay for two readers."""
    return Relay(2, Metrics())


def test_token() -> None:
    """It is the beginning of the secret's SHA-256 in base64url, as the page computes it."""
    digest = hashlib.sha256(SECRET.encode()).digest()

    assert token_of(SECRET) == base64.urlsafe_b64encode(digest).decode()[:32]


def test_caption_grows_and_settles(relay: Relay) -> None:
    """A reader gets the text so far, then the one that counts."""
    with relay.speaking(SECRET) as publication, relay.reading(token_of(SECRET)) as channel:
        assert publication is not None
        publication.take(SpeechStarted("a", 0.0))
        assert channel.version == 0

        publication.take(delta("a", "Hello"))
        publication.take(delta("a", " word"))
        heard = channel.version
        assert read(channel) == [{"id": "a", "text": "Hello word", "settled": False}]

        publication.take(completed("a", "Hello world."))
        publication.take(delta("b", "And"))
        assert read(channel, heard) == [
            {"id": "a", "text": "Hello world.", "settled": True},
            {"id": "b", "text": "And", "settled": False},
        ]
        assert read(channel, channel.version) == []


def test_first_event_is_a_snapshot(relay: Relay) -> None:
    """Who knows nothing is told so, and drops what was there before."""
    with relay.speaking(SECRET) as publication, relay.reading(token_of(SECRET)) as channel:
        assert publication is not None
        publication.take(delta("a", "Hello"))

        assert json.loads(channel.since(0))["type"] == "captions.snapshot"
        assert json.loads(channel.since(1))["type"] == "captions"


def test_speakers(relay: Relay) -> None:
    """Where they are told apart each part has its own."""
    with relay.speaking(SECRET) as publication, relay.reading(token_of(SECRET)) as channel:
        assert publication is not None
        publication.take(delta("a", "Yes. No."))
        for index, (speaker, text) in enumerate([("A", " Yes."), ("B", " No.")]):
            segment = Segment(0.0, 1.0, text, (), (), -0.1, 1.0, 0.0, 0.0, speaker)
            publication.take(ItemSegment("a", index, segment))

        assert read(channel)[0]["segments"] == [
            {"speaker": "A", "text": "Yes."},
            {"speaker": "B", "text": "No."},
        ]


def test_nothing_after_all(relay: Relay) -> None:
    """What turned out to be no text, or failed, is emptied."""
    with relay.speaking(SECRET) as publication, relay.reading(token_of(SECRET)) as channel:
        assert publication is not None
        publication.take(delta("a", "Hm"))
        publication.take(completed("a", ""))
        publication.take(delta("b", "Hm"))
        publication.take(ItemFailed("b", GatewayError("broken")))

        assert [(caption["text"], caption["settled"]) for caption in read(channel)] == [("", True)] * 2


def test_session_takes_over(relay: Relay) -> None:
    """A next session says again what the last one left open; what the last one still emits counts no more."""
    with relay.speaking(SECRET) as first, relay.reading(token_of(SECRET)) as channel:
        assert first is not None
        first.take(completed("a", "Settled."))
        first.take(delta("b", "Half a"))
        with relay.speaking(SECRET) as second:
            assert second is not None
            first.take(delta("b", " sentence"))
            assert [caption["text"] for caption in read(channel)] == ["Settled.", "Half a"]
            second.take(delta("c", "Half a sentence"))
            assert [caption["text"] for caption in read(channel)] == ["Settled.", "", "Half a sentence"]


def test_channel_outlives_sessions_while_somebody_reads(relay: Relay) -> None:
    """A link is good over a reconnect; when all have left nothing is kept."""
    token = token_of(SECRET)
    with relay.speaking(SECRET) as publication:
        assert publication is not None
        publication.take(completed("a", "Before."))
        reading = relay.reading(token)
        channel = reading.__enter__()
    with relay.speaking(SECRET) as publication:
        assert publication is not None
        publication.take(completed("b", "After."))
        assert [caption["text"] for caption in read(channel)] == ["Before.", "After."]
    reading.__exit__(None, None, None)

    with pytest.raises(NotFoundError), relay.reading(token):
        pass


@pytest.mark.parametrize("token", ["", "nobody", SECRET, token_of("nobody-can-guess-that-one")])
def test_other_tokens_open_nothing(relay: Relay, token: str) -> None:
    """The secret itself is none, either."""
    with relay.speaking(SECRET), pytest.raises(NotFoundError), relay.reading(token):
        pass


@pytest.mark.parametrize("secret", ["", "short", "x" * 129, "nobody can guess this one", "ä" * 30])
def test_secrets_are_checked(relay: Relay, secret: str) -> None:
    """One that could be guessed is refused, by the parameter's name."""
    with pytest.raises(InvalidRequestError) as refusal, relay.speaking(secret):
        pass

    assert refusal.value.param == "publish"


def test_readers_are_bounded(relay: Relay) -> None:
    """One too many is told to come again, and may when somebody has left."""
    token = token_of(SECRET)
    with relay.speaking(SECRET), relay.reading(token):
        with relay.reading(token), pytest.raises(OverloadedError), relay.reading(token):
            pass
        with relay.reading(token):
            pass


def test_what_is_kept_is_bounded(relay: Relay) -> None:
    """The newest captions, and of an endless one its end."""
    with relay.speaking(SECRET) as publication, relay.reading(token_of(SECRET)) as channel:
        assert publication is not None
        for number in range(100):
            publication.take(completed(str(number), f"Number {number}."))
        assert [caption["id"] for caption in read(channel)] == [
            str(number) for number in range(100 - KEPT, 100)
        ]

        for _ in range(MOST_CHARACTERS):
            publication.take(delta("endless", " and"))
        assert len(read(channel)[-1]["text"]) == MOST_CHARACTERS
        assert len(channel._encoded) <= 1


def test_without_a_secret_nothing_is_relayed(relay: Relay) -> None:
    """Sessions are private unless they ask for it."""
    with relay.speaking(None) as publication:
        assert publication is None
        assert not relay._channels
