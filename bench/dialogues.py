"""Dialogues whose turns are known: put together from readers, and clips of meetings with their truth."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.variants import samples_of, telephone, wav
from gateway.audio.types import SAMPLE_RATE, Samples

SECONDS = 60.0
TURN_SECONDS = (0.8, 8.0)
PAUSE_SECONDS = (0.05, 0.6)
OVERLAP_SECONDS = (-0.6, 0.4)
REFERENCE_SECONDS = 5.0

_NEAR_SECONDS = 0.25
"""A turn is cut in the quietest place so near: between words, mostly."""

_NOISE_DECIBELS = 12.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Who speaks from when to when, in seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A recording and its truth."""

    name: str
    file: bytes
    turns: tuple[Turn, ...]

    @property
    def speakers(self) -> list[str]:
        """Those who speak, in order of appearance."""
        return list(dict.fromkeys(turn.speaker for turn in self.turns))


class Readers:
    """A folder of readers with a folder of utterances each. The last utterance is kept as a reference."""

    def __init__(self, folder: Path) -> None:
        self._utterances = {
            reader.name: [_levelled(samples_of(path.read_bytes())) for path in sorted(reader.glob("*.flac"))]
            for reader in sorted(folder.iterdir())
            if reader.is_dir()
        }

    @property
    def names(self) -> list[str]:
        """All readers."""
        return list(self._utterances)

    def reference(self, reader: str, seconds: float = REFERENCE_SECONDS) -> bytes:
        """Some seconds that are in no dialogue, as a WAV file."""
        return wav(self._utterances[reader][-1][: round(seconds * SAMPLE_RATE)])

    def dialogue(
        self, number: int, kind: str, *, among: Sequence[str] = (), seconds: float = SECONDS
    ) -> Dialogue:
        """Two to four people who take turns; the same numbers are the same people and turns.

        Args:
            kind: One of `KINDS`.
            among: Only these people; empty: all.
        """
        random = np.random.default_rng(number)
        people = random.permutation(list(among) or self.names)[: 2 + number % 3].tolist()
        gains = {person: 10 ** (random.uniform(-3, 3) / 20) for person in people}
        sound = np.zeros(round((seconds + 12) * SAMPLE_RATE), dtype=np.float32)
        turns: list[Turn] = []
        at = round(0.3 * SAMPLE_RATE)
        while at < seconds * SAMPLE_RATE:
            others = [person for person in people if not turns or person != turns[-1].speaker]
            person = str(random.choice(others))
            said = gains[person] * self._said(person, random)
            sound[at : at + len(said)] += said
            turns.append(Turn(at / SAMPLE_RATE, (at + len(said)) / SAMPLE_RATE, person))
            between = OVERLAP_SECONDS if kind == "overlap" else PAUSE_SECONDS
            at += len(said) + round(random.uniform(*between) * SAMPLE_RATE)
        whole = sound[: round(max(turn.end for turn in turns) * SAMPLE_RATE) + SAMPLE_RATE // 4]
        return Dialogue(f"{kind} {number}", wav(KINDS[kind](whole)), tuple(turns))

    def _said(self, person: str, random: np.random.Generator) -> Samples:
        utterances = self._utterances[person][:-1]
        whole = utterances[random.integers(len(utterances))]
        length = round(random.uniform(*TURN_SECONDS) * SAMPLE_RATE)
        if length >= len(whole):
            return whole
        start = int(random.integers(0, len(whole) - length))
        begin, end = _quietest(whole, start), _quietest(whole, start + length)
        return (
            whole[begin:end] if end - begin > TURN_SECONDS[0] * SAMPLE_RATE else whole[start : start + length]
        )


def meetings(folder: Path) -> Iterator[Dialogue]:
    """Clips with their truth as RTTM beside them."""
    for path in sorted(folder.glob("*.flac")):
        rows = [line.split() for line in path.with_suffix(".rttm").read_text().splitlines()]
        turns = [Turn(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]
        yield Dialogue(path.stem, path.read_bytes(), tuple(turns))


def _as_it_is(samples: Samples) -> Samples:
    return samples


def _room(samples: Samples) -> Samples:
    """A third of a second of echo, and the noise of a ventilator."""
    random = np.random.default_rng(0)
    echo = random.standard_normal(SAMPLE_RATE // 3) * np.exp(
        -np.arange(SAMPLE_RATE // 3) / (0.05 * SAMPLE_RATE)
    )
    echo[0] = 8.0
    size = len(samples) + len(echo)
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(echo, size), size)[: len(samples)]
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), len(samples))
    heard += noise * (heard.std() / noise.std() / 10 ** (_NOISE_DECIBELS / 20))
    return np.asarray(heard * (samples.std() / heard.std()), dtype=np.float32)


KINDS: dict[str, Callable[[Samples], Samples]] = {
    "quiet": _as_it_is,
    "overlap": _as_it_is,
    "room": _room,
    "telephone": telephone,
}
"""How the dialogues are recorded."""


def _levelled(samples: Samples) -> Samples:
    """Without silence at the ends, all equally loud."""
    hop = SAMPLE_RATE // 100
    energy = np.sqrt(np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1))
    loud = np.flatnonzero(energy > 0.05 * np.quantile(energy, 0.95))
    spoken = samples[loud[0] * hop : (loud[-1] + 1) * hop]
    return np.asarray(spoken * (0.05 / samples.std()), dtype=np.float32)


def _quietest(samples: Samples, at: int) -> int:
    near, hop = round(_NEAR_SECONDS * SAMPLE_RATE), SAMPLE_RATE // 40
    first, last = max(0, at - near), min(len(samples), at + near)
    starts = range(first, max(first + 1, last - hop), hop)
    return min(starts, key=lambda start: float(np.square(samples[start : start + hop]).sum())) + hop // 2
