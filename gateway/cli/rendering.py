"""Transcripts as they are printed: the server's answers, told apart by file name where there are several."""

import json
import os
from dataclasses import dataclass
from typing import Any

from gateway.engine.api import Task
from gateway.protocol.events import EventRenderer, encode
from gateway.protocol.formats import render
from gateway.protocol.request import TranscriptionRequest
from gateway.transcript import TextDelta, Transcript, TranscriptDone, TranscriptEvent


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the transcripts of one command look.

    Attributes:
        with_names: Each line begins with its file's name (text), each object holds it as ``file`` (JSON).
    """

    request: TranscriptionRequest
    task: Task
    with_names: bool

    def result(self, name: str, transcript: Transcript) -> str:
        """The whole transcript in the format that was asked for."""
        body = render(transcript, self.request, task=self.task).body
        match self.request.response_format:
            case "text":
                return self._lines(name, body)
            case "srt" | "vtt":
                return body
            case _:
                return self._object(name, json.loads(body))

    def event(self, name: str, event: TranscriptEvent) -> str:
        """What becomes known; the events of one file joined are its text and a line's end."""
        if self.request.response_format != "text":
            renderer = EventRenderer(self.request, with_logprobs=False)
            return "".join(self._object(name, fields) for fields in renderer.render(event))
        match event:
            case TextDelta(text):
                return self._lines(name, text.strip()) if self.with_names else text
            case TranscriptDone() if not self.with_names:
                return "\n"
            case _:
                return ""

    def _lines(self, name: str, text: str) -> str:
        if not self.with_names:
            return f"{text}\n"
        return "".join(f"{printable(name)}: {line}\n" for line in text.splitlines() or [""])

    def _object(self, name: str, fields: dict[str, Any]) -> str:
        return encode({"file": printable(name), **fields} if self.with_names else fields) + "\n"


def printable(name: str) -> str:
    """A file's name as text in one line, whatever its bytes are."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
