"""The bank: thousands of synthesised utterances in one file of 16-bit samples, with an index beside it.

python -m training.mini_whisper.bank [--work build/mini_whisper]
"""

import argparse
import hashlib
import json
import multiprocessing
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from training.mini_whisper.spoken import SAMPLE_RATE, Audio
from training.mini_whisper.vocab import Sentence, sample_sentence

VARIANTS = """
    m1 m2 m3 m4 m5 m7 m8 f1 f2 f3 f5 adam Alex Alicia Andy Annie belinda benjamin caleb Diogo ed edward
    Gene Henrique Hugo john Lee linda Marco max Michel miguel Mike pablo paul pedro quincy rob robert
    sandro shelby steph travis victor zac anika klatt klatt2 norbert antonio marcelo
""".split()
HELD_OUT_VARIANTS = ["f4", "m6", "Andrea", "david"]
"""Voices never used in training."""

ACCENTS = {
    "en": ["gmw/en-US"] * 4 + ["gmw/en"] * 3 + ["gmw/en-GB-x-rp", "gmw/en-GB-scotland", "gmw/en-US-nyc"],
    "de": ["gmw/de"],
    "es": ["roa/es", "roa/es-419"],
}
FLITE_VOICES = ["slt", "rms", "awb", "kal16"]

Kind: TypeAlias = Literal["seen", "held", "flite"]
"""Whose voice: espeak-ng's of the training, espeak-ng's kept out of it, or flite's."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Where an utterance lies in the bank (``at``, ``n`` samples), what is said, and when, in seconds."""

    at: int
    n: int
    lang: str
    words: Sentence
    voice: str
    times: list[tuple[float, float]]

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.n / SAMPLE_RATE

    @property
    def kind(self) -> Kind:
        """Whose voice it is."""
        if self.voice.startswith("flite/"):
            return "flite"
        return "held" if self.voice.split("+")[-1] in HELD_OUT_VARIANTS else "seen"


@dataclass(frozen=True, slots=True)
class Job:
    """A share of a bank, made by one process: espeak-ng in ``variants``, or flite where there are none."""

    seed: int
    lang: str
    count: int
    held_out: bool
    variants: tuple[str, ...] = ()


class Bank:
    """A finished bank, opened for reading."""

    def __init__(self, path: Path) -> None:
        index = json.loads(path.with_suffix(".json").read_text("utf-8"))
        self.utterances = [Utterance(**entry) for entry in index]
        self._pcm = np.memmap(path.with_suffix(".pcm"), dtype=np.int16, mode="r")

    def audio(self, i: int) -> Audio:
        """The samples of utterance ``i``, with a peak of 0.5."""
        u = self.utterances[i]
        return self._pcm[u.at : u.at + u.n].astype(np.float32) / np.float32(32767.0)


def held_out(words: Sentence) -> bool:
    """One phrase in 16 (of two words or more) is kept for validation."""
    digest = hashlib.sha1(" ".join(words).encode(), usedforsecurity=False).digest()
    return len(words) > 1 and digest[0] % 16 == 0


def training_jobs() -> list[Job]:
    """About 17 h of speech."""
    jobs = []
    for i in range(16):
        jobs.append(Job(100 + i, "en", 1500, held_out=False, variants=tuple(VARIANTS)))
        jobs.append(Job(200 + i, "de", 350, held_out=False, variants=tuple(VARIANTS)))
        jobs.append(Job(300 + i, "es", 350, held_out=False, variants=tuple(VARIANTS)))
        jobs.append(Job(400 + i, "en", 350, held_out=False))
    return jobs


def held_out_jobs() -> list[Job]:
    """Phrases kept out of the training, by voices of the training and by others."""
    jobs = []
    for k, (lang, count) in enumerate((("en", 300), ("de", 120), ("es", 120))):
        jobs.append(Job(9000 + k, lang, count, held_out=True, variants=tuple(VARIANTS)))
        jobs.append(Job(9100 + k, lang, count, held_out=True, variants=tuple(HELD_OUT_VARIANTS)))
    jobs.append(Job(9200, "en", 150, held_out=True))
    return jobs


def build_bank(path: Path, jobs: Iterable[Job], processes: int = 2) -> float:
    """Synthesises the jobs into ``path``.pcm and ``path``.json; returns the hours of speech."""
    index, at = [], 0
    with multiprocessing.Pool(processes) as pool, path.with_suffix(".pcm").open("wb") as samples:
        for pcm, utterances in pool.imap(_make, jobs):
            index += [asdict(u) | {"at": at + u.at} for u in utterances]
            at += len(pcm)
            samples.write(pcm.tobytes())
    path.with_suffix(".json").write_text(json.dumps(index, ensure_ascii=False), "utf-8")
    return at / SAMPLE_RATE / 3600


def ensure_banks(work: Path) -> None:
    """Builds the banks ``train`` and ``held`` in ``work`` where they are missing."""
    work.mkdir(parents=True, exist_ok=True)
    for name, jobs in (("held", held_out_jobs()), ("train", training_jobs())):
        if not (work / f"{name}.json").exists():
            print(f"{name}: {build_bank(work / name, jobs):.1f} h of speech", flush=True)


def _make(job: Job) -> tuple[np.ndarray, list[Utterance]]:
    # The synthesisers are loaded where they speak, so that a finished bank can be read without them.
    from training.mini_whisper.espeak import Espeak
    from training.mini_whisper.flite import Flite

    rng = random.Random(job.seed)
    espeak, flite = Espeak(), Flite()
    blocks: list[np.ndarray] = []
    utterances: list[Utterance] = []
    at = 0
    while len(utterances) < job.count:
        words = sample_sentence(job.lang, rng)
        if held_out(words) != job.held_out:
            continue
        stop = rng.random() < 0.7
        if job.variants:
            voice = rng.choice(ACCENTS[job.lang]) + "+" + rng.choice(job.variants)
            rate, pitch, pitch_range = rng.randint(125, 205), rng.randint(25, 75), rng.randint(30, 70)
            said = espeak.say(words, voice, rate=rate, pitch=pitch, pitch_range=pitch_range, stop=stop)
        else:
            voice = "flite/" + rng.choice(FLITE_VOICES)
            said = flite.say(words, voice.removeprefix("flite/"), stretch=rng.uniform(0.85, 1.25), stop=stop)
        if said is None:
            continue
        audio = said.audio * (0.5 / max(1e-4, np.abs(said.audio).max()))
        pcm = np.round(audio * 32767).astype(np.int16)
        times = [(round(b, 3), round(e, 3)) for b, e in said.times]
        utterances.append(Utterance(at, len(pcm), job.lang, words, voice, times))
        blocks.append(pcm)
        at += len(pcm)
    return np.concatenate(blocks), utterances


def main() -> None:
    """Builds both banks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("build/mini_whisper"), help="where the banks are")
    ensure_banks(parser.parse_args().work)


if __name__ == "__main__":
    main()
