"""What the client of a live session may ask for, each defined here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Append:
    """Take more audio, in the session's format; a sample may be split between two of them."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Make an item of the audio so far. ``event_id`` is the client's name for this wish, if it gave one."""

    event_id: str | None


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the audio that belongs to no item yet."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Change the settings for the audio from here on.

    Attributes:
        session: The client's object, not checked yet.
        flat: The client asked in the words of OpenAI's beta, and is answered so.
    """

    session: Mapping[str, Any]
    event_id: str | None
    flat: bool = False


Command = Append | Commit | Clear | Configure
