"""Real words: the gateway against faster-whisper, with the same weights, on speech whose words are known.

`python -m bench words` reads a folder with ``recordings.json``: a list of objects with ``file``,
``language``, ``text`` and, where they are known, ``words`` as [start, end, word]. Each is heard as an
upload of the gateway (plain, streamed, with ``default_chunking=block``, with ``audio_context=fit``) and by
faster-whisper in three ways: with VAD and no text before as prompt, by default, and batched. Then come
variants of some of them, sounds without speech, and one sentence in thirty encodings.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.encodings import ENCODINGS, encoded
from bench.hearing import FASTER_WHISPER, GATEWAY, MODEL_VARIABLE, Ears, Heard, find_base, kernels
from bench.speech import Recording, bases, code_switch, find_speech, half_an_hour, load, onset_of
from bench.stage import Table
from bench.variants import sounds, variants, wav
from bench.wer import Joins, Score, judge_joins, score, start_errors
from gateway.audio.types import SAMPLE_RATE
from gateway.errors import GatewayError

WAYS = (*GATEWAY, *FASTER_WHISPER)
PARTS = ("recordings", "variants", "switch", "long", "sounds", "encodings")
TIMING = "fw default"
"""Its word times are the reference where there is no other."""

QUICK_SECONDS = 150
"""Of each language, in a quick run."""

BASES, QUICK_BASES = 3, 1
"""Recordings of which variants are made."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way made of one recording.

    Attributes:
        onset: Seconds from where speech begins to the first word; None where either is not there.
        starts: By how many seconds each word's start differs from the reference's.
    """

    recording: Recording
    way: str
    heard: Heard
    score: Score
    joins: Joins
    onset: float | None = None
    starts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What is run.

    Attributes:
        only: Languages, names of recordings, or some of `PARTS`; empty is everything.
        given: The language is given, not detected.
        keep: Called with each outcome as soon as it is known.
    """

    speech: Path
    model: Path
    ways: tuple[str, ...] = WAYS
    only: frozenset[str] = frozenset()
    quick: bool = False
    given: bool = False
    threads: int = 1
    keep: Callable[[Outcome], None] = lambda _: None

    def wants(self, part: str) -> bool:
        """Whether this part is run; names of recordings and languages mean the recordings alone."""
        return part in self.only if self.only & set(PARTS) else part == "recordings" or not self.only


def run(options: Options) -> Iterator[Table]:
    """Everything asked for, table by table as it is known."""
    ears = Ears(options.model, threads=options.threads)
    everything = load(options.speech)
    chosen = _chosen(everything, options)
    if options.wants("recordings"):
        outcomes = [each for one in chosen for each in judge(ears, one, options)]
        yield _by_recording(outcomes, options.ways)
        yield from _in_total(outcomes, options.ways)
    english = [one for one in everything if one.language == "en"]
    if options.wants("variants"):
        yield _variants(ears, everything, options)
    if options.wants("switch") and (switch := code_switch(everything)):
        yield _totals("Two seconds of English, then German", judge(ears, switch, options), options.ways)
    if options.wants("long") and not options.quick:
        yield _totals("30 minutes joined", judge(ears, half_an_hour(english), options), options.ways)
    if options.wants("sounds"):
        yield _sounds(ears, options)
    if options.wants("encodings"):
        yield _encodings(ears, next(one for one in everything if one.name == "en_jfk"), options)


def judge(ears: Ears, recording: Recording, options: Options) -> list[Outcome]:
    """One recording in all the ways that are asked for."""
    language = recording.language if options.given else None
    heard = {way: ears.hear(way, recording.file, language=language) for way in options.ways}
    _progress(recording.name)
    truth = recording.words
    if not truth:
        timing = heard.get(TIMING) or ears.hear(TIMING, recording.file, language=language)
        truth = timing.words
    onset = recording.words[0].start if recording.words else onset_of(recording.samples)
    outcomes = [
        Outcome(
            recording,
            way,
            each,
            score(recording.text, each.text, recording.language),
            judge_joins(recording.text, each.text, each.joins, recording.language),
            each.words[0].start - onset if each.words and onset is not None else None,
            tuple(start_errors(truth, each.words, recording.language)),
        )
        for way, each in heard.items()
    ]
    for outcome in outcomes:
        options.keep(outcome)
    return outcomes


def _chosen(recordings: list[Recording], options: Options) -> list[Recording]:
    names = {"en" if each == "english" else each for each in options.only} - set(PARTS)
    chosen = [one for one in recordings if not names or {one.name, one.language} & names]
    if not options.quick:
        return chosen
    seconds: dict[str, float] = {}
    kept = []
    for one in chosen:
        if seconds.get(one.language, 0.0) < QUICK_SECONDS:
            seconds[one.language] = seconds.get(one.language, 0.0) + len(one.samples) / SAMPLE_RATE
            kept.append(one)
    return kept


def _variants(ears: Ears, recordings: Sequence[Recording], options: Options) -> Table:
    chosen = bases(recordings, QUICK_BASES if options.quick else BASES)
    names = {one.name for one in chosen}
    # Speakers of all languages, none of them the one who is to be understood.
    others = [one.samples for one in recordings if one.name not in names][:20:4]
    rows = []
    for name, change in {"as recorded": lambda samples: samples, **variants(others)}.items():
        scores = dict.fromkeys(options.ways, Score())
        for one in chosen:
            file = wav(change(one.samples))
            for way in options.ways:
                heard = ears.hear(way, file, language="en" if options.given else None)
                scores[way] += score(one.text, heard.text, "en")
        _progress(name)
        rows.append((name, *(_rate(scores[way]) for way in options.ways)))
    seconds = sum(len(one.samples) for one in chosen) / SAMPLE_RATE
    title = f"Variants of {', '.join(sorted(names))} ({seconds:.0f} s): word errors"
    return Table(title, ("variant", *options.ways), tuple(rows))


def _sounds(ears: Ears, options: Options) -> Table:
    rows = []
    for name, samples in sounds().items():
        texts = [ears.hear(way, wav(samples)).text.strip() for way in options.ways]
        _progress(name)
        rows.append((name, *(f"{len(text)}: {text[:30]}" if text else "-" for text in texts)))
    return Table("Sounds without speech: characters of text", ("sound", *options.ways), tuple(rows))


def _encodings(ears: Ears, recording: Recording, options: Options) -> Table:
    ways = [way for way in options.ways if way in {"plain", "streamed", "fw vad"}]
    samples, rows, whole = recording.samples, [], dict.fromkeys(ways, 0)
    for encoding in ENCODINGS:
        file, cells = encoded(samples, encoding), []
        for way in ways:
            try:
                found = score(recording.text, ears.hear(way, file).text, recording.language)
            except GatewayError as error:
                cells.append(f"refused: {error.message}")
            else:
                whole[way] += not found.wrong
                cells.append(f"{found.wrong} of {found.of} wrong" if found.wrong else "whole")
        _progress(str(encoding))
        rows.append((str(encoding), *cells))
    rows.append(("whole", *(f"{whole[way]} of {len(ENCODINGS)}" for way in ways)))
    return Table(f"{recording.name} in {len(ENCODINGS)} encodings", ("encoding", *ways), tuple(rows))


def _by_recording(outcomes: Sequence[Outcome], ways: Sequence[str]) -> Table:
    rows = []
    for name in dict.fromkeys(outcome.recording.name for outcome in outcomes):
        mine = {outcome.way: outcome for outcome in outcomes if outcome.recording.name == name}
        first = mine[ways[0]]
        rows.append(
            (f"{name} ({first.heard.duration:.0f} s)", *(_rate(mine[way].score, wrong=True) for way in ways))
        )
    return Table("Errors by recording", ("recording", *ways), tuple(rows))


def _in_total(outcomes: Sequence[Outcome], ways: Sequence[str]) -> Iterator[Table]:
    languages = list(dict.fromkeys(outcome.recording.language for outcome in outcomes))
    for language in languages:
        mine = [outcome for outcome in outcomes if outcome.recording.language == language]
        yield _totals(f"Total: {language}", mine, ways)
    if len(languages) > 1:
        yield _totals("Total: all languages", outcomes, ways)


def _totals(title: str, outcomes: Iterable[Outcome], ways: Sequence[str]) -> Table:
    """Everything that is measured, a row for each way."""
    kept = list(outcomes)
    columns = (
        "way",
        "errors",
        "lost at cuts",
        "joins",
        "false stops",
        "in 10 min",
        "onset, s: median (worst)",
        "word starts, s: p50",
        "p90",
        "windows",
        "searches",
        "CPU s per s",
    )
    rows = tuple((way, *_figures([one for one in kept if one.way == way])) for way in ways)
    seconds = sum(one.heard.duration for one in kept if one.way == ways[0])
    return Table(f"{title} ({seconds / 60:.1f} min)", columns, rows)


def _figures(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    joins = sum((one.joins for one in outcomes), Joins())
    seconds = sum(one.heard.duration for one in outcomes)
    onsets = [one.onset for one in outcomes if one.onset is not None]
    starts = [error for one in outcomes for error in one.starts]
    return (
        _rate(sum((one.score for one in outcomes), Score()), wrong=True),
        str(joins.lost),
        str(joins.count),
        str(joins.false_stops),
        f"{joins.false_stops / max(seconds, 1e-9) * 600:.1f}",
        f"{np.median(onsets):+.2f} ({max(onsets, key=abs):+.2f})" if onsets else "-",
        f"{np.quantile(starts, 0.5):.2f}" if starts else "-",
        f"{np.quantile(starts, 0.9):.2f}" if starts else "-",
        str(sum(one.heard.windows for one in outcomes)),
        str(sum(one.heard.searches for one in outcomes)),
        f"{sum(one.heard.cpu_seconds for one in outcomes) / max(seconds, 1e-9):.3f}",
    )


def _rate(found: Score, *, wrong: bool = False) -> str:
    return f"{found.rate:.2%}" + (f" ({found.wrong}/{found.of})" if wrong else "")


def _row(outcome: Outcome) -> dict[str, Any]:
    """For other programs, and to see what was heard."""
    heard = outcome.heard
    return {
        "recording": outcome.recording.name,
        "language": outcome.recording.language,
        "way": outcome.way,
        "wrong": outcome.score.wrong,
        "of": outcome.score.of,
        "lost_at_cuts": outcome.joins.lost,
        "joins": outcome.joins.count,
        "false_stops": outcome.joins.false_stops,
        "onset": outcome.onset,
        "start_p90": float(np.quantile(outcome.starts, 0.9)) if outcome.starts else None,
        "windows": heard.windows,
        "searches": heard.searches,
        "cpu_seconds": heard.cpu_seconds,
        "seconds": heard.duration,
        "heard_language": heard.language,
        "join_places": heard.joins,
        "text": heard.text,
    }


def _progress(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def _options(arguments: Sequence[str]) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m bench words", description=__doc__)
    parser.add_argument("speech", nargs="?", type=Path, default=find_speech(), help="default: %(default)s")
    parser.add_argument("--model", type=Path, help="a converted Whisper; default: base of the hub's cache")
    parser.add_argument(
        "--only", action="append", default=[], help=f"language, recording or {', '.join(PARTS)}"
    )
    parser.add_argument("--ways", default=",".join(WAYS), help="some of the ways, with commas between them")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} s of each language, no 30 min")
    parser.add_argument("--language-given", action="store_true", help="tell the language, do not detect it")
    parser.add_argument("--threads", type=int, default=1, help="of CTranslate2")
    parser.add_argument("--json", type=Path, help="write what was heard there, a line for each")
    known = parser.parse_args(arguments)
    model = known.model or find_base()
    if model is None:
        parser.error(f"no Whisper base: `gateway models pull base`, or name its folder in {MODEL_VARIABLE}")
    if not (known.speech / "recordings.json").is_file():
        parser.error(f"no recordings.json in {known.speech}")
    ways = tuple(known.ways.split(","))
    if unknown := set(ways) - set(WAYS):
        parser.error(f"unknown ways: {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    return (
        Options(
            known.speech,
            model,
            ways=ways,
            only=frozenset(known.only),
            quick=known.quick,
            given=known.language_given,
            threads=known.threads,
        ),
        known.json,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options, path = _options(sys.argv[1:] if arguments is None else arguments)
    with ExitStack() as stack:
        if path is not None:
            file = stack.enter_context(path.open("w", encoding="utf-8", buffering=1))
            options = replace(
                options,
                keep=lambda outcome: print(json.dumps(_row(outcome), ensure_ascii=False), file=file),
            )
        for table in run(options):
            print(f"\n{table.markdown()}", flush=True)
    today = f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}"
    setting = f"{options.threads} thread(s), int8, beam 5, word times, {kernels()}"
    print(f"\n{today}, {_machine()}; {options.model.name}, {setting}.")


if __name__ == "__main__":
    main()
