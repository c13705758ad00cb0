"""The words the model knows, and random sentences of them."""

import random
from typing import TypeAlias

Sentence: TypeAlias = list[str]

EN = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
    thousand alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november
    oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu
    red blue green yellow black white orange purple brown pink
    cat dog horse bird fish lion tiger monkey rabbit elephant
    the and is on please stop start open close hello world good morning evening door light window table
    water coffee music left right up down today tomorrow now thanks my house car play turn system test
    server
""".split()

DE = """
    null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf
    rot blau grün hund katze haus tür wasser licht guten morgen bitte danke hallo welt und auto fenster
    heute
""".split()

ES = """
    cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce
    rojo azul verde perro gato casa puerta agua luz buenos días gracias hola mundo y coche ventana hoy
""".split()

WORDS = {"en": EN, "de": DE, "es": ES}

_DE_IN_ENGLISH = """
    zero one two three four five six seven eight nine ten eleven twelve
    red blue green dog cat house door water light good morning please thanks hello world and car window
    today
""".split()

_ES_IN_ENGLISH = """
    zero one two three four five six seven eight nine ten eleven twelve
    red blue green dog cat house door water light good morning thanks hello world and car window today
""".split()

TRANSLATE = {
    "de": dict(zip(DE, _DE_IN_ENGLISH, strict=True)),
    "es": dict(zip(ES, _ES_IN_ENGLISH, strict=True)),
}

SPOKEN = {"xray": "x-ray"}
"""What the synthesiser is given where it differs from the label."""

_NUMBERS = EN[:30]
_NATO = EN[30:56]
_COLOURS = EN[56:66]
_ANIMALS = EN[66:76]
_THINGS = ["door", "light", "window", "table", "water", "coffee", "music", "house", "car", "system", "server"]


def sample_sentence(lang: str, rng: random.Random) -> Sentence:
    """Draws 1 to 8 words, mostly in no order at all so that none can be guessed from its neighbours."""
    if lang == "en" and rng.random() < 0.35:
        return _template(rng)
    n = rng.choices(range(1, 9), weights=[10, 16, 18, 18, 14, 10, 8, 6])[0]
    words = WORDS[lang]
    return [rng.choice(words) for _ in range(n)]


def text_of(words: Sentence) -> str:
    """``open the door`` is labelled ``Open the door.``."""
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


def spoken_text(words: Sentence) -> str:
    """The sentence as the synthesisers should read it."""
    return " ".join(SPOKEN.get(word, word) for word in words)


def _template(rng: random.Random) -> Sentence:
    c = rng.choice
    patterns = [
        lambda: ["open", "the", c(_COLOURS), "door"],
        lambda: ["close", "the", "window", "please"],
        lambda: ["please", c(["open", "close", "start", "stop"]), "the", c(_THINGS)],
        lambda: ["turn", c(["on", "left", "right", "up", "down"]), c(["now", "please", "today"])],
        lambda: ["turn", "on", "the", c(["light", "music", "system", "server"])],
        lambda: ["good", c(["morning", "evening"]), c(["world", "papa", "mike", "victor"])],
        lambda: ["hello", "world"],
        lambda: ["my", c(["house", "car", "door", "table", *_ANIMALS]), "is", c(_COLOURS)],
        lambda: ["the", c(_COLOURS), c(_ANIMALS), "and", "the", c(_COLOURS), c(_ANIMALS)],
        lambda: ["the", c(_ANIMALS), "is", c(_COLOURS), c(["today", "now", "tomorrow"])],
        lambda: [c(_NUMBERS) for _ in range(rng.randint(2, 6))],
        lambda: [c(_NATO) for _ in range(rng.randint(2, 5))],
        lambda: [c(_NATO), c(_NATO), c(_NUMBERS), c(_NUMBERS)],
        lambda: [c(_NUMBERS[1:10]), "thousand", c(_NUMBERS[1:10]), "hundred", "and", c(_NUMBERS[20:28])],
        lambda: ["thanks", "and", "good", c(["morning", "evening"])],
        lambda: ["start", "the", c(["test", "music", "server", "system"]), c(["now", "today"])],
    ]
    return c(patterns)()
