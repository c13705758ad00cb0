"""Tokens open their own session for their own key; an event's id says where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequestError
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.parts import Transcription
from gateway.protocol.realtime.resume import MAX_TOKEN_CHARACTERS, Place, ResumeClaims, ResumeSigner

SESSION = "0123456789abcdef01234567"
CLAIMS = ResumeClaims(session_id=SESSION, key="k", expires_at=100, config=SessionConfig.default("whisper-1"))


def test_there_and_back() -> None:
    """Also after a change of the secret, while the old one is accepted."""
    token = ResumeSigner([b"old"]).sign(CLAIMS)

    assert ResumeSigner([b"new", b"old"]).verify(token, key="k", now=99) == CLAIMS


def test_long_settings_stay_at_home() -> None:
    """A URL has no room for a long prompt: the client sends it again."""
    config = SessionConfig(transcription=Transcription(model="whisper-1", prompt="äöü" * 5_000))
    token = ResumeSigner([b"key"]).sign(CLAIMS.model_copy(update={"config": config}))
    noise = "".join(chr(0x4E00 + number % 7_919) for number in range(0, 400_000, 97))
    config = SessionConfig(transcription=Transcription(model="whisper-1", prompt=noise))
    longer = ResumeSigner([b"key"]).sign(CLAIMS.model_copy(update={"config": config}))

    assert max(len(token), len(longer)) <= MAX_TOKEN_CHARACTERS
    assert ResumeSigner([b"key"]).verify(longer, key="k", now=0).config is None


@pytest.mark.parametrize(
    ("signer", "key", "now", "change"),
    [(b"other", "k", 0, ""), (b"key", "l", 0, ""), (b"key", "k", 100, ""), (b"key", "k", 0, "x")],
)
def test_what_is_refused(signer: bytes, key: str, now: int, change: str) -> None:
    """Another secret's, another key's, at its end, altered."""
    token = ResumeSigner([b"key"]).sign(CLAIMS) + change

    with pytest.raises(InvalidRequestError) as refused:
        ResumeSigner([signer]).verify(token, key=key, now=now)
    assert (refused.value.param, refused.value.code) == ("resume", "invalid_resume_token")


@given(st.text() | st.text(alphabet=".-_abcAZ09", min_size=1).map(lambda text: text * 3))
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever stands in the URL, as token or as event."""
    with pytest.raises(InvalidRequestError):
        ResumeSigner([b"key"]).verify(text, key="k", now=0)
    with pytest.raises(InvalidRequestError):
        Place.of(text, SESSION)


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**20 - 1))
def test_places(number: int, settled_ms: int, items: int) -> None:
    """An id says its place; those of one place differ by chance."""
    place = Place(number, settled_ms, items)
    event_id = place.event_id(SESSION)

    assert Place.of(event_id, SESSION) == place
    assert len({event_id, *(place.event_id(SESSION) for _ in range(4))}) > 1
    with pytest.raises(InvalidRequestError):
        Place.of(event_id, "f" * 24)
