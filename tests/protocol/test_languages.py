"""Languages are found by whatever clients call them, and named as OpenAI names them."""

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from gateway.protocol.languages import language_code, language_name
from gateway.transcript.languages import LANGUAGES


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
        ("nb", "no"),
        ("nb-NO", "no"),
        ("nn", "nn"),
        ("iw", "he"),
        ("in", "id"),
        ("fil", "tl"),
        ("tl", "tl"),
        ("cmn", "zh"),
        ("cmn-Hans-CN", "zh"),
        ("zh_Hant_TW", "zh"),
        ("zh-yue", "yue"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("chi", "zh"),
        ("pes", "fa"),
        ("haw", "haw"),
        ("Haitian Creole", "ht"),
        ("Mandarin", "zh"),
        ("arz", "ar"),
        ("jp", "ja"),
        ("Deutsch", "de"),
        ("Français", "fr"),
        ("francais", "fr"),
        ("ESPAÑOL", "es"),
        ("日本語", "ja"),
        ("हिन्दी", "hi"),
        ("Norwegian Bokmål", "no"),
        ("Norwegian Nynorsk", "nn"),
        ("haitian_creole", "ht"),
        ("Chinese (Simplified)", "zh"),
        ("Brazilian Portuguese", "pt"),
        ("Mandarin Chinese", "zh"),
        ("xx", "xx"),
        ("xx-YY", "xx"),
        ("no such language", "no such language"),
    ],
)
def test_codes(given: str, code: str) -> None:
    """Codes of any kind, regions and names are one; the unknown stays for the model to refuse."""
    assert language_code(given) == code


def test_every_code_and_name_is_its_own() -> None:
    """Whatever Whisper calls a language is found as that, the odd codes among them."""
    for code, name in LANGUAGES.items():
        assert language_code(code) == language_code(name) == code


def test_names() -> None:
    """Lower-case English names; a language nobody told is unknown."""
    assert language_name("en") == "english"
    assert language_name(None) == "unknown"
    assert language_name("xx") == "xx"
