"""What the sample recordings say, in variants of voice, speed and phrases that `pick_samples` tries."""

import multiprocessing
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from training.mini_whisper.bank import held_out
from training.mini_whisper.espeak import Espeak
from training.mini_whisper.flite import Flite
from training.mini_whisper.spoken import SAMPLE_RATE, Audio
from training.mini_whisper.vocab import TRANSLATE, sample_sentence, text_of

CHOICE = Path(__file__).with_name("samples_choice.json")
"""Which variant of each recording `pick_samples` chose."""

_RATE = 155  # words per minute at which espeak-ng and flite are about equally fast
_US, _GB, _DE, _ES = "gmw/en-US", "gmw/en", "gmw/de", "roa/es"


@dataclass(frozen=True, slots=True)
class Voices:
    """Both synthesisers."""

    espeak: Espeak
    flite: Flite


class Recording:
    """Audio in the making, and the index entry (`samples.json`) of each utterance."""

    def __init__(self, voices: Voices, language: str) -> None:
        self._voices, self.language = voices, language
        self.audio: Audio = np.zeros(0, np.float32)
        self.utterances: list[dict[str, Any]] = []

    @property
    def seconds(self) -> float:
        """Its length so far."""
        return len(self.audio) / SAMPLE_RATE

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(u["text"] for u in self.utterances)

    def pause(self, seconds: float) -> None:
        """Appends silence."""
        self.audio = np.pad(self.audio, (0, int(seconds * SAMPLE_RATE)))

    def say(
        self,
        text: str,
        voice: str,
        *,
        speaker: str | None = None,
        rate: int = _RATE,
        pitch: int = 50,
        level: float = 0.5,
    ) -> None:
        """Appends an utterance with a peak of ``level``."""
        words = text.split()
        if voice.startswith("flite/"):
            said = self._voices.flite.say(words, voice.removeprefix("flite/"), stretch=_RATE / rate)
        else:
            said = self._voices.espeak.say(words, voice, rate=rate, pitch=pitch)
        if said is None:
            raise ValueError(f"{voice} gives no word times for: {text}")
        at = self.seconds
        self.audio = np.concatenate([self.audio, said.audio * (level / np.abs(said.audio).max())])
        entry: dict[str, Any] = {
            "start": round(at, 3),
            "end": round(at + said.times[-1][1], 3),
            "text": text_of(words),
            "voice": voice,
            "words": [
                {"word": word, "start": round(at + b, 3), "end": round(at + e, 3)}
                for word, (b, e) in zip(words, said.times, strict=True)
            ],
        }
        if speaker:
            entry["speaker"] = speaker
        english = TRANSLATE.get(self.language, {})
        if all(word in english for word in words):
            entry["english"] = text_of([english[word] for word in words])
        self.utterances.append(entry)

    def noise(self, level: float, seed: int) -> None:
        """Lays white noise over all of it."""
        noise = np.random.default_rng(seed).standard_normal(len(self.audio))
        self.audio = self.audio + (level * noise).astype(np.float32)


Script: TypeAlias = Callable[[Voices, int], Recording]
"""Makes variant k of a recording."""


def _simple(language: str, variants: list[str], *texts: str, level: float = 0.5) -> Script:
    """One voice saying a few texts."""

    def script(voices: Voices, k: int) -> Recording:
        r = Recording(voices, language)
        r.pause(0.4)
        for i, text in enumerate(texts):
            if i:
                r.pause(0.9)
            rate = (150, 160, 140, 170)[k // len(variants) % 4]
            r.say(text, variants[k % len(variants)], rate=rate, pitch=(50, 42, 58)[k % 3], level=level)
        r.pause(0.6)
        return r

    return script


def _noisy(script: Script, level: float, seed: int) -> Script:
    def noisy(voices: Voices, k: int) -> Recording:
        r = script(voices, k)
        r.noise(level, seed)
        return r

    return noisy


def _silence(voices: Voices, _k: int) -> Recording:
    r = Recording(voices, "en")
    r.pause(10.0)
    r.noise(0.003, 7)
    return r


_DIALOGUE = (
    ("A", "hello good morning"),
    ("B", "good morning mike"),
    ("A", "is the coffee on the table"),
    ("B", "the coffee is on the table now"),
    ("A", "please start the music"),
    ("B", "start the music now please"),
    ("A", "close the red door please"),
    ("B", "the door is green"),
)
_COUPLES = (
    (f"{_US}+m3", f"{_GB}+f3"),
    (f"{_US}+m7", f"{_US}+f2"),
    (f"{_GB}+m1", f"{_US}+f5"),
    (f"{_GB}+m2", f"{_GB}+f2"),
    (f"{_US}+m1", f"{_GB}+f1"),
    (f"{_US}+m3", f"{_US}+f1"),
)


def _dialogue(voices: Voices, k: int) -> Recording:
    """Two speakers in turn."""
    r = Recording(voices, "en")
    a, b = _COUPLES[k % 6]
    r.pause(0.5)
    for i, (who, text) in enumerate(_DIALOGUE):
        voice, pitch = (a, 40) if who == "A" else (b, 60)
        r.say(text, voice, speaker=who, pitch=pitch, rate=(150, 160, 140)[k // 6 % 3])
        r.pause((0.9, 1.4, 1.1)[i % 3])
    return r


def _long(voices: Voices, k: int) -> Recording:
    """About 75 s of held-out phrases of two to five words, with pauses of very different lengths."""
    r = Recording(voices, "en")
    rng = random.Random(11 + k)
    r.pause(0.8)
    pauses = (2.5, 3.5, 1.5, 5.0, 2.2, 7.0, 1.2, 4.0, 2.6, 1.0, 6.0, 3.0)
    used: set[str] = set()
    while r.seconds < 74:
        words = sample_sentence("en", rng)
        text = " ".join(words)
        if not 2 <= len(words) <= 5 or not held_out(words) or text in used:
            continue
        r.say(text, (f"{_US}+m3", f"{_GB}+m1", f"{_US}+f2")[k % 3], rate=150)
        r.pause(pauses[len(used) % len(pauses)])
        used.add(text)
    return r


SCRIPTS: dict[str, Script] = {
    "en_hello": _simple("en", [f"{_US}+m3"], "hello world"),
    "en_command": _simple(
        "en", [f"{_GB}+f2", f"{_US}+m3", f"{_GB}+m1"], "please open the window and close the red door"
    ),
    "en_numbers": _simple("en", [f"{_US}+m7", f"{_US}+m3"], "seven two zero nineteen forty three thousand"),
    "en_nato": _simple(
        "en", [f"{_GB}+m1", f"{_US}+m3", f"{_GB}+m2"], "alpha zulu november six", "quebec tango kilo nine"
    ),
    "en_flite_slt": _simple("en", ["flite/slt"], "good morning world", "please start the music"),
    "en_flite_rms": _simple("en", ["flite/rms"], "open the red door", "thanks and good evening"),
    "en_heldout_voice": _simple(
        "en",
        [f"{_US}+f4", f"{_GB}+f4", f"{_US}+m6", f"{_US}+david"],
        "my car is yellow and my house is green",
        "stop the server now",
    ),
    "en_noisy": _noisy(
        _simple(
            "en", [f"{_US}+m2", f"{_US}+m3"], "turn on the light", "turn left tomorrow morning", level=0.4
        ),
        level=0.008,
        seed=3,
    ),
    "de_zahlen": _simple(
        "de",
        [f"{_DE}+m3", f"{_DE}+m1"],
        "guten morgen welt",
        "eins zwei drei vier fünf",
        "hund und katze bitte",
    ),
    "es_hola": _simple(
        "es", [f"{_ES}+f2", f"{_ES}+m3"], "hola mundo", "uno dos tres cuatro cinco", "buenos días gracias"
    ),
    "silence_noise": _silence,
    "en_dialogue": _dialogue,
    "en_long": _long,
}


def render(name: str, k: int) -> tuple[Audio, str, list[dict[str, Any]]]:
    """Audio, language and index entries of variant ``k`` of a recording.

    Made in a fresh process: espeak-ng's noise source depends on what was said before.
    """
    with multiprocessing.Pool(1) as pool:
        return pool.apply(_render, (name, k))


def _render(name: str, k: int) -> tuple[Audio, str, list[dict[str, Any]]]:
    r = SCRIPTS[name](Voices(Espeak(), Flite()), k)
    return r.audio, r.language, r.utterances
