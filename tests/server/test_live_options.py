"""A session's settings become what the live flow and the engine are told, within what the model can do."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.audio.turns import TurnMode
from gateway.audio.vad import VadOptions
from gateway.engine.api import Capabilities, DecodeOptions, Model, ModelDefaults
from gateway.engine.catalog import Catalog
from gateway.errors import GatewayError, UnavailableError
from gateway.flow.options import LiveOptions, NoiseReduction, PartialOptions
from gateway.protocol.realtime.config import LOGPROBS, WORDS, SessionConfig
from gateway.server.live_options import live_options
from tests.fake_recognizer import FakeRecognizer, in_turn

ABLE = Capabilities(frozenset({"en", "de"}), detects_language=True, prompt=True, keywords=True, logprobs=True)
UNABLE = Capabilities(frozenset({"en"}))


def fake(capabilities: Capabilities = ABLE, **given: Any) -> FakeRecognizer:
    """A model that can all this; nothing is decoded here."""
    return FakeRecognizer(in_turn(), name="able", capabilities=capabilities, **given)


async def resolve(
    model: Model | None = None, *, beam: int | None = 1, include: tuple[str, ...] = (), **given: Any
) -> LiveOptions:
    """The options for a session of this model after an update."""
    model = model or fake()
    update = {"audio": {"input": given}, "include": include}
    config = SessionConfig.default(model.name).updated(update)
    return await live_options(
        config,
        Catalog([model], ["gpt-live-transcribe"]),
        partials=None if beam is None else PartialOptions(beam_size=beam, consistent=True),
    )


async def partials(model: Model | None = None, **given: Any) -> PartialOptions | None:
    """How an utterance that goes on is decoded then."""
    recognition = (await resolve(model, **given)).recognition
    assert recognition is not None
    return recognition.partials


async def test_word_times() -> None:
    """Where `include` asks for them the engine is asked for them, too."""
    for include in ((), (WORDS,)):
        options = await resolve(fake(replace(ABLE, words=True)), include=include)

        assert options.recognition is not None
        assert options.recognition.decoding.words == bool(include)


async def test_defaults() -> None:
    """What a session is where its client says nothing: OpenAI's."""
    options = await resolve()

    assert (options.encoding, options.rate, options.noise_reduction) == ("pcm16", 24_000, None)
    assert options.turns.mode is TurnMode.SERVER_VAD
    assert options.turns.vad == VadOptions(0.5, 300, 500)
    assert options.turns.idle is None
    assert options.recognition is not None
    assert options.recognition.decoding == DecodeOptions()
    assert options.recognition.model == "able"


@pytest.mark.parametrize(
    ("wire", "encoding", "rate"),
    [
        ({"type": "audio/pcm", "rate": 16_000}, "pcm16", 16_000),
        ({"type": "audio/pcmu"}, "ulaw", 8_000),
        ({"type": "audio/pcma"}, "alaw", 8_000),
    ],
)
async def test_formats(wire: dict[str, Any], encoding: str, rate: int) -> None:
    """The wire's names are those of codecs inside."""
    options = await resolve(format=wire)

    assert (options.encoding, options.rate) == (encoding, rate)


async def test_noise_reduction() -> None:
    """Kind and strength."""
    options = await resolve(noise_reduction={"type": "far_field", "strength": 0.5})

    assert options.noise_reduction == NoiseReduction("far_field", 0.5)


async def test_server_vad() -> None:
    """All four settings, times in samples where the flow counts those."""
    vad = {"threshold": 0.7, "prefix_padding_ms": 100, "silence_duration_ms": 900, "idle_timeout_ms": 6_000}
    turns = (await resolve(turn_detection={"type": "server_vad", **vad})).turns

    assert turns.vad == VadOptions(0.7, 100, 900)
    assert turns.idle == 96_000


@pytest.mark.parametrize(
    ("wire", "eagerness", "seconds"),
    [("low", "low", 8), ("medium", "medium", 4), ("auto", "medium", 4), ("high", "high", 2)],
)
async def test_semantic_vad(wire: str, eagerness: str, seconds: int) -> None:
    """OpenAI's longest silences; auto is medium."""
    options = await resolve(turn_detection={"type": "semantic_vad", "eagerness": wire})

    assert options.turns.mode is TurnMode.SEMANTIC_VAD
    assert (options.eagerness, options.turns.patience) == (eagerness, seconds * 16_000)


async def test_who_commits_gets_text_behind_the_commit() -> None:
    """Nobody reads deltas of audio that may be cleared; continuous models tell them all along."""
    manual = await resolve(turn_detection=None)
    continuous = await resolve(transcription={"model": "gpt-live-transcribe"})

    assert manual.turns.mode is continuous.turns.mode is TurnMode.MANUAL
    assert continuous.turns.max_pause < manual.turns.max_pause
    assert await partials(turn_detection=None) is None
    assert await partials(transcription={"model": "gpt-live-transcribe"}) is not None


async def test_delays() -> None:
    """A longer delay never tells a word sooner: each step waits for more, or holds more back."""
    delays = [
        await partials(transcription={"delay": delay})
        for delay in ("minimal", "low", "medium", "high", "xhigh")
    ]
    figures = [
        (each.step, *(getattr(each.stability, name) for name in ("agreement", "held_back", "evidence")))
        for each in delays
        if each is not None
    ]

    assert len(set(figures)) == 5
    for values in zip(*figures, strict=True):
        assert list(values) == sorted(values)
    assert await partials() == delays[1]


async def test_partials_can_be_off() -> None:
    """As the operator says; and their beam is the operator's, too."""
    found = await partials(beam=3)

    assert await partials(beam=None) is None
    assert found is not None
    assert found.beam_size == 3


async def test_decoding() -> None:
    """What the engine is asked is what an upload with these fields would ask."""
    options = await resolve(
        include=(LOGPROBS,), transcription={"language": "de", "prompt": "Grüße", "keywords": ["Welt"]}
    )
    assert options.recognition is not None

    assert options.recognition.decoding == DecodeOptions(
        language="de", prompt="Grüße", keywords=("Welt",), logprobs=True
    )


async def test_the_models_own_defaults() -> None:
    """They hold where the session says nothing, and nowhere else."""
    model = fake(defaults=ModelDefaults(language="de", prompt="Hallo"))
    options = await resolve(model)
    other = await resolve(model, transcription={"languages": ["en", "de"], "prompt": "Hi"})
    assert options.recognition is not None
    assert other.recognition is not None

    assert (options.recognition.decoding.language, options.recognition.decoding.prompt) == ("de", "Hallo")
    assert (other.recognition.decoding.languages, other.recognition.decoding.prompt) == (("en", "de"), "Hi")


async def test_no_transcription() -> None:
    """No model is asked for anything."""
    assert (
        await resolve(fake(loading=UnavailableError("It is being loaded.")), transcription=None)
    ).recognition is None


@pytest.mark.parametrize(
    ("model", "include", "given", "param"),
    [
        (fake(), (), {"model": "nope"}, "session.audio.input.transcription.model"),
        (fake(UNABLE), (), {"language": "de"}, "session.audio.input.transcription.language"),
        (fake(UNABLE), (), {"prompt": "x"}, "session.audio.input.transcription.prompt"),
        (fake(UNABLE), (), {"keywords": ["x"]}, "session.audio.input.transcription.keywords"),
        (fake(UNABLE), (LOGPROBS,), {}, "session.include"),
        (fake(UNABLE), (WORDS,), {}, "session.include"),
        (fake(loading=UnavailableError("It is being loaded.")), (), {}, None),
    ],
)
async def test_refusals(
    model: Model, include: tuple[str, ...], given: dict[str, Any], param: str | None
) -> None:
    """Each names the setting as the client wrote it."""
    with pytest.raises(GatewayError) as caught:
        await resolve(model, include=include, transcription=given)

    assert caught.value.param == param
