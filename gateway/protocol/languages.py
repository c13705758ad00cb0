"""Languages by ISO 639-1 code and by the lower-case English names that `verbose_json` uses."""

from collections.abc import Iterator

import langcodes
from langcodes.tag_parser import LanguageTagError

LANGUAGES = {
    "en": "english", "zh": "chinese", "de": "german", "es": "spanish", "ru": "russian", "ko": "korean",
    "fr": "french", "ja": "japanese", "pt": "portuguese", "tr": "turkish", "pl": "polish", "ca": "catalan",
    "nl": "dutch", "ar": "arabic", "sv": "swedish", "it": "italian", "id": "indonesian", "hi": "hindi",
    "fi": "finnish", "vi": "vietnamese", "he": "hebrew", "uk": "ukrainian", "el": "greek", "ms": "malay",
    "cs": "czech", "ro": "romanian", "da": "danish", "hu": "hungarian", "ta": "tamil", "no": "norwegian",
    "th": "thai", "ur": "urdu", "hr": "croatian", "bg": "bulgarian", "lt": "lithuanian", "la": "latin",
    "mi": "maori", "ml": "malayalam", "cy": "welsh", "sk": "slovak", "te": "telugu", "fa": "persian",
    "lv": "latvian", "bn": "bengali", "sr": "serbian", "az": "azerbaijani", "sl": "slovenian",
    "kn": "kannada", "et": "estonian", "mk": "macedonian", "br": "breton", "eu": "basque", "is": "icelandic",
    "hy": "armenian", "ne": "nepali", "mn": "mongolian", "bs": "bosnian", "kk": "kazakh", "sq": "albanian",
    "sw": "swahili", "gl": "galician", "mr": "marathi", "pa": "punjabi", "si": "sinhala", "km": "khmer",
    "sn": "shona", "yo": "yoruba", "so": "somali", "af": "afrikaans", "oc": "occitan", "ka": "georgian",
    "be": "belarusian", "tg": "tajik", "sd": "sindhi", "gu": "gujarati", "am": "amharic", "yi": "yiddish",
    "lo": "lao", "uz": "uzbek", "fo": "faroese", "ht": "haitian creole", "ps": "pashto", "tk": "turkmen",
    "nn": "nynorsk", "mt": "maltese", "sa": "sanskrit", "lb": "luxembourgish", "my": "myanmar",
    "bo": "tibetan", "tl": "tagalog", "mg": "malagasy", "as": "assamese", "tt": "tatar", "haw": "hawaiian",
    "ln": "lingala", "ha": "hausa", "ba": "bashkir", "jw": "javanese", "su": "sundanese", "yue": "cantonese",
}  # fmt: skip
"""Whisper's languages, with its own codes for Hawaiian, Javanese and Cantonese."""

_CODES = {name: code for code, name in LANGUAGES.items()} | {
    "burmese": "my", "castilian": "es", "farsi": "fa", "filipino": "tl", "flemish": "nl", "haitian": "ht",
    "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro", "moldovan": "ro", "panjabi": "pa",
    "pushto": "ps", "sinhalese": "si", "valencian": "ca",
}  # fmt: skip
"""English names, Whisper's second ones among them."""

_CLOSEST = {"jv": "jw", "fil": "tl", "nb": "no"}
"""Where Whisper has its own code, or only the language that holds this one."""


def language_code(language: str) -> str:
    """The code of what a client calls a language: ``de``, ``de-AT``, ``DE``, ``deu`` and ``German`` are one.

    Codes of two and three letters, withdrawn ones too (``iw``), with or without script and region; a language
    that Whisper knows only as part of a larger one is that one (``cmn``: ``zh``). What is unknown comes back
    as it is, without its region: the model decides whether it knows it.
    """
    word = language.strip().lower().replace("_", "-")
    if word in _CODES:
        return _CODES[word]
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
