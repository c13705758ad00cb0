"""A reference is read as browsers read data URLs, or refused."""

import base64

import pytest

from gateway.errors import InvalidRequestError
from gateway.protocol.references import decode_reference

SOUND = bytes(range(248, 256)) * 12
"""Its base64 has plus, slash and padding, and is longer than a line."""

PLAIN = base64.b64encode(SOUND).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:audio/wav;base64,{PLAIN}",
        f"DATA:;BASE64,{PLAIN}",
        f"data:audio/ogg; codecs=opus; base64,{PLAIN}",
        f" data:audio/wav;base64,{PLAIN}\n",
        f"data:audio/wav;base64,{PLAIN.rstrip('=')}",
        f"data:audio/wav;base64,{base64.encodebytes(SOUND).decode()}",
        f"data:audio/wav;base64,{base64.encodebytes(SOUND).decode()}".replace("\n", "\r\n"),
        f"data:audio/wav;base64,{PLAIN}".replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
    ],
)
def test_every_way_to_write_it(url: str) -> None:
    """In any case, in lines, escaped, without padding."""
    assert decode_reference(url) == SOUND


@pytest.mark.parametrize(
    "url",
    [
        "",
        PLAIN,
        "https://example.com/ann.wav",
        f"data:audio/wav,{PLAIN}",
        f"data:audio/wav;base64;{PLAIN}",
        "data:audio/wav;base64,@@@@",
        "data:audio/wav;base64,AAAAA",
        "data:audio/wav;base64,ä",
        f"data:audio/wav;base64,{PLAIN}".replace("+", " "),
    ],
)
def test_what_is_none(url: str) -> None:
    """What is no data URL, or no base64, names its parameter."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_reference(url)

    assert caught.value.param == "known_speaker_references"
