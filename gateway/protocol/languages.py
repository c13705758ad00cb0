"""Languages by ISO 639-1 code and by the lower-case English names that `verbose_json` uses."""

import re
import unicodedata
from collections.abc import Iterator

import langcodes
from langcodes.data_dicts import MACROLANGUAGES
from langcodes.tag_parser import LanguageTagError

from gateway.transcript.languages import CODES, LANGUAGES, OTHER_NAMES

_CLOSEST = {"jv": "jw", "fil": "tl", "nb": "no"}
"""Where Whisper has its own code, or only the language that holds this one."""

_COUNTRIES = {"cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "ua": "uk", "vn": "vi"}
"""Countries that are written for their language, and are no language's code."""

_ASIDE = re.compile(r"\s*[(\[].*[)\]]\s*$")
"""``(Simplified)``, ``(Brazil)``: what menus put behind a name."""


def language_code(language: str) -> str:
    """The code of what a client calls a language: ``de``, ``de-AT``, ``deu`` and ``German`` are one.

    Codes of two and three letters, withdrawn ones too (``iw``), with or without script and region; a language
    that Whisper knows only as part of a larger one is that one (``cmn``: ``zh``). Names in English or in the
    language itself, as menus have them: ``Deutsch``, ``Chinese (Simplified)``, ``Brazilian Portuguese``.
    What is unknown comes back as it is, without its region: the model decides whether it knows it.
    """
    word = language.strip().lower().replace("_", "-")
    if (named := _named(word)) is not None:
        return named
    for code in _readings(word):
        known = _CLOSEST.get(code, code)
        if known in LANGUAGES:
            return known
    return word.partition("-")[0]


def _named(word: str) -> str | None:
    """The language of that name, or whose name its last words are (``american english``)."""
    words = _plain(_ASIDE.sub("", word)).replace("-", " ").split()
    return next((_NAMES[name] for at in range(len(words)) if (name := " ".join(words[at:])) in _NAMES), None)


def _plain(name: str) -> str:
    """Without accents, which not every keyboard has."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(part for part in parts if not unicodedata.combining(part))


_NAMES = {_plain(name).replace("-", " "): code for name, code in (OTHER_NAMES | CODES).items()}


def _readings(tag: str) -> Iterator[str]:
    """What the registry of languages makes of a tag, the closest first."""
    try:
        for macro in (False, True):
            code = langcodes.standardize_tag(tag, macro=macro).partition("-")[0]
            yield code
    except LanguageTagError:
        return
    yield MACROLANGUAGES.get(code, code)
    yield _COUNTRIES.get(code, code)


def language_name(code: str | None) -> str:
    """The English name, ``unknown`` where nothing was heard."""
    return "unknown" if code is None else LANGUAGES.get(code, code)
