"""Settings change as OpenAI's partial updates say, refusals name the field, and the wire tells them back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.beta.realtime import Session as BetaSession
from openai.types.beta.realtime import TranscriptionSession as BetaTranscriptionSession
from openai.types.realtime import RealtimeSessionCreateRequest as Conversation
from openai.types.realtime import RealtimeTranscriptionSessionCreateRequest as Request
from openai.types.realtime.realtime_transcription_session_audio_input_turn_detection import (
    SemanticVad as Semantic,
)
from openai.types.realtime.realtime_transcription_session_audio_input_turn_detection import (
    ServerVad as Vad,
)
from pydantic import BaseModel, ValidationError

from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocol.realtime.config import LOGPROBS, WORDS, SessionConfig
from gateway.protocol.realtime.fields import LEGACY_NAMES
from gateway.protocol.realtime.parts import AudioFormat, NoiseReduction, SemanticVad, ServerVad, Transcription
from tests.protocol.realtime.wire import check

DEFAULT = SessionConfig.default("whisper-1")
FULL = SessionConfig(
    format=AudioFormat(type="audio/pcmu"),
    transcription=Transcription(
        model="gpt-transcribe",
        languages=("en", "de"),
        prompt="Names.",
        keywords=("Ada", "Grace"),
        delay="low",
    ),
    noise_reduction=NoiseReduction(type="near_field", strength=0.5),
    turn_detection=ServerVad(threshold=0.25, prefix_padding_ms=100, idle_timeout_ms=6_000),
    include=(LOGPROBS,),
)


def given_input(**fields: Any) -> dict[str, Any]:
    """A `session` object with these fields of `audio.input`."""
    return {"type": "transcription", "audio": {"input": fields}}


def test_default() -> None:
    """Server VAD with OpenAI's numbers, 24 kHz, no filter; of a continuous name, no turns."""
    assert DEFAULT.turn_detection == ServerVad(
        threshold=0.5, prefix_padding_ms=300, silence_duration_ms=500, idle_timeout_ms=None
    )
    assert DEFAULT.format == AudioFormat(type="audio/pcm", rate=24_000)
    assert DEFAULT.transcription == Transcription(model="whisper-1")
    assert not DEFAULT.wants_logprobs
    assert not DEFAULT.is_continuous
    for model in ("gpt-live-transcribe", "openai/gpt-realtime-whisper"):
        assert SessionConfig.default(model).turn_detection is None
        assert SessionConfig.default(model).is_continuous


@pytest.mark.parametrize(
    "session",
    [
        {},
        {"type": "transcription"},
        {"type": None, "audio": None},
        {"audio": {"input": None}},
        given_input(),
        {
            "type": "realtime",
            "audio": {"output": {"voice": "any"}},
            "instructions": "Be kind.",
            "tools": [{}],
        },
        given_input(turn_detection={"create_response": True, "interrupt_response": False}),
    ],
)
@pytest.mark.parametrize("config", [DEFAULT, FULL])
def test_absent_is_unchanged(config: SessionConfig, session: dict[str, Any]) -> None:
    """What is not named stays, and what conversations need is nothing here."""
    assert config.updated(session) == config


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"surprise": 1}, "session.surprise"),
        ({"turn_detection": {"treshold": 0.5}}, "session.turn_detection.treshold"),
        ({"input_audio_transcription": {"lang": None}}, "session.input_audio_transcription.lang"),
        ({"audio": {"inputs": {}}}, "session.audio.inputs"),
        (given_input(formats={}), "session.audio.input.formats"),
        (given_input(format={"rates": 1}), "session.audio.input.format.rates"),
        (given_input(transcription={"Model": "whisper-1"}), "session.audio.input.transcription.Model"),
        (given_input(noise_reduction={"kind": 1}), "session.audio.input.noise_reduction.kind"),
        (given_input(turn_detection={"silence_ms": 1}), "session.audio.input.turn_detection.silence_ms"),
    ],
)
def test_unknown_fields_are_said(session: dict[str, Any], param: str) -> None:
    """As OpenAI does: a typo that is ignored costs a whole call."""
    with pytest.raises(InvalidRequestError) as caught:
        DEFAULT.updated(session)

    assert (caught.value.code, caught.value.param) == ("unknown_parameter", param)
    assert f"'{param}'" in caught.value.message


def test_every_field_of_openais_types_is_known() -> None:
    """Of a session that transcribes or converses, of today and of the beta; most mean nothing here."""
    kinds: list[type[BaseModel]] = [Request, Conversation, BetaSession, BetaTranscriptionSession]
    names = {name for kind in kinds for name in kind.model_fields} - {"turn_detection"}

    for name in names - {"type", "audio", "include"} - set(LEGACY_NAMES):
        assert DEFAULT.updated({name: {"anything": 1}}) == DEFAULT
    turn_kinds: list[type[BaseModel]] = [Vad, Semantic]
    for kind in turn_kinds:
        turns = dict.fromkeys(kind.model_fields)
        assert DEFAULT.updated(given_input(turn_detection=turns)) == DEFAULT


def test_flat_fields() -> None:
    """The beta's, wherever they come; today's go before them, and errors name what was written."""
    flat: dict[str, Any] = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "de"},
        "input_audio_noise_reduction": None,
        "turn_detection": None,
    }
    config = FULL.updated(flat)

    assert config.format == AudioFormat(type="audio/pcmu")
    assert config.transcription is not None
    assert (config.transcription.model, config.transcription.language) == ("whisper-1", "de")
    assert (config.noise_reduction, config.turn_detection) == (None, None)
    assert FULL.updated({**flat, **given_input(format={"type": "audio/pcma"})}).format.type == "audio/pcma"
    with pytest.raises(InvalidRequestError) as caught:
        FULL.updated({"input_audio_format": "mp3"})
    assert caught.value.param == "session.input_audio_format"


def test_null_clears() -> None:
    """Each part is off, or back at its default."""
    cleared = FULL.updated({
        **given_input(format=None, transcription=None, noise_reduction=None, turn_detection=None),
        "include": None,
    })  # fmt: skip

    assert cleared == SessionConfig()


def test_null_clears_inner_fields() -> None:
    """A null inside a part is that field's default."""
    updated = FULL.updated(
        given_input(
            transcription={"prompt": None, "keywords": None, "languages": None, "delay": None},
            noise_reduction={"strength": None},
            turn_detection={"threshold": None, "idle_timeout_ms": None},
        )
    )

    assert updated.transcription == Transcription(model="gpt-transcribe")
    assert updated.noise_reduction == NoiseReduction(type="near_field")
    assert updated.turn_detection == ServerVad(prefix_padding_ms=100)


@pytest.mark.parametrize(
    ("fields", "part", "expected"),
    [
        (
            {"noise_reduction": {"type": "near_field"}},
            "noise_reduction",
            NoiseReduction(type="near_field", strength=0.5),
        ),
        (
            {"noise_reduction": {"type": "far_field"}},
            "noise_reduction",
            NoiseReduction(type="far_field", strength=0.5),
        ),
        (
            {"noise_reduction": {"strength": 1}},
            "noise_reduction",
            NoiseReduction(type="near_field", strength=1.0),
        ),
        (
            {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}},
            "turn_detection",
            ServerVad(threshold=0.25, prefix_padding_ms=100, silence_duration_ms=200, idle_timeout_ms=6_000),
        ),
        (
            {"turn_detection": {"threshold": 1, "create_response": True, "interrupt_response": False}},
            "turn_detection",
            ServerVad(threshold=1.0, prefix_padding_ms=100, idle_timeout_ms=6_000),
        ),
        ({"turn_detection": {"type": "semantic_vad"}}, "turn_detection", SemanticVad()),
        (
            {"turn_detection": {"type": "semantic_vad", "eagerness": "low", "threshold": 0.9}},
            "turn_detection",
            SemanticVad(eagerness="low"),
        ),
        ({"format": {"type": "audio/pcm"}}, "format", AudioFormat()),
        ({"format": {"type": "audio/pcm", "rate": 16_000}}, "format", AudioFormat(rate=16_000)),
        ({"format": {"type": "audio/pcma"}}, "format", AudioFormat(type="audio/pcma", rate=8_000)),
        ({"format": {"rate": 8_000}}, "format", AudioFormat(type="audio/pcmu", rate=8_000)),
    ],
)
def test_merged_by_field(fields: dict[str, Any], part: str, expected: object) -> None:
    """A part of the same type keeps what is not named; a new type begins with its defaults."""
    updated = FULL.updated(given_input(**fields))

    assert getattr(updated, part) == expected
    assert updated == FULL.model_copy(update={part: expected})


def test_a_format_keeps_its_rate() -> None:
    """The type alone, once more, does not change the rate."""
    config = DEFAULT.updated(given_input(format={"rate": 48_000}))

    assert config.updated(given_input(format={"type": "audio/pcm"})).format.rate == 48_000


def test_transcription_is_read_as_the_form() -> None:
    """Languages by any name, blanks are not set, `auto` is none; the model stays."""
    updated = DEFAULT.updated(
        given_input(transcription={"languages": ["German", "en-US"], "prompt": " ", "language": "auto"})
    )
    named = updated.updated(given_input(transcription={"language": "EN", "prompt": "Hello"}))

    assert updated.transcription == Transcription(model="whisper-1", languages=("de", "en"))
    assert named.transcription == Transcription(model="whisper-1", language="en", prompt="Hello")
    back = named.updated(given_input(transcription={"languages": ["fr"]})).transcription
    assert back == Transcription(model="whisper-1", languages=("fr",), prompt="Hello")


def test_a_continuous_model_has_no_turns() -> None:
    """Its name alone switches them off; given with it, or later, they are refused. Others may have them."""
    live = DEFAULT.updated(given_input(transcription={"model": "gpt-live-transcribe", "delay": "high"}))

    assert live.turn_detection is None
    assert live.is_continuous
    assert live.updated(given_input(turn_detection=None)) == live
    for config, fields in (
        (
            DEFAULT,
            {"transcription": {"model": "gpt-realtime-whisper"}, "turn_detection": {"type": "server_vad"}},
        ),
        (live, {"turn_detection": {"type": "semantic_vad"}}),
    ):
        with pytest.raises(UnsupportedValueError) as caught:
            config.updated(given_input(**fields))
        assert caught.value.param == "session.audio.input.turn_detection"
    other = live.updated(
        given_input(transcription={"model": "whisper-1"}, turn_detection={"type": "server_vad"})
    )
    assert other.turn_detection == ServerVad()


def test_include() -> None:
    """Log-probabilities are asked for by OpenAI's long name."""
    assert DEFAULT.updated({"include": [LOGPROBS]}).wants_logprobs
    assert not FULL.updated({"include": []}).wants_logprobs
    assert DEFAULT.updated({"include": [WORDS]}).wants_words
    assert not FULL.wants_words


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "conversation"}, "session.type"),
        ({"type": ["transcription"]}, "session.type"),
        ({"audio": 5}, "session.audio"),
        ({"audio": {"input": "x"}}, "session.audio.input"),
        ({"include": ["logprobs"]}, "session.include"),
        ({"include": LOGPROBS}, "session.include"),
        (given_input(format="pcm16"), "session.audio.input.format"),
        (given_input(format={"type": "audio/mp3"}), "session.audio.input.format.type"),
        (given_input(format={"rate": 7_999}), "session.audio.input.format.rate"),
        (given_input(format={"rate": 48_001}), "session.audio.input.format.rate"),
        (given_input(format={"rate": "16000"}), "session.audio.input.format.rate"),
        (given_input(format={"type": "audio/pcma", "rate": 16_000}), "session.audio.input.format.rate"),
        (given_input(transcription=[]), "session.audio.input.transcription"),
        (given_input(transcription={"model": ""}), "session.audio.input.transcription.model"),
        (given_input(transcription={"model": None}), "session.audio.input.transcription.model"),
        (given_input(transcription={"language": 5}), "session.audio.input.transcription.language"),
        (given_input(transcription={"languages": "en"}), "session.audio.input.transcription.languages"),
        (given_input(transcription={"keywords": [""]}), "session.audio.input.transcription.keywords"),
        (given_input(transcription={"prompt": "x" * 70_000}), "session.audio.input.transcription.prompt"),
        (given_input(transcription={"delay": "none"}), "session.audio.input.transcription.delay"),
        (
            given_input(transcription={"model": "gpt-4o-transcribe-diarize", "prompt": "x"}),
            "session.audio.input.transcription.prompt",
        ),
        (given_input(noise_reduction={}), "session.audio.input.noise_reduction.type"),
        (given_input(noise_reduction={"type": "mid_field"}), "session.audio.input.noise_reduction.type"),
        (
            given_input(noise_reduction={"type": "far_field", "strength": 1.5}),
            "session.audio.input.noise_reduction.strength",
        ),
        (given_input(turn_detection={"type": "none"}), "session.audio.input.turn_detection.type"),
        (given_input(turn_detection={"type": []}), "session.audio.input.turn_detection.type"),
        (given_input(turn_detection="server_vad"), "session.audio.input.turn_detection"),
        (given_input(turn_detection={"threshold": 1.1}), "session.audio.input.turn_detection.threshold"),
        (given_input(turn_detection={"threshold": True}), "session.audio.input.turn_detection.threshold"),
        (given_input(turn_detection={"threshold": 10**400}), "session.audio.input.turn_detection.threshold"),
        (
            given_input(turn_detection={"prefix_padding_ms": 5_001}),
            "session.audio.input.turn_detection.prefix_padding_ms",
        ),
        (
            given_input(turn_detection={"silence_duration_ms": -1}),
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            given_input(turn_detection={"idle_timeout_ms": 4_999}),
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            given_input(turn_detection={"type": "semantic_vad", "eagerness": "very"}),
            "session.audio.input.turn_detection.eagerness",
        ),
    ],
)
def test_refusals_name_the_field(session: dict[str, Any], param: str) -> None:
    """The whole path from `session` on, in `param` and mostly in the message."""
    with pytest.raises(InvalidRequestError) as caught:
        DEFAULT.updated(session)

    assert caught.value.param == param
    assert caught.value.code in {"invalid_value", "unsupported_value", "missing_required_parameter"}
    assert caught.value.message.isascii()


def test_turns_need_a_type_where_there_are_none() -> None:
    """Nothing says which kind is meant."""
    manual = DEFAULT.updated(given_input(turn_detection=None))

    with pytest.raises(InvalidRequestError, match="Missing required parameter") as caught:
        manual.updated(given_input(turn_detection={"threshold": 0.3}))
    assert caught.value.param == "session.audio.input.turn_detection.type"


def test_transcription_needs_a_model_where_there_is_none() -> None:
    """Once cleared, the model has to be named again."""
    with pytest.raises(InvalidRequestError) as caught:
        SessionConfig().updated(given_input(transcription={"language": "en"}))

    assert caught.value.param == "session.audio.input.transcription.model"


def test_g711_has_one_rate() -> None:
    """It is known without being told, and no other can be made."""
    assert AudioFormat(type="audio/pcmu").rate == 8_000
    with pytest.raises(ValidationError, match=r"G\.711"):
        AudioFormat(type="audio/pcma", rate=16_000)


@pytest.mark.parametrize(
    "config",
    [
        DEFAULT,
        FULL,
        SessionConfig(),
        SessionConfig.default("gpt-live-transcribe"),
        DEFAULT.model_copy(update={"turn_detection": SemanticVad(eagerness="high")}),
    ],
)
def test_wire(config: SessionConfig) -> None:
    """The package's type takes it strictly, cleared parts are null, and it sets the same settings again."""
    wire = config.to_wire()

    check(Request, wire)
    assert SessionConfig().updated(wire) == config
    assert set(wire["audio"]["input"]) == {"format", "transcription", "noise_reduction", "turn_detection"}


def test_the_true_rate_is_told() -> None:
    """An extension: OpenAI knows 24 kHz only, and G.711 needs no rate."""
    assert SessionConfig(format=AudioFormat(rate=16_000)).to_wire()["audio"]["input"]["format"] == {
        "type": "audio/pcm",
        "rate": 16_000,
    }
    assert FULL.to_wire()["audio"]["input"]["format"] == {"type": "audio/pcmu"}


VALUES = st.sampled_from(
    "transcription realtime server_vad semantic_vad near_field far_field audio/pcm audio/pcmu audio/pcma "
    "low high whisper-1 gpt-live-transcribe gpt-4o-transcribe-diarize en auto".split()
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([0.5, 1, 300, 8_000, 16_000, 10**400, 1e308]),
        VALUES,
        st.just([LOGPROBS]),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
PARTS = {
    "format": ("type", "rate"),
    "transcription": ("model", "language", "languages", "prompt", "keywords", "delay"),
    "noise_reduction": ("type", "strength"),
    "turn_detection": (
        "type",
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
        "idle_timeout_ms",
        "eagerness",
    ),
}


def sessions() -> st.SearchStrategy[dict[str, Any]]:
    """`session` objects that are nearly right."""

    def some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
        return st.fixed_dictionaries({}, optional=fields)

    parts = {
        part: st.one_of(some(dict.fromkeys(fields, JSON)), JSON)
        if part == "format"
        else some(dict.fromkeys(fields, JSON)) | JSON
        for part, fields in PARTS.items()
    }
    audio = some({"input": some(parts) | JSON}) | JSON
    kinds = st.sampled_from([None, "transcription", "realtime"])
    return st.fixed_dictionaries({}, optional={"type": kinds, "audio": audio, "include": JSON})


@settings(max_examples=300, deadline=None)
@given(st.lists(sessions(), max_size=4))
def test_any_update(updates: list[dict[str, Any]]) -> None:
    """Any objects change the settings or are refused, and the settings can always be told and taken back."""
    config = DEFAULT
    for update in updates:
        try:
            config = config.updated(update)
        except InvalidRequestError:
            continue

        assert SessionConfig().updated(config.to_wire()) == config
        assert config.turn_detection is None or not config.is_continuous


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"include": ["a"] * 2_000}, "session.include"),
        (
            {"audio": {"input": {"transcription": {"keywords": [1] * 2_000}}}},
            "session.audio.input.transcription.keywords",
        ),
    ],
)
def test_long_lists_are_refused_unread(session: dict[str, Any], param: str) -> None:
    """Telling what is wrong with each of their items took seconds."""
    with pytest.raises(InvalidRequestError) as refused:
        SessionConfig.default("whisper-1").updated(session)

    assert (refused.value.param, refused.value.code) == (param, "array_above_max_length")
