"""Which words are told while somebody speaks: how soon, and how often the final text takes them back."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.engines import LENGTHS, TIMES, whisper
from bench.realtime import Session
from bench.replay import DEFAULT_DELAY, DELAYS, replay
from bench.sessions import Figures, figures
from bench.stage import Bench, Finding, Table, Target
from bench.stats import per_cent, percentile
from bench.talk import Talk, make_turns, phrases
from gateway.audio.types import SAMPLE_RATE
from gateway.flow.options import PartialOptions

LEAST_KEPT = 0.95

COLUMNS = (
    "delay|step, s|agreement|held back|kept, one phrase|kept, several|told early|first text, s|words, s"
).split("|")


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature."""
    spec, ways = whisper(bench.model(), cpu_threads=1), variants()
    turns = make_turns(phrases(), 8 if bench.quick else 32)
    cost, sessions = replay(spec, turns, ways)
    joined = sum(turn.is_joined for turn in turns)
    title = f"miniature, {len(turns) - joined} turns of one phrase, {joined} of several"
    rows = [row(name, options, turns, sessions[name]) for name, options in ways.items()]
    yield Table(title, tuple(COLUMNS), rows)
    yield target(f"miniature, {DEFAULT_DELAY}", figures(sessions[DEFAULT_DELAY]))
    times = " and ".join(f"{cost.partial.of(s * SAMPLE_RATE):.2f} s for {s} s" for s in LENGTHS)
    yield f"The median of {TIMES} partials took {times}."


def variants() -> dict[str, PartialOptions]:
    """Every delay, and the default one changed."""
    default = DELAYS[DEFAULT_DELAY]
    hasty, trusting = replace(default.stability, agreement=1), replace(default.stability, sure=0.0)
    return {
        **DELAYS,
        f"{DEFAULT_DELAY}, agreement 1": replace(default, stability=hasty),
        f"{DEFAULT_DELAY}, however unsure": replace(default, stability=trusting),
    }


def target(name: str, found: Figures) -> Target:
    """Where nothing is told early, nothing is taken back."""
    return Target(
        f"{name}: {100 * LEAST_KEPT:.0f} % of the finals begin with what was told early",
        _kept(found) if found.released else "nothing is told early",
        not found.begins < LEAST_KEPT,
    )


def row(
    name: str, options: PartialOptions, turns: Sequence[Talk], sessions: Sequence[Session]
) -> tuple[str, ...]:
    """What one way made of all turns, of those of one phrase, and of those of several."""
    pairs, found = list(zip(turns, sessions, strict=True)), figures(sessions)
    kinds = ([session for turn, session in pairs if turn.is_joined is joined] for joined in (False, True))
    return (
        name,
        f"{options.step:.1f}",
        f"{options.stability.agreement}",
        f"{options.stability.held_back}",
        *(_kept(figures(kind)) for kind in kinds),
        per_cent(found.early),
        f"{percentile(found.firsts, 50):.2f}",
        f"{percentile(found.words, 50):.2f}",
    )


def _kept(found: Figures) -> str:
    return f"{per_cent(found.begins)} of {found.released}" if found.released else per_cent(math.nan)
