"""From a Realtime session's settings to what the live flow is told, within what the model can do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.audio.pcm import Encoding
from gateway.audio.speaker_model import SpeakerModel
from gateway.audio.turns import TurnMode, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.audio.vad import VadOptions
from gateway.engine.catalog import Catalog
from gateway.errors import InvalidRequestError, ModelNotFoundError
from gateway.flow.options import LiveOptions, NoiseReduction, PartialOptions, Recognition
from gateway.flow.speakers import Speakers
from gateway.protocol.contracts import contract
from gateway.protocol.realtime.config import SessionConfig
from gateway.protocol.realtime.parts import SemanticVad, ServerVad, Transcription
from gateway.protocol.request import TranscriptionRequest
from gateway.server.options import decode_options, with_defaults
from gateway.transcript.stable import StabilityOptions
from gateway.transcript.writing import MAX_SILENCE_SECONDS, Eagerness

_ENCODINGS: dict[str, Encoding] = {"audio/pcm": "pcm16", "audio/pcmu": "ulaw", "audio/pcma": "alaw"}

_DELAYS = {
    "minimal": PartialOptions(step=0.3, stability=StabilityOptions(held_back=0)),
    "low": PartialOptions(step=0.4, stability=StabilityOptions(evidence=1.0)),
    "medium": PartialOptions(step=0.4, stability=StabilityOptions(agreement=3, evidence=2.2)),
    "high": PartialOptions(step=0.4, stability=StabilityOptions(agreement=3, evidence=2.6)),
    "xhigh": PartialOptions(step=0.8, stability=StabilityOptions(agreement=3, evidence=2.6)),
}
"""How soon a word is told, by ``delay``, against how often the final text takes it back: figures by
`python -m bench live_policy`."""

_DEFAULT_DELAY = "low"

_CONTINUOUS_PAUSE = SAMPLE_RATE * 4 // 5
"""Without turns, a pause of 0.8 s settles what was said before it."""

_PARAM = "session.audio.input.transcription"


async def live_options(
    config: SessionConfig,
    catalog: Catalog,
    *,
    partials: PartialOptions | None,
    speakers: Callable[[], Awaitable[SpeakerModel]] | None = None,
) -> LiveOptions:
    """What the session's settings mean.

    Args:
        partials: What the operator wants of the hypotheses of utterances that go on; when there is one, and
            what is emitted of it, is the session's `delay`. None: there are none.
        speakers: Gives what tells them apart, or raises why not; None: nothing does.

    Raises:
        InvalidRequestError: The model is not served, or cannot do what is asked; names the setting.
        UnavailableError: The model cannot be loaded.
    """
    reduction = config.noise_reduction
    return LiveOptions(
        encoding=_ENCODINGS[config.format.type],
        rate=config.format.rate,
        noise_reduction=None if reduction is None else NoiseReduction(reduction.type, reduction.strength),
        turns=_turns(config),
        recognition=await _recognition(config, catalog, partials, speakers),
        eagerness=_eagerness(config),
    )


def _turns(config: SessionConfig) -> TurnOptions:
    match config.turn_detection:
        case ServerVad() as vad:
            return TurnOptions(
                TurnMode.SERVER_VAD,
                VadOptions(vad.threshold, vad.prefix_padding_ms, vad.silence_duration_ms),
                idle=None if vad.idle_timeout_ms is None else vad.idle_timeout_ms * SAMPLE_RATE // 1000,
            )
        case SemanticVad():
            patience = round(MAX_SILENCE_SECONDS[_eagerness(config)] * SAMPLE_RATE)
            return TurnOptions(TurnMode.SEMANTIC_VAD, patience=patience)
        case None if config.is_continuous:
            return TurnOptions(TurnMode.MANUAL, max_pause=_CONTINUOUS_PAUSE)
    return TurnOptions(TurnMode.MANUAL)


def _eagerness(config: SessionConfig) -> Eagerness:
    vad = config.turn_detection
    if not isinstance(vad, SemanticVad) or vad.eagerness == "auto":
        return "medium"
    return vad.eagerness


async def _recognition(
    config: SessionConfig,
    catalog: Catalog,
    partials: PartialOptions | None,
    speakers: Callable[[], Awaitable[SpeakerModel]] | None,
) -> Recognition | None:
    wanted = config.transcription
    if wanted is None:
        return None
    try:
        model = catalog.find(wanted.model)
        request = with_defaults(_request(wanted, config), model.defaults)
        async with model.lease() as recognizer:
            decoding = decode_options(request, recognizer, task="transcribe", logprobs=config.wants_logprobs)
        told_apart = None
        if speakers is not None and request.wants_speakers:
            told_apart = Speakers(await speakers())
    except (InvalidRequestError, ModelNotFoundError) as error:
        included = error.param in ("include", "timestamp_granularities")
        param = "session.include" if included else f"{_PARAM}.{error.param}"
        raise error.under(param) from None
    return Recognition(
        model.lease,
        wanted.model,
        decoding,
        _partials(config, wanted, partials),
        speakers=told_apart,
        words=config.wants_words,
    )


def _request(wanted: Transcription, config: SessionConfig) -> TranscriptionRequest:
    """The session's settings as an upload would have them: the same checks and defaults hold."""
    return TranscriptionRequest(
        model=wanted.model,
        response_format="diarized_json" if contract(wanted.model).diarizes else "json",
        language=wanted.language,
        languages=wanted.languages,
        prompt=wanted.prompt,
        keywords=wanted.keywords,
        include=("logprobs",) if config.wants_logprobs else (),
        timestamp_granularities=("word",) if config.wants_words else (),
    )


def _partials(
    config: SessionConfig, wanted: Transcription, operators: PartialOptions | None
) -> PartialOptions | None:
    if operators is None or (config.turn_detection is None and not config.is_continuous):
        return None
    timing = _DELAYS[wanted.delay or _DEFAULT_DELAY]
    return replace(operators, step=timing.step, stability=timing.stability)
