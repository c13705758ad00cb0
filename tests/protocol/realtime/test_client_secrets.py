"""Ephemeral keys hold the settings until they end, nobody can forge one, old and new bodies ask for them."""

import json
import random
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import TranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse

from gateway.errors import InvalidRequestError
from gateway.protocol.realtime.client_secrets import (
    MAX_VALUE_CHARACTERS,
    Claims,
    SecretRequest,
    SecretSigner,
    client_secret_object,
    parse_client_secret,
    parse_transcription_session,
    transcription_session_object,
)
from gateway.protocol.realtime.config import LOGPROBS, SessionConfig
from gateway.protocol.realtime.parts import AudioFormat, NoiseReduction, SemanticVad, ServerVad, Transcription
from tests.protocol.realtime.wire import check

DEFAULT = SessionConfig.default("gpt-4o-transcribe")
FULL = SessionConfig(
    format=AudioFormat(type="audio/pcma"),
    transcription=Transcription(
        model="whisper-1", languages=("en", "de"), prompt="Größe", keywords=("a", "b")
    ),
    noise_reduction=NoiseReduction(type="far_field", strength=0.25),
    turn_detection=SemanticVad(eagerness="low"),
    include=(LOGPROBS,),
)
OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_800_000_000


def settings_of(claims: Claims | None) -> SessionConfig | None:
    """What a key's sessions begin with."""
    return None if claims is None else claims.session


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "config", [DEFAULT, FULL, SessionConfig(), SessionConfig.default("gpt-live-transcribe")]
)
def test_a_key_holds_the_settings(config: SessionConfig) -> None:
    """Whatever they are; to its last second, not longer."""
    signer = SecretSigner([NEW])
    value, expires_at = signer.sign(config, now=NOW, seconds=600)

    assert expires_at == NOW + 600
    assert settings_of(signer.verify(value, now=NOW)) == config
    assert settings_of(signer.verify(value, now=NOW + 599)) == config
    assert signer.verify(value, now=NOW + 600) is None


def test_a_key_fits_headers() -> None:
    """Characters of a subprotocol's name and of a bearer token (RFC 6750), few of them."""
    value, _ = SecretSigner([NEW]).sign(FULL, now=NOW, seconds=10)

    assert re.fullmatch(r"ek_[A-Za-z0-9._-]+", value)
    assert len(value) < 600


def test_keys_are_phased_out() -> None:
    """The first key signs; the others are still good, until they are taken away."""
    old, both, new = SecretSigner([OLD]), SecretSigner([NEW, OLD]), SecretSigner([NEW])
    of_old, of_both = (signer.sign(DEFAULT, now=NOW, seconds=10)[0] for signer in (old, both))

    assert settings_of(both.verify(of_old, now=NOW)) == settings_of(both.verify(of_both, now=NOW)) == DEFAULT
    assert settings_of(new.verify(of_both, now=NOW)) == DEFAULT
    assert new.verify(of_old, now=NOW) is None
    assert old.verify(of_both, now=NOW) is None


@pytest.mark.parametrize("keys", [[], [b""], [NEW, b""]])
def test_a_signer_needs_keys(keys: list[bytes]) -> None:
    """An empty one would let everybody sign."""
    with pytest.raises(ValueError, match="key"):
        SecretSigner(keys)


@pytest.mark.parametrize(
    "value", ["", "ek_", "ek_.", "ek_..", "sk-123", "ek_ü", "ek_\ud800", "ek_a.b.c", "ek_" + "a" * 10**6]
)
def test_malformed(value: str) -> None:
    """No key at all is no error, either."""
    assert SecretSigner([NEW]).verify(value, now=NOW) is None


@given(st.data())
def test_forged(data: st.DataObject) -> None:
    """One character changed, and it is no key; or it stands for the same bytes."""
    signer = SecretSigner([NEW])
    value, _ = signer.sign(DEFAULT, now=NOW, seconds=10)
    place = data.draw(st.integers(0, len(value) - 1))
    forged = value[:place] + data.draw(st.characters()) + value[place + 1 :]

    assert settings_of(signer.verify(forged, now=NOW)) in (None, DEFAULT)
    assert signer.verify(value[:place], now=NOW) is None
    # The last character of base64 holds unused bits: changing those forges nothing.
    if forged != value and place != len(value) - 1:
        assert signer.verify(forged, now=NOW) is None


@given(st.text())
def test_garbage(text: str) -> None:
    """Nothing that a stranger sends raises."""
    assert SecretSigner([NEW]).verify(f"ek_{text}", now=NOW) is None


def test_what_another_version_signed() -> None:
    """Right signature, unknown contents: no key, and no error."""
    signer = SecretSigner([NEW])
    payloads: list[object] = [{}, None, "{}", "no json", [1], '{"expires_at": "x", "session": 5}']
    for payload in payloads:
        value = f"ek_{signer._serializer.dumps(payload)}"

        assert signer.verify(value, now=NOW) is None


def test_too_long_for_a_header() -> None:
    """A prompt that does not compress is refused by name."""
    prompt = "".join(random.Random(0).choices(string.ascii_letters, k=10_000))
    config = SessionConfig(transcription=Transcription(model="m", prompt=prompt))

    with pytest.raises(InvalidRequestError) as caught:
        SecretSigner([NEW]).sign(config, now=NOW, seconds=10)
    assert caught.value.status == 400
    assert caught.value.param == "session.audio.input.transcription"


def test_what_compresses_fits() -> None:
    """The limit is on the key, not on the prompt."""
    config = SessionConfig(transcription=Transcription(model="m", prompt="again and " * 1_000))
    signer = SecretSigner([NEW])
    value, _ = signer.sign(config, now=NOW, seconds=10)

    assert len(value) <= MAX_VALUE_CHARACTERS
    assert settings_of(signer.verify(value, now=NOW)) == config


@pytest.mark.parametrize("given_body", [b"", b" \n", b"{}", body(expires_after=None, include=None)])
@pytest.mark.parametrize("parse", [parse_client_secret, parse_transcription_session])
def test_everything_may_be_left_open(given_body: bytes, parse: Any) -> None:
    """The server's settings, for ten minutes."""
    assert parse(given_body, DEFAULT) == SecretRequest(DEFAULT, 600)


def test_client_secret_body() -> None:
    """Settings as in `session.update`, seconds as asked."""
    request = parse_client_secret(
        body(
            expires_after={"anchor": "created_at", "seconds": 7_200},
            session={"type": "transcription", "audio": {"input": {"turn_detection": None}}},
        ),
        DEFAULT,
    )

    assert request == SecretRequest(DEFAULT.model_copy(update={"turn_detection": None}), 7_200)


def test_the_flat_fields_of_old() -> None:
    """All that the beta had, its secret's seconds included."""
    request = parse_transcription_session(
        body(
            input_audio_format="g711_ulaw",
            input_audio_transcription={"model": "whisper-1", "language": "de", "prompt": "Grüße"},
            input_audio_noise_reduction={"type": "near_field"},
            turn_detection={"type": "server_vad", "threshold": 0.25, "create_response": False},
            include=[LOGPROBS],
            modalities=["text"],
            client_secret={"expires_at": {"anchor": "created_at", "seconds": 60}},
        ),
        DEFAULT,
    )

    assert request == SecretRequest(
        SessionConfig(
            format=AudioFormat(type="audio/pcmu"),
            transcription=Transcription(model="whisper-1", language="de", prompt="Grüße"),
            noise_reduction=NoiseReduction(type="near_field"),
            turn_detection=ServerVad(threshold=0.25),
            include=(LOGPROBS,),
        ),
        60,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pcm16", AudioFormat()), ("g711_alaw", AudioFormat(type="audio/pcma"))],
)
def test_the_formats_of_old(name: str, expected: AudioFormat) -> None:
    """The beta's names mean today's types."""
    assert parse_transcription_session(body(input_audio_format=name), FULL).config.format == expected


def test_todays_shape_on_the_old_path() -> None:
    """Also there, with `expires_after`; null switches turns off in either shape."""
    wire = FULL.to_wire()

    assert parse_transcription_session(body(**wire, expires_after={"seconds": 10}), DEFAULT) == SecretRequest(
        FULL, 10
    )
    assert parse_transcription_session(body(turn_detection=None), DEFAULT).config.turn_detection is None


@pytest.mark.parametrize(
    ("parse", "fields", "param"),
    [
        (parse_client_secret, {"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        (parse_client_secret, {"expires_after": {"seconds": 7_201}}, "expires_after.seconds"),
        (parse_client_secret, {"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        (parse_client_secret, {"expires_after": 60}, "expires_after"),
        (parse_client_secret, {"session": []}, "session"),
        (parse_client_secret, {"session": {"type": "speech"}}, "session.type"),
        (
            parse_client_secret,
            {"session": {"audio": {"input": {"format": {"rate": 1}}}}},
            "session.audio.input.format.rate",
        ),
        (parse_transcription_session, {"type": "speech"}, "type"),
        (parse_transcription_session, {"surprise": 1}, "surprise"),
        (parse_transcription_session, {"turn_detection": {"x": 1}}, "turn_detection.x"),
        (parse_transcription_session, {"include": ["x"]}, "include"),
        (
            parse_transcription_session,
            {"audio": {"input": {"format": {"rate": 1}}}},
            "audio.input.format.rate",
        ),
        (parse_transcription_session, {"input_audio_format": "mp3"}, "input_audio_format"),
        (parse_transcription_session, {"input_audio_format": ["mp3"]}, "input_audio_format"),
        (parse_transcription_session, {"turn_detection": 5}, "turn_detection"),
        (parse_transcription_session, {"turn_detection": {"threshold": 2}}, "turn_detection.threshold"),
        (
            parse_transcription_session,
            {"input_audio_transcription": {"model": ""}},
            "input_audio_transcription.model",
        ),
        (
            parse_transcription_session,
            {"input_audio_noise_reduction": {"type": "x"}},
            "input_audio_noise_reduction.type",
        ),
        (parse_transcription_session, {"client_secret": 5}, "client_secret"),
        (
            parse_transcription_session,
            {"client_secret": {"expires_at": {"seconds": 1}}},
            "client_secret.expires_at.seconds",
        ),
    ],
)
def test_refusals(parse: Any, fields: dict[str, Any], param: str) -> None:
    """The field is named as this body names it, in `param` and in the message."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(body(**fields), DEFAULT)

    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


@pytest.mark.parametrize("given_body", [b"[]", b"no", b"\xff"])
@pytest.mark.parametrize("parse", [parse_client_secret, parse_transcription_session])
def test_no_object(parse: Any, given_body: bytes) -> None:
    """Anything but a JSON object is refused."""
    with pytest.raises(InvalidRequestError):
        parse(given_body, DEFAULT)


def test_client_secret_answer() -> None:
    """What the package's type describes: the key, its end, and the session with its id."""
    answer = client_secret_object(DEFAULT, value="ek_1", expires_at=NOW, session_id="sess_1")

    check(ClientSecretCreateResponse, answer)
    assert answer["session"]["object"] == "realtime.transcription_session"
    assert answer["session"]["id"] == "sess_1"
    assert answer["session"]["type"] == "transcription"


@pytest.mark.parametrize("config", [DEFAULT, SessionConfig()])
def test_answer_of_old(config: SessionConfig) -> None:
    """The beta's flat fields and its secret; of its time are the id and the object, which its type lacks."""
    answer: dict[str, object] = {
        **transcription_session_object(config, value="ek_1", expires_at=NOW, session_id="sess_1")
    }
    identity = answer.pop("id"), answer.pop("object"), answer.pop("input_audio_noise_reduction")

    check(TranscriptionSession, answer)
    assert identity == ("sess_1", "realtime.transcription_session", None)
    assert answer["client_secret"] == {"value": "ek_1", "expires_at": NOW}
    assert answer["input_audio_format"] == "pcm16"


def test_answer_of_old_tells_all() -> None:
    """It sets the same settings again."""
    answer = transcription_session_object(FULL, value="ek_1", expires_at=NOW, session_id="sess_1")

    assert (
        parse_transcription_session(json.dumps({**answer, "client_secret": None}).encode(), DEFAULT).config
        == FULL
    )
