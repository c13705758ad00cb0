"""Finds out once what an upstream can do, by asking it with a second of sound."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import numpy as np

from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.upstream.client import Client, RefusedError
from gateway.engine.upstream.forms import TRANSCRIPTIONS, TRANSLATIONS, Abilities, Fields
from gateway.engine.upstream.wave import wave
from gateway.errors import LoadFailedError, WorkerLostError

logger = logging.getLogger(__name__)

OURS = "transcription-gateway"
"""Owner of a name in a gateway's list of models."""

_SEGMENTS: Fields = {"response_format": "verbose_json"}
_WORDS: Fields = {**_SEGMENTS, "timestamp_granularities[]": ["word", "segment"]}
_JSON: Fields = {"response_format": "json"}
_LOGPROBS: Fields = {**_JSON, "include[]": "logprobs"}

_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""They say nothing of what was asked, which is asked again later: an ability that is missed now stays so."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out.

    Attributes:
        model: The model's name there.
    """

    model: str
    abilities: Abilities


async def probe(client: Client, model: str | None) -> Found:
    """Asks what the model can do.

    Args:
        model: None takes the only one that it has.

    Raises:
        LoadFailedError: It will not serve the model to us, and not if tried again.
        WorkerLostError: It cannot be reached, or fails.
    """
    listed = await client.get("models")
    names, is_gateway = _listed(None if listed is None else listed.body)
    if model is None:
        if len(names) != 1:
            what = f"has {len(names)} models" if names else "does not say which models it has"
            raise LoadFailedError("upstream", f"the upstream {what}: name one, as openai:URL#model")
        [model] = names
    found = await _abilities(client, model)
    return Found(model, replace(found, is_gateway=is_gateway))


async def _abilities(client: Client, model: str) -> Abilities:
    refusals: list[RefusedError] = []
    form = {"model": model}
    # What all have goes first: only behind it is a failure one of the form, and not of the upstream.
    if await _tried(client, TRANSCRIPTIONS, {**form, **_JSON}, refusals) is None:
        raise _hopeless(model, refusals[-1])
    able = Abilities()
    for fields in (_WORDS, _SEGMENTS):
        if (body := await _tried(client, TRANSCRIPTIONS, {**form, **fields}, refusals)) is not None:
            has_words = fields is _WORDS and _has_words(body)
            able = replace(able, verbose=True, words=has_words)
            break
    body = await _tried(client, TRANSCRIPTIONS, {**form, **_LOGPROBS}, refusals)
    has_logprobs = body is not None and isinstance(body.get("logprobs"), list)
    own = _SEGMENTS if able.verbose else _JSON
    translated = await _tried(client, TRANSLATIONS, {**form, **own}, refusals)
    for refusal in refusals:
        logger.debug("upstream model %s: %s", model, refusal)
    return replace(able, logprobs=has_logprobs, translates=translated is not None)


async def _tried(
    client: Client, path: str, fields: Fields, refusals: list[RefusedError]
) -> Mapping[str, Any] | None:
    """The answer to the probe in this form; None where the upstream does not take it.

    Raises:
        LoadFailedError: It does not let us in, or has no such model.
        WorkerLostError: It has no time for us.
    """
    try:
        answer = await client.post(path, fields, wave(_sound()))
    except RefusedError as refusal:
        if refusal.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise LoadFailedError(
                "upstream refuses the key",
                f"the upstream refuses the key (GATEWAY_UPSTREAM_KEY, or `key` of the model): {refusal}",
            ) from None
        if refusal.status in _PASSING:
            logger.warning("upstream model %s: %s", fields["model"], refusal)
            raise WorkerLostError(
                "upstream asks for payment" if refusal.is_unpaid else "upstream is busy", kind="unreachable"
            ) from None
        refusals.append(refusal)
        return None
    if isinstance(answer.body, Mapping) and isinstance(answer.body.get("text"), str):
        return answer.body
    refusals.append(RefusedError("no transcript came back", HTTPStatus.NOT_ACCEPTABLE))
    return None


def _has_words(body: Mapping[str, Any]) -> bool:
    """Beside the segments, or in them, as servers on faster-whisper and whisper.cpp have them."""
    segments = body.get("segments")
    entries = [body, *(segments if isinstance(segments, list) else ())]
    return any(isinstance(entry, Mapping) and isinstance(entry.get("words"), list) for entry in entries)


def _hopeless(model: str, refusal: RefusedError) -> Exception:
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("upstream: %s", refusal)
        return WorkerLostError(f"upstream answers HTTP {refusal.status}")
    return LoadFailedError(
        f"upstream answers HTTP {refusal.status}", f"the upstream does not serve {model}: {refusal}"
    )


def _listed(body: object) -> tuple[list[str], bool]:
    """The names in a list of models, and whether it is one of ours."""
    entries = body.get("data") if isinstance(body, Mapping) else None
    models = [entry for entry in entries or () if isinstance(entry, Mapping)]
    names = [name for entry in models if isinstance(name := entry.get("id"), str)]
    return names, any(entry.get("owned_by") == OURS for entry in models)


def _sound() -> Samples:
    """A second of something like a voice: some servers fail on silence, and it costs least."""
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * 120 * number * seconds) / number for number in range(1, 20))
    syllables = np.sin(2 * np.pi * 2 * seconds) ** 2
    return np.asarray(0.05 * voice * syllables, np.float32)
