"""Talk whose every word and its time are known, as a microphone's client sends it."""

import base64
import io
import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from bench.audio import NAMES, SAMPLES, load
from gateway.audio.types import SAMPLE_RATE, Samples

RATE = 24_000
STEP_SECONDS = 0.1
"""Of audio in one append."""

MARGIN_SECONDS = 0.2
"""Kept around a phrase; the samples have more silence there."""

PAUSES = (0.9, 2.5)
"""Seconds between two turns: longer than the silence that ends an utterance."""

BREATHS = (0.1, 0.4)
"""Seconds between two phrases of one turn: shorter than that."""

MOST_PHRASES = 3
"""Of one turn, which has one phrase as often as two, or three."""

TAIL_SECONDS = 1.5
"""Silence at the end, so that the last utterance ends as the others do."""

_APART = 1.0
"""Seconds between turns that are said one by one."""

_HISS = 0.0003
"""Of a quiet room: nobody's microphone gives zeros."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something that is said: its samples at 16 kHz, and each word with the seconds at which it ends."""

    text: str
    samples: Samples
    words: tuple[tuple[str, float], ...]

    def wav(self) -> bytes:
        """As a file."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE)
            out.writeframes(_pcm(self.samples, SAMPLE_RATE))
        return file.getvalue()

    @property
    def seconds(self) -> float:
        """Of its samples."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Said:
    """A phrase in a talk, in seconds from its beginning."""

    phrase: Phrase
    start: float
    end: float

    @property
    def words(self) -> list[tuple[str, float]]:
        """With the seconds at which they end."""
        return [(word, self.start + end - MARGIN_SECONDS) for word, end in self.phrase.words]


@dataclass(eq=False, slots=True)
class Talk:
    """What is said into one microphone, and its samples at 16 kHz.

    Attributes:
        frames: ``input_audio_buffer.append`` for each `STEP_SECONDS`.
    """

    said: tuple[Said, ...]
    samples: Samples
    frames: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        pcm, step = _pcm(self.samples, RATE), round(2 * RATE * STEP_SECONDS)
        audio = (base64.b64encode(pcm[at : at + step]).decode() for at in range(0, len(pcm), step))
        self.frames = tuple(
            json.dumps({"type": "input_audio_buffer.append", "audio": each}) for each in audio
        )

    @property
    def seconds(self) -> float:
        """Of audio."""
        return len(self.samples) / SAMPLE_RATE


def phrases() -> list[Phrase]:
    """All that is said in the clean English samples."""
    rows = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
    found = []
    for row in rows:
        name = row["file"].partition(".")[0]
        if name not in NAMES:
            continue
        samples = load(SAMPLES / row["file"])
        for said in row["utterances"]:
            start = said["start"] - MARGIN_SECONDS
            cut = samples[round(start * SAMPLE_RATE) : round((said["end"] + MARGIN_SECONDS) * SAMPLE_RATE)]
            words = tuple((word["word"], word["end"] - start) for word in said["words"])
            found.append(Phrase(said["text"], cut, words))
    return found


def make_talk(choice: Sequence[Phrase], seconds: float, number: int) -> Talk:
    """So many seconds of turns with pauses; each number begins with another phrase, at another time."""
    random = np.random.default_rng(number)
    samples = _room(seconds, random)
    position, said, left = random.uniform(0.3, 3), list[Said](), 0
    while True:
        phrase = choice[(number * 7 + len(said)) % len(choice)]
        if position + phrase.seconds > seconds - TAIL_SECONDS:
            return _recorded(said, samples)
        said.append(_said(phrase, position))
        left = left - 1 if left else int(random.integers(MOST_PHRASES))
        position = said[-1].end - MARGIN_SECONDS + random.uniform(*(BREATHS if left else PAUSES))


def one_by_one(said: Sequence[Phrase]) -> Talk:
    """All of them, each a turn of its own."""
    position, placed = _APART, list[Said]()
    for phrase in said:
        placed.append(_said(phrase, position))
        position += phrase.seconds + _APART
    return _recorded(placed, _room(position + TAIL_SECONDS, np.random.default_rng(0)))


def silence(seconds: float) -> Talk:
    """A room in which nobody speaks."""
    return Talk((), _room(seconds, np.random.default_rng(0)))


def _said(phrase: Phrase, position: float) -> Said:
    """A phrase whose samples begin there."""
    return Said(phrase, position + MARGIN_SECONDS, position + phrase.seconds - MARGIN_SECONDS)


def _recorded(said: Sequence[Said], room: Samples) -> Talk:
    for one in said:
        begin = round((one.start - MARGIN_SECONDS) * SAMPLE_RATE)
        room[begin : begin + len(one.phrase.samples)] += one.phrase.samples
    return Talk(tuple(said), room)


def _room(seconds: float, random: np.random.Generator) -> Samples:
    return random.normal(0, _HISS, round(seconds * SAMPLE_RATE)).astype(np.float32)


def _pcm(samples: Samples, rate: int) -> bytes:
    frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    resampler = AudioResampler("s16", "mono", rate)
    ready = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(part.planes[0])[: 2 * part.samples] for part in ready)
