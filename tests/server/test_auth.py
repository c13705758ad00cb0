"""One of the server's keys opens everything, an ephemeral one live sessions alone."""

import pytest
from starlette.types import Scope

from gateway.errors import AuthenticationError
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.config import SessionConfig
from gateway.server.auth import Keys
from gateway.server.realtime import SESSION_CONFIG

SIGNER = SecretSigner([b"secret"])
CONFIG = SessionConfig.default("m")
LATER = 4_000_000_000


def scope_of(headers: dict[str, str], subprotocols: tuple[str, ...] = ()) -> Scope:
    """A handshake with these."""
    return {
        "type": "websocket",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "subprotocols": list(subprotocols),
    }


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({"authorization": "Bearer k1"}, ()),
        ({"authorization": "bearer  k2 "}, ()),
        ({"api-key": "k1"}, ()),
        ({"x-api-key": " k2"}, ()),
        ({"authorization": "Basic abc", "x-api-key": "k1"}, ()),
        ({}, ("realtime", "openai-insecure-api-key.k1")),
        ({"authorization": "Basic abc"}, ("openai-insecure-api-key.k1",)),
    ],
)
def test_right_keys(headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
    """The header, or where there is none the subprotocol of those who can set no header."""
    Keys(("k1", "k2"), SIGNER).check(scope_of(headers, subprotocols))


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({}, ()),
        ({"authorization": "Bearer wrong"}, ()),
        ({"authorization": "k1"}, ()),
        ({"authorization": "Basic k1"}, ()),
        ({"api-key": "wrong"}, ()),
        ({"api-key": "", "x-api-key": "k1"}, ()),
        ({"authorization": "Bearer wrong", "api-key": "k1"}, ()),
        ({"authorization": "Bearer "}, ()),
        ({"authorization": "Bearer k1\u00fc"}, ()),
        ({}, ("realtime",)),
        ({}, ("openai-insecure-api-key.",)),
        ({}, ("openai-insecure-api-key.wrong",)),
        ({"authorization": "Bearer wrong"}, ("openai-insecure-api-key.k1",)),
    ],
)
def test_wrong_keys(headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
    """None, another one, or one in another place."""
    keys = Keys(("k1", "k2"), SIGNER)
    for check in (keys.check, keys.check_session):
        with pytest.raises(AuthenticationError) as caught:
            check(scope_of(headers, subprotocols))

        assert caught.value.code == "invalid_api_key"


def test_without_keys_everybody_is_let_in() -> None:
    """Also who sends one."""
    keys = Keys((), SIGNER)
    for headers in ({}, {"authorization": "Bearer whatever"}):
        keys.check(scope_of(headers))
        keys.check_session(scope_of(headers))


@pytest.mark.parametrize("api_keys", [("k1",), ()])
def test_an_ephemeral_key_opens_live_sessions(api_keys: tuple[str, ...]) -> None:
    """Its settings stand in the scope, whether API keys are configured or not."""
    value, _ = SIGNER.sign(CONFIG, now=LATER, seconds=10)
    scope = scope_of({}, ("realtime", f"openai-insecure-api-key.{value}"))
    Keys(api_keys, SIGNER).check_session(scope)

    assert scope[SESSION_CONFIG] == CONFIG


def test_an_ephemeral_key_opens_nothing_else() -> None:
    """It is no API key."""
    value, _ = SIGNER.sign(CONFIG, now=LATER, seconds=10)
    with pytest.raises(AuthenticationError):
        Keys(("k1",), SIGNER).check(scope_of({"authorization": f"Bearer {value}"}))


@pytest.mark.parametrize("api_keys", [("k1",), ()])
def test_a_stale_ephemeral_key_opens_nothing(api_keys: tuple[str, ...]) -> None:
    """Not even where everybody is let in: the session would silently lack the settings its page relies on."""
    value, _ = SIGNER.sign(CONFIG, now=0, seconds=10)
    with pytest.raises(AuthenticationError):
        Keys(api_keys, SIGNER).check_session(scope_of({"authorization": f"Bearer {value}"}))
