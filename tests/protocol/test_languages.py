"""Languages are found by whatever clients call them, and named as OpenAI names them."""

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from gateway.protocol.languages import LANGUAGES, language_code, language_name


def test_every_language_of_whisper_has_a_name() -> None:
    """The table is complete."""
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("de", "de"),
        (" DE ", "de"),
        ("de-AT", "de"),
        ("en_US", "en"),
        ("German", "de"),
        ("jv", "jw"),
        ("xx", "xx"),
    ],
)
def test_codes(given: str, code: str) -> None:
    """Codes, regions and English names are one; what is unknown stays for the model to refuse."""
    assert language_code(given) == code


def test_names() -> None:
    """Lower-case English names; a language nobody told is unknown."""
    assert language_name("en") == "english"
    assert language_name(None) == "unknown"
    assert language_name("xx") == "xx"
