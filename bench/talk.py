"""Talk whose every word and its time are known, as a microphone's client sends it."""

import base64
import io
import json
import wave
from dataclasses import dataclass

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
        return _wav(_pcm(self.samples, SAMPLE_RATE), SAMPLE_RATE)


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


@dataclass(frozen=True, slots=True)
class Talk:
    """What one client sends: frames of `STEP_SECONDS`, ready for the wire."""

    said: tuple[Said, ...]
    frames: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of audio."""
        return len(self.frames) * STEP_SECONDS


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


def make_talk(choice: list[Phrase], seconds: float, number: int) -> Talk:
    """So many seconds of turns with pauses; each number begins with another phrase, at another time."""
    random = np.random.default_rng(number)
    samples = _room(seconds, random)
    position, said, left = random.uniform(0.3, 3), list[Said](), 0
    while True:
        phrase = choice[(number * 7 + len(said)) % len(choice)]
        length = len(phrase.samples) / SAMPLE_RATE
        if position + length > seconds - TAIL_SECONDS:
            return Talk(tuple(said), frames(samples))
        begin = round(position * SAMPLE_RATE)
        samples[begin : begin + len(phrase.samples)] += phrase.samples
        said.append(Said(phrase, position + MARGIN_SECONDS, position + length - MARGIN_SECONDS))
        left = left - 1 if left else int(random.integers(MOST_PHRASES))
        position += length - 2 * MARGIN_SECONDS + random.uniform(*(BREATHS if left else PAUSES))


def silence(seconds: float) -> Talk:
    """A room in which nobody speaks."""
    return Talk((), frames(_room(seconds, np.random.default_rng(0))))


def frames(samples: Samples) -> tuple[str, ...]:
    """``input_audio_buffer.append`` for each step."""
    pcm, step = _pcm(samples, RATE), round(2 * RATE * STEP_SECONDS)
    return tuple(
        json.dumps(
            {
                "type": "input_audio_buffer.append",
                "audio": base64.b64encode(pcm[at : at + step]).decode(),
            }
        )
        for at in range(0, len(pcm), step)
    )


def _room(seconds: float, random: np.random.Generator) -> Samples:
    return random.normal(0, _HISS, round(seconds * SAMPLE_RATE)).astype(np.float32)


def _pcm(samples: Samples, rate: int) -> bytes:
    frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    resampler = AudioResampler("s16", "mono", rate)
    ready = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(part.planes[0])[: 2 * part.samples] for part in ready)


def _wav(pcm: bytes, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()
