"""What is one person's and what is a known one's: chosen on some readers, judged on the others.

The gateway's own distances were chosen on all readers at hand, so its figures flatter it. Here each way to
part five readers into two and three is tried, both ways round: what the choice on other people's voices costs
is what a stranger's recording may lose. Pieces of 0.3 s in which one person speaks stand for words.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.dialogues import Dialogue, Readers
from bench.listener import networks
from bench.speech import find_speech
from bench.stage import Bench, Finding, Table
from bench.variants import samples_of
from gateway.audio.chunking import ChunkingOptions, make_cutter
from gateway.audio.silero import SileroModel
from gateway.audio.speaker_clusters import DISTANCE, NARROW_DISTANCE, Distances, unit
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speaker_reference import KNOWN, KNOWN_NARROW, KNOWN_SHORT, enrol
from gateway.audio.speakers import KnownSpeaker, SpeakerOptions, SpeakerTracker, tell_apart
from gateway.audio.types import Chunk
from gateway.transcript.speakers import Turn

PIECE_SECONDS = 0.3
WIDE, NARROW = ("quiet", "overlap", "room"), ("telephone",)
GRIDS = {WIDE: np.arange(0.56, 0.861, 0.02), NARROW: np.arange(0.36, 0.661, 0.02)}
CUSTOMARY = {WIDE: DISTANCE, NARROW: NARROW_DISTANCE}
DIALOGUES, QUICK_DIALOGUES = 3, 1
"""Of each set of readers, wide and narrow."""

COSINES = np.arange(0.20, 0.901, 0.01)
REJECTED, TAKEN = 0.03, 0.02
"""What may go wrong: cosines are chosen so that the worse of the two, as a share of this, is least."""

REFERENCES = {
    "reference of 5 s": (5.0, WIDE, KNOWN),
    "reference of 3 s": (3.0, WIDE, KNOWN_SHORT),
    "reference of 5 s, telephone": (5.0, NARROW, KNOWN_NARROW),
}

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heard:
    """A dialogue's chunks and their voices."""

    dialogue: Dialogue
    chunks: tuple[Chunk, ...]
    voices: tuple[list[Voice], ...]


@dataclass(frozen=True, slots=True)
class Trials:
    """Groups of voices against references: cosines, whether it is the same person, and how many voices."""

    cosines: Shares
    same: NDArray[np.bool_]
    sizes: Shares

    def wrong(self, nearest: float) -> tuple[float, float]:
        """Shares of the known who are rejected, and of strangers who are taken."""
        named = self.cosines >= nearest
        known, strangers = self.sizes[self.same], self.sizes[~self.same]
        return (
            float((known * ~named[self.same]).sum() / known.sum()),
            float((strangers * named[~self.same]).sum() / strangers.sum()),
        )


class Material:
    """Dialogues of some of the readers, heard once."""

    def __init__(self, model: SpeakerModel, readers: Readers, count: int) -> None:
        self._model = model
        self._readers = readers
        self._count = count
        self._vad = SileroModel.load()
        self.heard = cache(self._hear)
        self.known = cache(self._enrol)
        self.trials = cache(self._try)

    def _hear(self, people: tuple[str, ...], kinds: tuple[str, ...]) -> list[Heard]:
        numbers = [10 * self._readers.names.index(people[0]) + at for at in range(self._count)]
        return [
            self._voices(self._readers.dialogue(number, kinds[number % len(kinds)], among=people))
            for number in numbers
        ]

    def _voices(self, dialogue: Dialogue) -> Heard:
        cutter = make_cutter(self._vad, ChunkingOptions(overlaps=False))
        chunks = [*cutter.feed(samples_of(dialogue.file)), *cutter.flush()]
        voices = [self._model.hear(chunk.samples, chunk.breaks) for chunk in chunks]
        print(f"  {dialogue.name} {' '.join(dialogue.speakers)}", file=sys.stderr, flush=True)
        return Heard(dialogue, tuple(chunks), tuple(voices))

    def _enrol(self, reader: str, seconds: float) -> KnownSpeaker:
        return enrol(self._model, reader, self._readers.reference(reader, seconds))

    def _try(self, people: tuple[str, ...], kinds: tuple[str, ...], seconds: float) -> Trials:
        """All groups that the gateway finds in these people's dialogues, against all their references."""
        found = []
        for heard in self.heard(people, kinds):
            turns = tell_apart(heard.voices, SpeakerOptions())
            groups: dict[int | str, list[tuple[Voice, str]]] = {}
            for chunk, own, voices in zip(heard.chunks, turns, heard.voices, strict=True):
                for voice in voices:
                    at = (voice.start + voice.end) / 2
                    told = next(turn.speaker for turn in own if turn.start <= at <= turn.end)
                    (second, _) = chunk.timeline.between(at, at)
                    here = [each.speaker for each in heard.dialogue.turns if each.start <= second < each.end]
                    if len(here) == 1:
                        groups.setdefault(told, []).append((voice, here[0]))
            for group in groups.values():
                total = unit(np.sum([voice.embedding for voice, _ in group], axis=0))
                for reader in people:
                    known = self.known(reader, seconds)
                    cosine = float(total @ (known.narrow if kinds == NARROW else known.embedding))
                    own_size = sum(person == reader for _, person in group)
                    found += [(cosine, True, own_size), (cosine, False, len(group) - own_size)]
        cosines, same, sizes = zip(*found, strict=True)
        return Trials(np.array(cosines), np.array(same), np.array(sizes, np.float64))


def run(bench: Bench) -> Iterator[Finding]:
    """Needs the folder of real speech; no Whisper."""
    folder = find_speech() / "readers"
    if not folder.is_dir():
        sys.exit(f"speaker_distances needs {folder}")
    readers = Readers(folder)
    material = Material(networks(), readers, QUICK_DIALOGUES if bench.quick else DIALOGUES)
    pairs = list(combinations(readers.names, 2))
    halves = [(pair, tuple(name for name in readers.names if name not in pair)) for pair in pairs]
    splits = [split for one, other in halves for split in ((one, other), (other, one))]
    yield Table(
        f"Distances, {len(splits)} splits: figures of the readers left out",
        (
            "recordings",
            "way",
            "chosen",
            "right: as chosen on the others",
            "as the gateway has it",
            "as suits best",
            "count right: as chosen on the others",
            "as the gateway has it",
        ),
        [_distances(material, splits, kinds, way) for kinds in GRIDS for way in ("plain", "streamed")],
    )
    yield Table(
        f"Cosines of known speakers, {len(splits)} splits: rejected / strangers taken",
        ("", "chosen", "as chosen on the others", "as the gateway has it"),
        [_cosines(material, splits, name) for name in REFERENCES],
    )


def _distances(
    material: Material,
    splits: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    kinds: tuple[str, ...],
    way: str,
) -> tuple[str, ...]:
    grid = GRIDS[kinds]

    @cache
    def curves(people: tuple[str, ...]) -> tuple[Shares, Shares]:
        """Shares of right pieces, and of right counts, at each distance."""
        found = [
            [_judge(heard, way, float(distance)) for distance in grid]
            for heard in material.heard(people, kinds)
        ]
        shares = np.array(found, np.float64).mean(axis=0)
        return shares[:, 0], shares[:, 1]

    customary = int(np.argmin(np.abs(grid - CUSTOMARY[kinds])))
    chosen, rows = [], []
    for here, there in splits:
        at = _middle_of_best(curves(here)[0])
        right, counted = curves(there)
        chosen.append(float(grid[at]))
        rows.append((right[at], right[customary], right.max(), counted[at], counted[customary]))
    means = np.mean(rows, axis=0)
    return (
        "telephone" if kinds == NARROW else "others",
        way,
        f"{min(chosen):.2f} to {max(chosen):.2f}",
        *(f"{mean:.1%}" for mean in means),
    )


def _judge(heard: Heard, way: str, distance: float) -> tuple[float, float]:
    """The share of right pieces, and whether there are as many speakers as there should be."""
    options = replace(SpeakerOptions(), distances=Distances(distance, distance))
    if way == "plain":
        told = tell_apart(heard.voices, options)
    else:
        tracker = SpeakerTracker(options)
        told = [tracker.follow(voices) for voices in heard.voices]
    pairs = list(_pieces(heard, told))
    people, names = (list(dict.fromkeys(each)) for each in zip(*pairs, strict=True))
    counts = np.array([[pairs.count((person, name)) for name in names] for person in people])
    right = counts[linear_sum_assignment(-counts)].sum() / len(pairs)
    return float(right), float(len(names) == len(heard.dialogue.speakers))


def _pieces(heard: Heard, told: Sequence[Sequence[Turn]]) -> Iterator[tuple[str, int | str]]:
    for chunk, turns in zip(heard.chunks, told, strict=True):
        for turn in turns:
            start, end = chunk.timeline.between(turn.start, turn.end)
            for at in np.arange(start, end, PIECE_SECONDS):
                here = [each.speaker for each in heard.dialogue.turns if each.start <= at < each.end]
                if len(here) == 1:
                    yield here[0], turn.speaker


def _cosines(
    material: Material, splits: Sequence[tuple[tuple[str, ...], tuple[str, ...]]], name: str
) -> tuple[str, ...]:
    seconds, kinds, customary = REFERENCES[name]
    chosen, wrong, usual = [], [], []
    for here, there in splits:
        trials = material.trials(here, kinds, seconds)
        cost = [max(rejected / REJECTED, taken / TAKEN) for rejected, taken in map(trials.wrong, COSINES)]
        nearest = float(COSINES[_middle_of_best(-np.array(cost))])
        chosen.append(nearest)
        judged: Callable[[float], tuple[float, float]] = material.trials(there, kinds, seconds).wrong
        wrong.append(judged(nearest))
        usual.append(judged(customary))
    return (
        name,
        f"{min(chosen):.2f} to {max(chosen):.2f}",
        *(" / ".join(f"{mean:.1%}" for mean in np.mean(each, axis=0)) for each in (wrong, usual)),
    )


def _middle_of_best(values: Shares) -> int:
    """Of the longest run of best values, so that nothing hangs on one's luck."""
    best = np.flatnonzero(values >= values.max() - 1e-9)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[len(longest) // 2])
