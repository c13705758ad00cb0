"""Recordings whose words are known, those of a folder and those put together from them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from bench.variants import joined, samples_of, wav
from bench.wer import TimedWord
from gateway.audio.types import SAMPLE_RATE, Samples

ROOT = Path(__file__).resolve().parent.parent
SPEECH_VARIABLE = "GATEWAY_TEST_SPEECH"
LONG_SECONDS = 1800

READER_PAUSE = 0.9
"""Seconds between a reader's utterances: each is a turn."""


def find_speech() -> Path:
    """The folder that `SPEECH_VARIABLE` names, else the one beside the checkout; it may not be there."""
    return Path(os.environ.get(SPEECH_VARIABLE) or ROOT.parent / "shared" / "speech")


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech and its words.

    Attributes:
        words: With their times, where these are known.
        spans: Seconds and text of the utterances that it is made of.
    """

    name: str
    language: str
    text: str
    file: bytes
    words: tuple[TimedWord, ...] = ()
    spans: tuple[tuple[float, float, str], ...] = ()

    @property
    def samples(self) -> Samples:
        """All of it."""
        return samples_of(self.file)


def load(folder: Path) -> list[Recording]:
    """Those of a folder."""
    return [
        Recording(
            Path(row["file"]).stem,
            row["language"],
            row["text"],
            (folder / row["file"]).read_bytes(),
            tuple(TimedWord(start, text) for start, _, text in row.get("words", ())),
            tuple((start, end, text) for start, end, text in row.get("spans", ())),
        )
        for row in json.loads((folder / "recordings.json").read_text("utf-8"))
    ]


def readers(folder: Path) -> list[Recording]:
    """Each reader's English utterances, with pauses between them; nobody has written down what they say."""
    return [
        Recording(
            f"reader_{reader.name}",
            "en",
            "",
            wav(
                joined(
                    [samples_of(file.read_bytes()) for file in sorted(reader.glob("*.flac"))], READER_PAUSE
                )
            ),
        )
        for reader in sorted((folder / "readers").glob("*"))
    ]


def onset_of(samples: Samples) -> float | None:
    """Where Silero finds the first speech: in the samples as they are or louder, whichever is earlier."""
    options = VadOptions(threshold=0.5, min_speech_duration_ms=100, speech_pad_ms=0)
    louder = samples * np.float32(0.1 / max(float(samples.std()), 1e-9))
    found = [get_speech_timestamps(each, options)[:1] for each in (samples, np.clip(louder, -1, 1))]
    return min((spans[0]["start"] / SAMPLE_RATE for spans in found if spans), default=None)


def code_switch(recordings: Sequence[Recording]) -> Recording | None:
    """The English utterance nearest to two seconds, then the German recording nearest to 25."""
    english = [(one, span) for one in recordings if one.language == "en" for span in one.spans]
    german = [one for one in recordings if one.language == "de"]
    if not english or not german:
        return None
    one, (start, end, text) = min(english, key=lambda pair: abs(pair[1][1] - pair[1][0] - 2))
    other = min(german, key=lambda each: abs(len(each.samples) / SAMPLE_RATE - 25))
    first = one.samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
    # A pause, so that the English words may well be decoded by themselves.
    both = joined([first, other.samples], pause=2.0)
    return Recording("code switch", "de", f"{text} {other.text}", wav(both))


def bases(recordings: Sequence[Recording], count: int) -> list[Recording]:
    """The first English recordings of half a minute to a minute."""
    english = [one for one in recordings if one.language == "en" and 60 <= len(one.text.split()) <= 140]
    return english[:count]


def half_an_hour(english: Sequence[Recording]) -> Recording:
    """English recordings, one after the other and again, until it is as long."""
    samples, texts, seconds = list[Samples](), list[str](), 0.0
    while seconds < LONG_SECONDS:
        for one in english:
            samples.append(one.samples)
            texts.append(one.text)
            seconds += len(samples[-1]) / SAMPLE_RATE + 0.7
            if seconds >= LONG_SECONDS:
                break
    return Recording("30 min", "en", " ".join(texts), wav(joined(samples)))
