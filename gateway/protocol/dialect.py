"""How a server is asked for a transcript: OpenAI's way and those of others, all the same in the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol.answers import Rendered, Task, render
from gateway.protocol.parse import FIELDS, parse_transcription, parse_translation
from gateway.protocol.request import TranscriptionRequest
from gateway.transcript import Transcript

Fields = Sequence[tuple[str, str]]
"""A form's text fields in order, after those of the address."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks for; equal where the answer is the same.

    Attributes:
        pcm_rate: The file has no container: 16-bit mono samples at this rate.
        head_seconds: Only so much of the recording is wanted; None: all.
        output: How the answer is written, where the request's own format does not say it.
    """

    request: TranscriptionRequest
    task: Task = "transcribe"
    pcm_rate: int | None = None
    head_seconds: float | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask over HTTP.

    Attributes:
        read: Makes a request of a form; raises an InvalidRequestError that names the parameter at fault.
        render: Writes the finished transcript.
        file: The name of the part that holds the recording.
        known: The fields that it has, where others nearly like them are to be told.
        reads_query: The query's fields count as the form's, before them.
    """

    read: Callable[[Fields], Asked]
    render: Callable[[Transcript, Asked], Rendered]
    file: str = "file"
    known: Sequence[str] = ()
    reads_query: bool = False


def openai(task: Task, *, strict: bool = False) -> Dialect:
    """OpenAI's: the one that everything else here is explained in.

    Args:
        strict: Refuse what OpenAI refuses, too.
    """
    parse = parse_translation if task == "translate" else parse_transcription
    return Dialect(
        lambda fields: Asked(parse(fields, strict=strict), task),
        lambda transcript, asked: render(transcript, asked.request, asked.task),
        known=FIELDS,
    )
