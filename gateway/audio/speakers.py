"""Who speaks when: the voices of a recording's chunks to turns, at its end or while it goes on.

A speaker is the name of a known one, or a number; `gateway.transcript.speakers` makes letters of numbers, in
the order in which they are emitted.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gateway.audio.speaker_clusters import (
    BLOCK,
    LEAST,
    LEAST_OF_MANY,
    MANY,
    Distances,
    cluster,
    unit,
)
from gateway.audio.speaker_model import Embedding, Voice
from gateway.transcript.speakers import Speaker, Turn


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """A voice that has a name.

    Attributes:
        nearest: The least cosine with which another is taken for it.
        narrow: The same voice as a telephone carries it, to compare with what it carried.
        nearest_narrow: The least cosine with that.
        is_narrow: The reference itself came by telephone, and is like no voice that did not.
    """

    name: str
    embedding: Embedding
    nearest: float
    narrow: Embedding
    nearest_narrow: float
    is_narrow: bool = False


@dataclass(frozen=True, slots=True)
class SpeakerOptions:
    """What is known of a recording's speakers beforehand.

    Attributes:
        count: So many speak, if that is known.
        most: No more than so many.
        distances: What is near enough to be one person's.
    """

    known: tuple[KnownSpeaker, ...] = ()
    count: int | None = None
    most: int | None = None
    distances: Distances = field(default_factory=Distances)

    @property
    def by_telephone(self) -> bool:
        """Whether all must be heard as a telephone carries it, to be like what is known."""
        return any(one.is_narrow for one in self.known)

    def matches(self, voices: Sequence[Voice]) -> dict[str, float]:
        """The known speakers whose voice they may be, each with its cosine; of a stranger there are none."""
        if not self.known:
            return {}
        voice = unit(np.sum([each.embedding for each in voices], axis=0))
        is_by_telephone = is_narrow(voices)
        found = {}
        for one in self.known:
            cosine = float(voice @ (one.narrow if is_by_telephone else one.embedding))
            if cosine >= (one.nearest_narrow if is_by_telephone else one.nearest):
                found[one.name] = cosine
        return found

    def named(self, voices: Sequence[Voice]) -> str | None:
        """The known speaker whose voice they are; a stranger stays one."""
        matches = self.matches(voices)
        return max(matches, key=matches.__getitem__, default=None)


def tell_apart(chunks: Sequence[Sequence[Voice]], options: SpeakerOptions) -> list[list[Turn]]:
    """The turns of each chunk of a whole recording, its voices looked at together."""
    voices = [voice for chunk in chunks for voice in chunk]
    if not voices:
        return [[] for _ in chunks]
    enough = sum(voice.is_enough for voice in voices)
    labels = _labels(voices, options, least=LEAST_OF_MANY if enough >= MANY else LEAST)
    speakers: dict[int, Speaker] = {}
    for label in set(labels):
        own = [voice for voice, of in zip(voices, labels, strict=True) if of == label]
        speakers[label] = options.named(own) or label
    found = iter(labels)
    return [_turns(chunk, [speakers[next(found)] for _ in chunk]) for chunk in chunks]


class SpeakerTracker:
    """Who speaks in a recording that goes on, chunk after chunk.

    At each chunk the last ten minutes are clustered anew, and the groups mapped to the speakers that were
    told already. What was told stays: a speaker is never renamed, and a new one needs two windows.
    """

    def __init__(self, options: SpeakerOptions) -> None:
        self._options = options
        self._recent: list[tuple[Voice, Speaker]] = []
        self._profiles: dict[Speaker, tuple[Embedding, int]] = {}
        """The sum of all that each has said, and of how many windows."""
        self._strangers = 0

    def follow(self, chunk: Sequence[Voice]) -> list[Turn]:
        """The turns of the next chunk."""
        if not chunk:
            return []
        voices = [*(voice for voice, _ in self._recent), *chunk][-BLOCK:]
        told = [speaker for _, speaker in self._recent][-BLOCK + len(chunk) :] if len(chunk) < BLOCK else []
        labels = _labels(voices, replace(self._options, count=None, most=None))
        groups = defaultdict[int, list[int]](list)
        for at, label in enumerate(labels):
            groups[label].append(at)
        speakers = self._mapped(voices, told, groups)
        news = [speakers[label] for label in labels[len(told) :]]
        for voice, speaker in zip(chunk, news, strict=True):
            if voice.is_enough:
                total, count = self._profiles.get(speaker, (np.zeros_like(voice.embedding), 0))
                self._profiles[speaker] = total + voice.embedding, count + 1
        self._recent = [*self._recent, *zip(chunk, news, strict=True)][-BLOCK:]
        return _turns(chunk, news)

    def _mapped(
        self, voices: Sequence[Voice], told: Sequence[Speaker], groups: dict[int, list[int]]
    ) -> dict[int, Speaker]:
        """The speaker of each group: known, or whom most of it was told to be, or near, or new."""
        mapped: dict[int, Speaker] = {}
        votes: list[tuple[int, Speaker, int]] = []
        for label, members in groups.items():
            heard = [told[at] for at in members if at < len(told)]
            if matches := self._options.matches([voices[at] for at in members]):
                # Of two names for one voice it keeps the one that it was given.
                mapped[label] = max(matches, key=lambda name: (heard.count(name), matches[name]))
            votes += [(heard.count(speaker), speaker, label) for speaker in dict.fromkeys(heard)]
        taken = set(mapped.values())
        for _, speaker, label in sorted(votes, key=lambda vote: -vote[0]):
            if label not in mapped and speaker not in taken and not self._is_known(speaker):
                mapped[label] = speaker
                taken.add(speaker)
        profiles = dict(self._profiles)
        for label in sorted(groups.keys() - mapped.keys(), key=lambda label: groups[label][0]):
            group = [voices[at] for at in groups[label]]
            mapped[label] = speaker = self._nearest_or_new(group, profiles)
            total = np.sum([voice.embedding for voice in group], axis=0)
            profiles.setdefault(speaker, (total, len(group)))
        return mapped

    def _nearest_or_new(
        self, group: Sequence[Voice], profiles: Mapping[Speaker, tuple[Embedding, int]]
    ) -> Speaker:
        mean = np.mean([voice.embedding for voice in group], axis=0)
        links = {speaker: float(total @ mean) / count for speaker, (total, count) in profiles.items()}
        # The known are told by their references alone, unless nobody else is there.
        strangers = [speaker for speaker in links if not self._is_known(speaker)]
        nearest = max(strangers or links, key=links.__getitem__, default=None)
        most = self._options.count or self._options.most
        is_sure = sum(voice.is_enough for voice in group) >= LEAST
        may_be_new = is_sure and (most is None or len(profiles) < most)
        is_near = nearest in strangers and 1 - links[nearest] <= _distance(group, self._options)
        if nearest is not None and (is_near or not may_be_new):
            return nearest
        self._strangers += 1
        return self._strangers - 1

    def _is_known(self, speaker: Speaker) -> bool:
        return isinstance(speaker, str)


def _labels(voices: Sequence[Voice], options: SpeakerOptions, *, least: int = LEAST) -> list[int]:
    """The group of each voice; the short ones join the nearest."""
    embeddings = np.stack([voice.embedding for voice in voices])
    enough = np.array([voice.is_enough for voice in voices])
    voting = embeddings[enough] if enough.any() else embeddings
    groups = cluster(voting, _distance(voices, options), count=options.count, most=options.most, least=least)
    centres = np.stack([unit(voting[groups == group].sum(axis=0)) for group in np.unique(groups)])
    return [int(label) for label in (embeddings @ centres.T).argmax(axis=1)]


def _distance(voices: Sequence[Voice], options: SpeakerOptions) -> float:
    return options.distances.narrow if is_narrow(voices) else options.distances.wide


def is_narrow(voices: Sequence[Voice]) -> bool:
    """Whether most of them came by telephone."""
    return 2 * sum(voice.is_narrow for voice in voices) > len(voices)


def _turns(chunk: Sequence[Voice], speakers: Sequence[Speaker]) -> list[Turn]:
    """Neighbours with one speaker are one turn."""
    turns: list[Turn] = []
    for voice, speaker in zip(chunk, speakers, strict=True):
        if turns and turns[-1].speaker == speaker:
            turns[-1] = Turn(turns[-1].start, voice.end, speaker)
        else:
            turns.append(Turn(voice.start, voice.end, speaker))
    return turns
