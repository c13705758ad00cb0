"""Which words are told while somebody speaks: how soon, and how often the final text takes them back."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.engines import LENGTHS, SPHINX, SPHINX_ABLE, TIMES, LocalSpec, whisper
from bench.realtime import Session
from bench.replay import DEFAULT_DELAY, DELAYS, SETTLED, replay
from bench.sessions import Figures, figures
from bench.stage import Bench, Finding, Table, Target
from bench.stats import per_cent, percentile
from bench.talk import Talk, make_turns, phrases
from gateway.audio.types import SAMPLE_RATE
from gateway.flow.options import PartialOptions

LEAST_KEPT = 0.95

UNSET = "unset"

COLUMNS = (
    "delay|step, s|agreement|held back|kept, one phrase|kept, several|told early|first text, s|words, s"
).split("|")


@dataclass(frozen=True, slots=True)
class Case:
    """An engine, the ways to decide what it tells, and which is its default.

    Attributes:
        singles: Turns of one phrase; half as many have several.
    """

    title: str
    spec: LocalSpec
    singles: int
    default: str
    variants: Mapping[str, PartialOptions]


def run(bench: Bench) -> Iterator[Finding]:
    """The miniature; in full also PocketSphinx."""
    costs = list[str]()
    for case in _cases(bench):
        turns = make_turns(phrases(), case.singles)
        cost, sessions = replay(case.spec, turns, case.variants)
        joined = sum(turn.is_joined for turn in turns)
        title = f"{case.title}, {len(turns) - joined} turns of one phrase, {joined} of several"
        rows = [row(name, options, turns, sessions[name]) for name, options in case.variants.items()]
        yield Table(title, tuple(COLUMNS), rows)
        yield target(f"{case.title}, {case.default}", figures(sessions[case.default]))
        times = " and ".join(f"{cost.partial.of(s * SAMPLE_RATE):.2f} s for {s} s" for s in LENGTHS)
        costs.append(f"{times} ({case.title})")
    yield f"The median of {TIMES} partials took {', '.join(costs)}."


def variants(*, prefix: bool, revises: bool) -> dict[str, PartialOptions]:
    """Every delay, and the default one changed: for engines that can or cannot do this."""
    default = DELAYS[DEFAULT_DELAY]
    found = {UNSET: SETTLED} if revises else {}
    found |= DELAYS
    hasty = replace(default.stability, agreement=1)
    found[f"{DEFAULT_DELAY}, agreement 1"] = replace(default, stability=hasty)
    if prefix:
        found[f"{DEFAULT_DELAY}, told text forced"] = replace(default, prefix=True)
    return found


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
        f"{options.step:.1f}" if math.isfinite(options.step) else "–",  # noqa: RUF001 - never
        f"{options.stability.agreement}",
        f"{options.stability.held_back}",
        *(_kept(figures(kind)) for kind in kinds),
        per_cent(found.early),
        f"{percentile(found.firsts, 50):.2f}",
        f"{percentile(found.words, 50):.2f}",
    )


def _cases(bench: Bench) -> Iterator[Case]:
    spec, ways = whisper(bench.model(), cpu_threads=1), variants(prefix=True, revises=False)
    yield Case("miniature", spec, 8 if bench.quick else 32, DEFAULT_DELAY, ways)
    if not bench.quick:
        default = UNSET if SPHINX_ABLE.revises else DEFAULT_DELAY
        ways = variants(prefix=SPHINX_ABLE.prefix, revises=SPHINX_ABLE.revises)
        yield Case("PocketSphinx", SPHINX, 12, default, ways)


def _kept(found: Figures) -> str:
    return f"{per_cent(found.begins)} of {found.released}" if found.released else per_cent(math.nan)
