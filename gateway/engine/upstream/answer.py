"""An upstream's JSON as a hypothesis: `verbose_json` of Whisper's kind, and `json` with log-probabilities."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeGuard

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeRequest
from gateway.engine.upstream.texts import guessed_times, language_by_script, sentences, tokens_of
from gateway.engine.upstream.words import Timed, words_in
from gateway.transcript import Hypothesis, Segment, Token
from gateway.transcript.languages import CODES, LANGUAGES
from gateway.transcript.tokens import raw_of, stripped, text_of, tokens_after, tokens_before, with_raw
from gateway.transcript.writing import is_spaced

DETECTED_PROBABILITY = 0.5
"""Of a language that an upstream heard and says nothing more about: enough to be remembered, and no more."""

LEAST_SECONDS = 0.02
"""No segment is shorter."""

REACH_SECONDS = 1.0
"""So far outside of the chunk a time may be, and then is its begin or end; farther away it is none of it."""

LARGEST = 1e9
"""Numbers of this size say nothing of a chunk; sums of larger ones are none."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment that is to be: its text, its times, whether if they are guessed, what the upstream says."""

    text: str
    start: float
    end: float
    is_guess: bool
    said: Mapping[str, Any]


def hypothesis_of(body: object, request: DecodeRequest) -> Hypothesis:
    """Reads an answer. What the upstream does not say is left open: probabilities are 0, times guessed.

    Args:
        body: The JSON, whatever it is.

    Raises:
        ValueError: It is no transcript.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("text"), str):
        raise ValueError("an answer without a text")  # noqa: TRY004 - it is no type of ours that is wrong
    options, heard = request.options, _sound(body["text"])
    language = _language(body.get("language"))
    probability = _number(body.get("language_probability"), DETECTED_PROBABILITY)
    if options.task == "transcribe" and options.language is not None:
        language, probability = options.language, 1.0
    elif language is None:
        language, probability = language_by_script(heard), 0.0
    tokens = _tokens(body.get("logprobs"), heard) if options.logprobs else ()
    text = text_of(tokens) if tokens else heard
    parts = _parts(body.get("segments"), text, request, spaced=is_spaced(language))
    parts = [part for part in parts if part.text.strip()]
    words = body.get("words") or _within(body.get("segments"))
    timed = _timed(words, len(request.samples) / SAMPLE_RATE) if options.words else ()
    segments = _segments(parts, tokens, timed, options.temperature)
    return Hypothesis(tuple(segments), language, probability if segments else 0.0)


def _parts(given: object, text: str, request: DecodeRequest, *, spaced: bool) -> list[_Part]:
    seconds = len(request.samples) / SAMPLE_RATE
    said = [entry for entry in _mappings(given) if isinstance(entry.get("text"), str)]
    own = [_sound(entry["text"]) for entry in said]
    times = _times_of(said, seconds)
    if spaced:
        own, text = [_spaced(each) for each in own], _spaced(text)
    # Segments that leave out some of the text are no help.
    if not own or "".join("".join(own).split()) != "".join(text.split()):
        own = sentences(text)
        said, times = [{}] * len(own), None
    is_guess = times is None
    if times is None:
        times = guessed_times(own, seconds, [at / SAMPLE_RATE for at in request.breaks])
    return [_Part(each, *span, is_guess, entry) for each, span, entry in zip(own, times, said, strict=True)]


def _times_of(entries: Sequence[Mapping[str, Any]], seconds: float) -> list[tuple[float, float]] | None:
    """When segments are said; None where one has no time within the chunk, or they are in no order."""
    spans = [span for entry in entries if (span := _span(entry, seconds)) is not None and span[0] <= span[1]]
    starts = [start for start, _ in spans]
    return spans if len(spans) == len(entries) and starts == sorted(starts) else None


def _segments(
    parts: Sequence[_Part], tokens: Sequence[Token], timed: Sequence[Timed], temperature: float
) -> Iterable[Segment]:
    text = "".join(part.text for part in parts)
    has_own = _says(tokens, text)
    rest = _with_space_of(text, tokens) if has_own else []
    ends, position, count = [], 0, 0
    for part in parts:
        position += len(part.text)
        ends.append(position)
    mean = fmean([_number(part.said.get("avg_logprob"), 0.0) for part in parts]) if parts else 0.0
    words = words_in(text, timed, ends, math.exp(min(0.0, mean)))
    for part, own_words in zip(parts, words, strict=True):
        if has_own:
            size = len(part.text.encode())
            own, rest = tokens_before(rest, size), tokens_after(rest, size)
        else:
            own = list(tokens_of(part.text, count))
            count += len(own)
        start, end = part.start, part.end
        if own_words and part.is_guess:
            start, end = own_words[0].start, own_words[-1].end
        logprobs = [token.logprob for token in own if token.logprob is not None]
        raw = part.text.encode()
        yield Segment(
            start=start,
            end=max(end, start + LEAST_SECONDS),
            text=part.text,
            tokens=tuple(own),
            words=tuple(own_words),
            avg_logprob=_number(part.said.get("avg_logprob"), fmean(logprobs) if logprobs else 0.0),
            compression_ratio=len(raw) / len(zlib.compress(raw)),
            no_speech_prob=_number(part.said.get("no_speech_prob"), 0.0),
            temperature=_number(part.said.get("temperature"), temperature),
        )


def _with_space_of(text: str, tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with white space around them as the text has it."""
    inner, raw = stripped(tokens), text.encode()
    lead, tail = raw[: len(raw) - len(raw.lstrip())], raw[len(raw.rstrip()) :]
    inner[0] = with_raw(inner[0], lead + inner[0].raw)
    inner[-1] = with_raw(inner[-1], inner[-1].raw + tail)
    return inner


def _says(tokens: Sequence[Token], text: str) -> bool:
    """The tokens join to the text, but for white space around it, and to something."""
    raw = raw_of(tokens).strip()
    return bool(raw) and raw == text.encode().strip()


def _tokens(given: object, text: str) -> tuple[Token, ...]:
    """The tokens with their log-probabilities; none where they do not join to the text."""
    tokens: list[Token] = []
    for entry in _mappings(given):
        word, raw = entry.get("token"), entry.get("bytes")
        try:
            own = bytes(raw) if isinstance(raw, list) else _sound(str(word or "")).encode()
        except (TypeError, ValueError):
            return ()
        if own.startswith(b"<|") and own.endswith(b"|>"):
            continue  # no text
        logprob = min(0.0, _number(entry.get("logprob"), 0.0))
        tokens.append(Token(len(tokens), own.decode(errors="replace"), own, logprob))
    return tuple(tokens) if _says(tokens, text) else ()


def _timed(given: object, seconds: float) -> list[Timed]:
    timed = []
    for entry in _mappings(given):
        text, span = entry.get("word"), _span(entry, seconds)
        if isinstance(text, str) and span is not None:
            probability = entry.get("probability", entry.get("prob"))
            timed.append(Timed(_sound(text), *span, probability if _is_number(probability) else None))
    return timed


def _span(entry: Mapping[str, Any], seconds: float) -> tuple[float, float] | None:
    """When a word or segment is said, within the chunk; None where that is not told, or cannot be."""
    start, end = (_seconds(entry.get(name)) for name in ("start", "end"))
    if start is None or end is None:
        return None
    if not -REACH_SECONDS <= start <= seconds + REACH_SECONDS:
        return None
    return min(max(0.0, start), seconds), min(max(0.0, end), seconds)


def _seconds(given: object) -> float | None:
    """A time; some write all that OpenAI does not specify as texts."""
    if isinstance(given, str):
        try:
            given = float(given)
        except ValueError:
            return None
    return float(given) if _is_number(given) else None


def _within(segments: object) -> list[Mapping[str, Any]]:
    """Words as some servers give them: in their segments."""
    return [word for segment in _mappings(segments) for word in _mappings(segment.get("words"))]


def _language(given: object) -> str | None:
    if not isinstance(given, str):
        return None
    word = given.strip().lower()
    code = CODES.get(word, word.partition("-")[0])
    return code if code in LANGUAGES else None


def _sound(text: str) -> str:
    """JSON can hold halves of characters, which no UTF-8 has."""
    return text.encode(errors="replace").decode()


def _spaced(text: str) -> str:
    return text if text[:1].isspace() or not text else f" {text}"


def _mappings(given: object) -> Iterable[Mapping[str, Any]]:
    entries = given if isinstance(given, Sequence) and not isinstance(given, str) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _is_number(value: object) -> TypeGuard[float]:
    # Compared, not converted: JSON has whole numbers that no float holds.
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _number(value: Any, default: float) -> float:
    return float(value) if _is_number(value) else default
