"""flite through its command line, which prints phones with their end times. Version 2.2 was used."""

import re
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
import soxr

from training.mini_whisper.spoken import SAMPLE_RATE, Audio, Spoken, trim
from training.mini_whisper.vocab import SPOKEN, Sentence, spoken_text

_PAUSE = "pau"


class Flite:
    """A voice that says the vocabulary; the number of phones of each word maps the phones back to words."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def say(self, words: Sentence, voice: str, *, stretch: float = 1.0, stop: bool = True) -> Spoken | None:
        """Says the words; above 1, ``stretch`` is slower. None where phones and words do not line up."""
        counts = [self._count(word, voice) for word in words]
        audio, phones = _run(spoken_text(words) + ("." if stop else ""), voice, stretch)
        ends = [end for _, end in phones]
        spans = [
            (start, end)
            for (phone, end), start in zip(phones, [0.0, *ends[:-1]], strict=True)
            if phone != _PAUSE
        ]
        if len(spans) != sum(counts):
            return None
        last = np.cumsum(counts)
        return trim(
            audio,
            [spans[n - count][0] for n, count in zip(last, counts, strict=True)],
            [spans[n - 1][1] for n in last],
        )

    def _count(self, word: str, voice: str) -> int:
        if (voice, word) not in self._counts:
            _, phones = _run(SPOKEN.get(word, word), voice, 1.0)
            self._counts[voice, word] = sum(phone != _PAUSE for phone, _ in phones)
        return self._counts[voice, word]


def _run(text: str, voice: str, stretch: float) -> tuple[Audio, list[tuple[str, float]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.wav")
        stretched = f"duration_stretch={stretch:.3f}"
        command = ["flite", "-voice", voice, "--setf", stretched, "-psdur", "-t", text, "-o", str(path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with wave.open(str(path)) as recording:
            rate = recording.getframerate()
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    phones = [(phone, float(end)) for phone, end in re.findall(r"(\S+):([\d.]+)", out)]
    audio = pcm.astype(np.float32) / 32768.0
    return (soxr.resample(audio, rate, SAMPLE_RATE) if rate != SAMPLE_RATE else audio), phones
