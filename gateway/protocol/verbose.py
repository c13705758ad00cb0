"""The `verbose_json` answer: segments and words with their times and what the decoder thought of them."""

from collections.abc import Iterable
from typing import Any

from gateway.protocol.languages import language_name
from gateway.protocol.request import TranscriptionRequest
from gateway.protocol.usage import duration_usage
from gateway.transcript import Segment, Transcript, Word

_PUNCTUATION = ' \t\n.,!?;:…–—"“”«»()[]{}。，、！？：；「」『』'  # noqa: RUF001 - full-width marks are meant
"""OpenAI's words carry none at their ends. Apostrophes, hyphens and signs belong to words."""


def verbose_transcript(
    transcript: Transcript, request: TranscriptionRequest, *, task: str = "transcribe"
) -> dict[str, Any]:
    """The answer's object, with words, segments or both; with segments where nobody asked."""
    wanted = request.timestamp_granularities or ("segment",)
    answer: dict[str, Any] = {
        "task": task,
        "language": "english" if task == "translate" else language_name(transcript.language),
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
    }
    if "segment" in wanted:
        answer["segments"] = [segment_object(n, segment) for n, segment in enumerate(transcript.segments)]
    if "word" in wanted:
        answer["words"] = word_objects(word for segment in transcript.segments for word in segment.words)
    answer["usage"] = duration_usage(transcript)
    return answer


def segment_object(number: int, segment: Segment) -> dict[str, Any]:
    """One segment; its text keeps its leading space, its times count from the recording's start."""
    return {
        "id": number,
        "seek": segment.seek,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [token.id for token in segment.tokens],
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def word_objects(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Words without the punctuation at their ends; what is nothing else is left out."""
    stripped = ((word.text.strip(_PUNCTUATION), word) for word in words)
    return [
        {"word": text, "start": round(word.start, 3), "end": round(word.end, 3)}
        for text, word in stripped
        if text
    ]
