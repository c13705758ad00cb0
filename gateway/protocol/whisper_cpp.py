"""The dialect of whisper.cpp's server: `/inference`, a form with ``file`` and its command line's options.

Of these ``language``, ``prompt``, ``translate``, ``temperature`` and ``response_format`` mean something here;
how its decoder is to search does not. Source: https://github.com/ggml-org/whisper.cpp, examples/server.
"""

from gateway.errors import InvalidRequestError
from gateway.protocol.answers import render
from gateway.protocol.dialect import Asked, Dialect, Fields
from gateway.protocol.parse import parse_transcription
from gateway.protocol.request import UNSET

MODEL = "whisper-1"
"""The first served model: this dialect names none."""

_OURS = frozenset({"language", "prompt", "temperature", "response_format"})


def _read(fields: Fields) -> Asked:
    given = [(name, value) for name, value in fields if name in _OURS]
    translate = dict(fields).get("translate", "false").strip().lower()
    if translate not in {"true", "false", "1", "0", *UNSET}:
        raise InvalidRequestError("Invalid value for 'translate': It is true or false.", param="translate")
    request = parse_transcription([("model", MODEL), *given])
    if request.response_format == "verbose_json":
        # Its verbose answers have words, unasked.
        request = request.model_copy(update={"timestamp_granularities": ("segment", "word")})
    return Asked(request, "translate" if translate in {"true", "1"} else "transcribe")


INFERENCE = Dialect(
    _read,
    lambda transcript, asked: render(transcript, asked.request, asked.task),
    known=("file", "translate", "temperature_inc", *sorted(_OURS)),
)
