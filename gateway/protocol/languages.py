"""Languages by ISO 639-1 code and by the lower-case English names that `verbose_json` uses."""

from collections.abc import Iterator

import langcodes
from langcodes.tag_parser import LanguageTagError

from gateway.transcript.languages import CODES, LANGUAGES

_CLOSEST = {"jv": "jw", "fil": "tl", "nb": "no"}
"""Where Whisper has its own code, or only the language that holds this one."""


def language_code(language: str) -> str:
    """The code of what a client calls a language: ``de``, ``de-AT``, ``DE``, ``deu`` and ``German`` are one.

    Codes of two and three letters, withdrawn ones too (``iw``), with or without script and region; a language
    that Whisper knows only as part of a larger one is that one (``cmn``: ``zh``). What is unknown comes back
    as it is, without its region: the model decides whether it knows it.
    """
    word = language.strip().lower().replace("_", "-")
    if word in CODES:
        return CODES[word]
    for code in _readings(word):
        known = _CLOSEST.get(code, code)
        if known in LANGUAGES:
            return known
    return word.partition("-")[0]


def _readings(tag: str) -> Iterator[str]:
    """What the registry of languages makes of a tag, the closest first."""
    try:
        for macro in (False, True):
            yield langcodes.standardize_tag(tag, macro=macro).partition("-")[0]
    except LanguageTagError:
        return


def language_name(code: str | None) -> str:
    """The English name, ``unknown`` where nothing was heard."""
    return "unknown" if code is None else LANGUAGES.get(code, code)
