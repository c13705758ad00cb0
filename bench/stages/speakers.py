"""Who said what: dialogues whose turns are known, through the whole gateway with a real Whisper.

Dialogues of readers (two to four people, turns of 0.8 to 8 s: quiet, with overlap, in a room, on the
telephone), and clips of meetings with their truth. Each is heard as a plain upload and as a stream; then once
more with two people known by five seconds of reference, one of whom may not be there. One engine call decodes
a chunk for all of these. Other methods are given the same words to attribute.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import anyio

from bench.dialogues import KINDS, Dialogue, Readers, Turn, meetings
from bench.diarization import Diarized, judge
from bench.diarizers import METHODS, attributed, listen
from bench.hearing import find_base, kernels
from bench.listener import WAYS, Listener, networks
from bench.speech import find_speech
from bench.stage import Bench, Finding, Table, Target
from bench.variants import samples_of
from gateway.audio.speakers import SpeakerOptions
from gateway.flow.speakers import enrol_all

DIALOGUES, QUICK_DIALOGUES = 9, 3
MEETINGS = "meetings"
MADE = "made"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Words of known speakers and of strangers, and which of them went wrong."""

    known: int = 0
    rejected: int = 0
    strangers: int = 0
    taken: int = 0

    def __add__(self, other: "Acceptance") -> "Acceptance":
        return Acceptance(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def run(bench: Bench) -> Iterator[Finding]:
    """Needs the folder of real speech and Whisper base; quick takes fewer dialogues."""
    folder, base = find_speech(), find_base()
    if base is None or not (folder / "readers").is_dir():
        sys.exit(f"speakers needs Whisper base, and readers in {folder}")
    listener = Listener(base, networks())
    readers = Readers(folder / "readers")
    count = QUICK_DIALOGUES if bench.quick else DIALOGUES
    # All kinds of everything first, so that a run that is broken off (Ctrl-C, SIGTERM) says something.
    made = [readers.dialogue(number, kind) for number in range(count) for kind in KINDS]
    all_of_them = [*made[: len(KINDS)], *meetings(folder / "dialogues"), *made[len(KINDS) :]]
    found = defaultdict[tuple[str, str], Diarized](Diarized)
    others = defaultdict[tuple[str, str], Diarized](Diarized)
    alone = defaultdict[str, Diarized](Diarized)
    known = defaultdict[str, Acceptance](Acceptance)
    done = 0
    with suppress(KeyboardInterrupt, SystemExit):
        for dialogue in all_of_them:
            is_made = dialogue in made
            kind = dialogue.name.partition(" ")[0] if is_made else MEETINGS
            transcripts = {way: listener.hear(dialogue.file, way, SpeakerOptions()) for way in WAYS}
            accepted = {way: _accepted(listener, readers, dialogue, way) for way in WAYS if is_made}
            sounds = listen(listener.model, samples_of(dialogue.file))
            listener.forget()
            for way, transcript in transcripts.items():
                found[kind, way] += judge(dialogue.turns, transcript)
                known[way] += accepted.get(way, Acceptance())
            plain = transcripts["plain"]
            alone[kind] += judge(dialogue.turns, attributed(plain, [Turn(0, 0, "everybody")]))
            for name, method in METHODS.items():
                others[name, MADE if is_made else MEETINGS] += judge(
                    dialogue.turns, attributed(plain, method(sounds))
                )
            done += 1
            print(f"  {dialogue.name}", file=sys.stderr, flush=True)
    yield Table(
        "Who said what",
        ("recordings", "way", "words right", "confusion", "error rate", "count right", "if one spoke"),
        [
            (kind, way, *_figures(found[kind, way]), _share(alone[kind].right_words, alone[kind].words))
            for kind in (*KINDS, MEETINGS)
            for way in WAYS
        ],
    )
    for way in WAYS:
        others[f"**the gateway**, {way}", MADE] = _made(found, way)
        others[f"**the gateway**, {way}", MEETINGS] = found[MEETINGS, way]
    heads = ("words right", "confusion", "error rate", "count right")
    yield Table(
        "Other methods, with the same networks and words",
        ("method", *(f"{kind}: {head}" for kind in (MADE, MEETINGS) for head in heads)),
        [
            (name, *_figures(others[name, MADE]), *_figures(others[name, MEETINGS]))
            for name in dict.fromkeys(name for name, _ in others)
        ],
    )
    yield Table(
        "Known speakers, of two references of 5 s each: words",
        ("way", "rejected", "strangers taken"),
        [
            (way, _share(one.rejected, one.known), _share(one.taken, one.strangers))
            for way, one in known.items()
        ],
    )
    yield from _targets(found, known)
    cost = listener.model.costs.per_minute
    yield Target("at most 2 CPU seconds more a minute, for hearing voices", f"{cost:.2f}", cost <= 2)
    broken_off = f"{done} of {len(all_of_them)} recordings; " if done < len(all_of_them) else ""
    yield f"{broken_off}`{base.name}`, {kernels()}."


def _accepted(listener: Listener, readers: Readers, dialogue: Dialogue, way: str) -> Acceptance:
    """With the first speaker known, and one who is not there, if there is one."""
    away = [reader for reader in readers.names if reader not in dialogue.speakers]
    names = [dialogue.speakers[0], *away[:1]]
    references = [(name, readers.reference(name)) for name in names]
    options = SpeakerOptions(anyio.run(enrol_all, listener.model, references))
    found = Acceptance()
    for segment in listener.hear(dialogue.file, way, options).segments:
        for word in segment.words:
            middle = (word.start + word.end) / 2
            speaking = {turn.speaker for turn in dialogue.turns if turn.start <= middle < turn.end}
            if len(speaking) == 1:
                is_known = speaking <= set(names)
                found += Acceptance(
                    is_known,
                    is_known and segment.speaker not in speaking,
                    not is_known,
                    not is_known and segment.speaker in names,
                )
    return found


def _made(found: dict[tuple[str, str], Diarized], way: str) -> Diarized:
    return sum((figures for (kind, of), figures in found.items() if of == way and kind in KINDS), Diarized())


def _targets(found: dict[tuple[str, str], Diarized], known: dict[str, Acceptance]) -> Iterator[Target]:
    for way, least in zip(WAYS, (0.96, 0.91), strict=True):
        total = _made(found, way)
        share = total.right_words / max(1, total.words)
        yield Target(f"made dialogues, {way}: {least:.0%} of the words right", f"{share:.1%}", share >= least)
    total = _made(found, "plain")
    share = total.right_counts / max(1, total.recordings)
    yield Target("made dialogues, plain: the number of speakers right in 90%", f"{share:.0%}", share >= 0.9)
    clips = found[MEETINGS, "plain"]
    share = clips.right_words / max(1, clips.words)
    yield Target("meetings, plain: 86% of the words right", f"{share:.1%}", share >= 0.86)
    share = clips.confused / max(1, clips.frames)
    yield Target("meetings, plain: at most 9% confused", f"{share:.1%}", share <= 0.09)
    for way in WAYS:
        one = known[way]
        rejected, taken = one.rejected / max(1, one.known), one.taken / max(1, one.strangers)
        yield Target(
            f"known speakers, {way}: at most 3% of their words rejected", f"{rejected:.1%}", rejected <= 0.03
        )
        yield Target(
            f"known speakers, {way}: at most 2% of strangers' words taken", f"{taken:.1%}", taken <= 0.02
        )


def _figures(figures: Diarized) -> tuple[str, ...]:
    return (
        _share(figures.right_words, figures.words),
        _share(figures.confused, figures.frames),
        f"{figures.error_rate:.1%}",
        f"{figures.right_counts} of {figures.recordings}",
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
