"""One of the server's keys opens everything, an ephemeral one live sessions alone."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.types import Scope

from gateway.errors import AuthenticationError, OverloadedError, PermissionDeniedError, SettingsError
from gateway.keys import ClientLimits, add_key, plain_keys, read_keys
from gateway.protocol.realtime.client_secrets import SecretSigner
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.resume import ResumeClaims, ResumeSigner
from gateway.server.auth import Keys
from gateway.server.clients import KEY_NAME, client_of
from gateway.server.realtime import SESSION_CLAIMS, key_fingerprint

SIGNER = SecretSigner([b"secret"])
CONFIG = SessionConfig.default("m")
LATER = 4_000_000_000


def keys_of(*keys: str) -> Keys:
    """A door with these keys, open without any."""
    return Keys(lambda: plain_keys(keys, ClientLimits()) if keys else None, SIGNER)


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
    keys_of("k1", "k2").check(scope_of(headers, subprotocols))


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
    keys = keys_of("k1", "k2")
    for check in (keys.check, keys.check_session):
        with pytest.raises(AuthenticationError) as caught:
            check(scope_of(headers, subprotocols))

        assert caught.value.code == "invalid_api_key"


def test_without_keys_everybody_is_let_in() -> None:
    """Also who sends one."""
    keys = keys_of()
    for headers in ({}, {"authorization": "Bearer whatever"}):
        keys.check(scope_of(headers))
        keys.check_session(scope_of(headers))


@pytest.mark.parametrize("api_keys", [("k1",), ()])
def test_an_ephemeral_key_opens_live_sessions(api_keys: tuple[str, ...]) -> None:
    """Its settings stand in the scope, whether API keys are configured or not."""
    value, _ = SIGNER.sign(CONFIG, now=LATER, seconds=10, made_by=plain_keys(("k1",), ClientLimits())[0].name)
    scope = scope_of({}, ("realtime", f"openai-insecure-api-key.{value}"))
    keys_of(*api_keys).check_session(scope)

    assert scope[SESSION_CLAIMS].session == CONFIG


def test_an_ephemeral_key_opens_nothing_else() -> None:
    """It is no API key, and is told so."""
    value, _ = SIGNER.sign(CONFIG, now=LATER, seconds=10, made_by=plain_keys(("k1",), ClientLimits())[0].name)
    with pytest.raises(PermissionDeniedError):
        keys_of("k1").check(scope_of({"authorization": f"Bearer {value}"}))


@pytest.mark.parametrize("api_keys", [("k1",), ()])
def test_a_stale_ephemeral_key_opens_nothing(api_keys: tuple[str, ...]) -> None:
    """Not even where everybody is let in: the session would silently lack the settings its page relies on."""
    value, _ = SIGNER.sign(CONFIG, now=0, seconds=10)
    with pytest.raises(AuthenticationError):
        keys_of(*api_keys).check_session(scope_of({"authorization": f"Bearer {value}"}))


def test_a_stale_ephemeral_key_takes_its_own_session_up_again() -> None:
    """The session's token is the proof; another key's token, or a forged one, is none."""
    value, _ = SIGNER.sign(CONFIG, now=0, seconds=10)
    shown = {"authorization": f"Bearer {value}"}
    resume = ResumeSigner([b"secret"])
    keys = Keys(lambda: None, SIGNER, resume=resume)

    def scope_with(key: str, end: int = LATER) -> Scope:
        claims = ResumeClaims(session_id="0" * 24, key=key, expires_at=end, config=CONFIG)
        return {**scope_of(shown), "query_string": urlencode({"resume": resume.sign(claims)}).encode()}

    own = key_fingerprint(scope_of(shown))
    scope = scope_with(own)
    keys.check_session(scope)

    assert scope[SESSION_CLAIMS].session == CONFIG
    for refused in (
        scope_with("another"),
        scope_with(own, end=1),
        {**scope_of(shown), "query_string": b"resume=forged"},
    ):
        with pytest.raises(AuthenticationError):
            keys.check_session(refused)


def test_a_changed_file_holds_without_a_restart(tmp_path: Path) -> None:
    """New keys come in, deleted ones stay out, with theirs; a broken file changes nothing."""
    file = tmp_path / "keys.toml"
    add_key(file, "ann", "k1")
    keys = Keys(lambda: read_keys(file, ClientLimits()), SIGNER, file=file)
    ephemeral, _ = SIGNER.sign(CONFIG, now=LATER, seconds=10, made_by="ann")
    of_ann = scope_of({"authorization": f"Bearer {ephemeral}"})
    keys.check(scope_of({"authorization": "Bearer k1"}))
    keys.check_session(of_ann)

    file.unlink()
    add_key(file, "ben", "k2")
    keys.reload()
    keys.check(scope_of({"authorization": "Bearer k2"}))
    with pytest.raises(AuthenticationError):
        keys.check(scope_of({"authorization": "Bearer k1"}))
    with pytest.raises(AuthenticationError):
        keys.check_session(of_ann)

    file.write_text("broken")
    with pytest.raises(SettingsError, match="is no TOML"):
        keys.reload()
    keys.check(scope_of({"authorization": "Bearer k2"}))


def test_a_client_that_comes_too_often_is_told_when_to_come_again() -> None:
    """Its other requests of the minute were served."""
    keys = Keys(lambda: plain_keys(("ann:k1", "k2"), ClientLimits(requests_per_minute=2)), SIGNER)
    scope = scope_of({"authorization": "Bearer k1"})
    keys.check(scope)
    keys.check(scope)
    with pytest.raises(OverloadedError) as caught:
        keys.check(scope)
    keys.check(scope_of({"authorization": "Bearer k2"}))

    assert scope[KEY_NAME] == "ann"
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 30


def test_what_a_key_has_opened_ends_with_it() -> None:
    """Those of others go on; who gets it back begins anew."""
    given = ["k1", "k2", "k3"]
    keys = Keys(lambda: plain_keys(given, ClientLimits()), SIGNER)
    scopes = [scope_of({"authorization": f"Bearer {key}"}) for key in ("k1", "k2", "k3")]
    for scope in scopes:
        keys.check(scope)
    del given[0]
    keys.reload()
    with pytest.raises(AuthenticationError, match="taken away"):
        client_of(scopes[0]).check_audio()
    for scope in scopes[1:]:
        client_of(scope).check_audio()
    given.append("k1")
    keys.reload()
    again = scope_of({"authorization": "Bearer k1"})
    keys.check(again)

    client_of(again).check_audio()
