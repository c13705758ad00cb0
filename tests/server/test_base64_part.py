"""Base64 is decoded as it comes; what is none is told."""

import base64

import pytest

from gateway.server.base64_part import Base64Part

CONTENT = bytes(range(256)) * 2


@pytest.mark.parametrize("step", [1, 2, 3, 77, 10_000])
@pytest.mark.parametrize("encoded", [base64.b64encode(CONTENT), base64.encodebytes(CONTENT + b"!")])
def test_any_slices_give_the_content(encoded: bytes, step: int) -> None:
    """With line breaks and without, padded and not."""
    part = Base64Part()
    content = b"".join(part.feed(encoded[at : at + step]) for at in range(0, len(encoded), step))
    part.flush()

    assert content == base64.b64decode(encoded)


@pytest.mark.parametrize("encoded", [b"!!!!", b"YQ==YQ==", b"YQ=!", "\u00fc".encode() * 2])
def test_what_is_none(encoded: bytes) -> None:
    """Other characters, and more after the padding."""
    with pytest.raises(ValueError, match=r"(?i)base64|data"):
        Base64Part().feed(encoded)


def test_a_cut_group() -> None:
    """Its bytes cannot be known."""
    part = Base64Part()
    assert part.feed(b"YWJjY") == b"abc"
    with pytest.raises(ValueError, match="cut off"):
        part.flush()
