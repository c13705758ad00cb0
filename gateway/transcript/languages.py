"""Whisper's languages: ISO 639-1 codes and lower-case English names, as `verbose_json` has them."""

from typing import Final

LANGUAGES: Final = {
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

CODES: Final = {name: code for code, name in LANGUAGES.items()} | {
    "burmese": "my", "castilian": "es", "farsi": "fa", "filipino": "tl", "flemish": "nl", "haitian": "ht",
    "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro", "moldovan": "ro", "panjabi": "pa",
    "pushto": "ps", "sinhalese": "si", "valencian": "ca",
}  # fmt: skip
"""English names, Whisper's second ones among them."""

OTHER_NAMES: Final = {
    "bangla": "bn", "belorussian": "be", "bokmal": "no", "byelorussian": "be", "cambodian": "km",
    "dari": "fa", "laotian": "lo", "malaysian": "ms", "pilipino": "tl",
    "singhalese": "si", "slovene": "sl",
    # As their speakers call them, without accents.
    "afaan soomaali": "so", "azərbaycan": "az", "azərbaycan dili": "az", "bahasa indonesia": "id",
    "bahasa melayu": "ms", "basa jawa": "jw", "basa sunda": "su", "bosanski": "bs", "brezhoneg": "br",
    "castellano": "es", "catala": "ca", "cestina": "cs", "cymraeg": "cy", "dansk": "da", "deutsch": "de",
    "eesti": "et", "espanol": "es", "euskara": "eu", "francais": "fr", "føroyskt": "fo", "galego": "gl",
    "hrvatski": "hr", "islenska": "is", "italiano": "it", "jawa": "jw", "kiswahili": "sw",
    "kreyol ayisyen": "ht", "latina": "la", "latviesu": "lv", "letzebuergesch": "lb", "lietuviu": "lt",
    "magyar": "hu", "malti": "mt", "melayu": "ms", "nederlands": "nl", "norsk": "no",
    "o'zbek": "uz", "ozbek": "uz", "polski": "pl",
    "portugues": "pt", "romana": "ro", "shqip": "sq", "slovencina": "sk", "slovenscina": "sl",
    "soomaali": "so", "srpski": "sr", "suomi": "fi", "svenska": "sv", "te reo maori": "mi",
    "tieng viet": "vi", "turkce": "tr", "türkmen": "tk", "türkmençe": "tk", "vlaams": "nl",
    "ελληνικα": "el", "беларуская": "be", "български": "bg", "қазақ": "kk", "қазақша": "kk",
    "македонски": "mk", "монгол": "mn", "русский": "ru", "српски": "sr", "татар": "tt", "татарча": "tt",
    "тоҷикӣ": "tg", "українська": "uk", "башҡорт": "ba", "ქართული": "ka", "հայերեն": "hy", "עברית": "he",
    "ייִדיש": "yi", "اردو": "ur", "العربية": "ar", "پښتو": "ps", "سنڌي": "sd", "فارسی": "fa",
    "አማርኛ": "am", "हिन्दी": "hi", "हिंदी": "hi", "मराठी": "mr", "नेपाली": "ne", "संस्कृतम्": "sa",
    "অসমীয়া": "as", "বাংলা": "bn", "ગુજરાતી": "gu", "ਪੰਜਾਬੀ": "pa", "தமிழ்": "ta", "తెలుగు": "te",
    "ಕನ್ನಡ": "kn", "മലയാളം": "ml", "සිංහල": "si", "ไทย": "th", "ภาษาไทย": "th", "ລາວ": "lo",
    "ພາສາລາວ": "lo", "བོད་སྐད": "bo", "မြန်မာ": "my", "မြန်မာဘာသာ": "my", "ខ្មែរ": "km",
    "ភាសាខ្មែរ": "km", "日本語": "ja", "한국어": "ko", "中文": "zh", "汉语": "zh", "漢語": "zh",
    "普通话": "zh", "普通話": "zh", "國語": "zh", "国语": "zh", "粤语": "yue", "粵語": "yue",
    "广东话": "yue", "廣東話": "yue", "简体中文": "zh", "繁體中文": "zh",
}  # fmt: skip
"""Further names in English, and those that a language has for itself."""
