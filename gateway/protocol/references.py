"""Known speakers' references: data URLs (RFC 2397), as OpenAI's clients send them."""

import base64
import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidRequestError

MAX_KNOWN_SPEAKERS = 4

NAMES = "known_speaker_names"
REFERENCES = "known_speaker_references"

_HEAD = re.compile(r"\s*data:[^,]*; *base64,", re.IGNORECASE)

_BREAKS = b"\t\r\n\f"
"""In base64 they mean nothing; a space does, for there a plus got lost."""


def check_speakers(names: Sequence[str], references: Sequence[str], *, by_channel: bool = False) -> None:
    """Returns where each known speaker has one name and one data URL.

    Args:
        by_channel: A channel is known by its place, and needs no reference.

    Raises:
        InvalidRequestError: Names the parameter.
    """
    if len(names) > MAX_KNOWN_SPEAKERS:
        raise InvalidRequestError(f"At most {MAX_KNOWN_SPEAKERS} known speakers are supported.", param=NAMES)
    check_names(names)
    if len(names) != len(references) and not by_channel:
        raise InvalidRequestError(
            f"There are {len(names)} known_speaker_names and {len(references)} known_speaker_references; "
            "each name needs its reference.",
            param=REFERENCES,
        )
    for reference in references:
        decode_reference(reference)


def check_names(names: Sequence[str]) -> None:
    """Returns where each known speaker has a name, and no two the same.

    Raises:
        InvalidRequestError: Names the parameter.
    """
    if not all(name.strip() for name in names):
        raise InvalidRequestError("A known speaker's name is empty.", param=NAMES)
    if len(set(names)) != len(names):
        raise InvalidRequestError("Two known speakers have the same name.", param=NAMES)


def decode_reference(url: str) -> bytes:
    """The audio file in a data URL.

    Raises:
        InvalidRequestError: It is none, or its base64 is broken.
    """
    head = _HEAD.match(url)
    if head is None:
        raise InvalidRequestError(
            "Each of known_speaker_references must be a data URL: data:audio/wav;base64,…", param=REFERENCES
        )
    # As browsers read it: in lines, as base64's command writes it, and escaped, as in an address.
    data = unquote_to_bytes(url[head.end() :]).translate(None, _BREAKS).strip()
    try:
        # Some encoders leave out the padding.
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except ValueError:
        raise InvalidRequestError("A reference's base64 cannot be decoded.", param=REFERENCES) from None
