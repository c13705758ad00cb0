"""The dialect of whisper-asr-webservice, by which Bazarr and others ask: `/asr` and `/detect-language`.

The recording is the part ``audio_file``, all else stands in the query: ``task``, ``language``,
``initial_prompt``, ``word_timestamps``, ``encode`` and ``output``. Source: its own OpenAPI document,
https://github.com/ahmetoner/whisper-asr-webservice.
"""

from gateway.errors import InvalidRequestError
from gateway.protocol.answers import JSON, TEXT, Rendered, render, verbose_transcription
from gateway.protocol.dialect import Asked, Dialect, Fields
from gateway.protocol.events import encode
from gateway.protocol.languages import language_name
from gateway.protocol.parse import parse_transcription
from gateway.protocol.request import UNSET
from gateway.transcript import Transcript

MODEL = "whisper-1"
"""The first served model, by the name that every one has."""

DETECTION_SECONDS = 30.0
"""Of a recording, from which its language is told: one window of Whisper's."""

_RAW_RATE = 16_000
"""Of the samples that come with ``encode=false``: 16 bit, mono, no container."""

_FORMATS = {"txt": "text", "vtt": "vtt", "srt": "srt", "tsv": "verbose_json", "json": "verbose_json"}

_NAMES = {"language": "language", "initial_prompt": "prompt"}


def _read(fields: Fields) -> Asked:
    given = {name: value for name, value in fields if value.strip().lower() not in UNSET}
    output = _choice(given, "output", tuple(_FORMATS))
    form = [("model", MODEL), ("response_format", _FORMATS[output])]
    form += [(ours, given[name]) for name, ours in _NAMES.items() if name in given]
    if output == "json" and _is_set(given, "word_timestamps", default=False):
        form += [("timestamp_granularities[]", each) for each in ("segment", "word")]
    task = _choice(given, "task", ("transcribe", "translate"))
    return Asked(
        parse_transcription(form),
        "translate" if task == "translate" else "transcribe",
        _raw_rate(given),
        output=output,
    )


def _read_detection(fields: Fields) -> Asked:
    request = parse_transcription([("model", MODEL)])
    return Asked(request, pcm_rate=_raw_rate(dict(fields)), head_seconds=DETECTION_SECONDS)


def _raw_rate(given: dict[str, str]) -> int | None:
    return None if _is_set(given, "encode", default=True) else _RAW_RATE


def _choice(given: dict[str, str], name: str, choices: tuple[str, ...]) -> str:
    word = given.get(name, choices[0]).strip().lower()
    if word not in choices:
        known = ", ".join(choices)
        raise InvalidRequestError(f"Invalid value for '{name}': It is one of {known}.", param=name)
    return word


def _is_set(given: dict[str, str], name: str, *, default: bool) -> bool:
    word = given.get(name, str(default)).strip().lower()
    if word not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise InvalidRequestError(f"Invalid value for '{name}': It is true or false.", param=name)
    return word in {"true", "1", "yes", "on"}


def _render(transcript: Transcript, asked: Asked) -> Rendered:
    match asked.output:
        case "tsv":
            return Rendered(_tsv(transcript), TEXT)
        case "json":
            answer = verbose_transcription(transcript, asked.request, task=asked.task)
            # Whisper's own JSON: the language is its code.
            return Rendered(encode(answer | {"language": transcript.language}), JSON)
        case _:
            return render(transcript, asked.request, asked.task)


def _tsv(transcript: Transcript) -> str:
    """Milliseconds and text, one segment in a line."""
    lines = [
        f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{' '.join(segment.text.split())}"
        for segment in transcript.segments
    ]
    return "\n".join(["start\tend\ttext", *lines, ""])


def _render_detection(transcript: Transcript, asked: Asked) -> Rendered:  # noqa: ARG001 - a dialect's signature
    answer = {
        "detected_language": language_name(transcript.language),
        "language_code": transcript.language,
        "confidence": round(transcript.language_probability, 4),
    }
    return Rendered(encode(answer), JSON)


_KNOWN = tuple(
    "audio_file encode task language initial_prompt vad_filter word_timestamps output diarize min_speakers "
    "max_speakers video_file detect_lang_length detect_lang_offset".split()
)
"""Its parameters, and Bazarr's name of the film."""

ASR = Dialect(_read, _render, file="audio_file", known=_KNOWN, reads_query=True)
DETECT_LANGUAGE = Dialect(
    _read_detection, _render_detection, file="audio_file", known=_KNOWN, reads_query=True
)
