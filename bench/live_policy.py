"""Which words are told while somebody speaks: how soon, and how often the final text takes them back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.live_decoder import LENGTHS, TIMES
from bench.live_figures import Figures, figures, percentile
from bench.live_replays import replay
from bench.live_table import per_cent
from bench.live_turns import Turn, make_turns
from bench.realtime_client import Session
from bench.report import Bench, Report, Target
from bench.table import Table
from bench.talk import phrases
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.process import ProcessSpec
from gateway.engine.sphinx import SphinxEngine, SphinxSpec
from gateway.engine.whisper.engine import WhisperSpec
from gateway.flow.options import PartialOptions
from gateway.server.live_options import _DEFAULT_DELAY, _DELAYS, _SETTLED

LEAST_KEPT = 0.95

UNSET = "unset"

_NOTE = (
    "The gateway's segmenter, utterances, stable text and engine, without server or clock. Turns of one "
    "phrase, and of two or three with breaths of 0.1 to 0.4 s between them, come in pieces of 0.1 s; their "
    "position is the time, and a decode takes the engine's CPU time in one thread: the median of {times} "
    "partials was {costs}. *Kept*: of the finals with text told before the utterance's end, those that begin "
    "with it. *Told early*: of all utterances, those with such text. *First text*: from the utterance's "
    "start, 0.3 s of padding included, to its first delta. *Words*: from a word's true end to the delta that "
    "has it. Both are medians over all, texts told by the final included."
)

_UNSET_NOTE = f"*{UNSET.capitalize()}*: no `delay` is asked of a model that hears speech that goes on anew."


@dataclass(frozen=True, slots=True)
class _Case:
    """An engine, the ways to decide what it tells, and which is its default."""

    title: str
    spec: ProcessSpec
    singles: int
    """Turns of one phrase; half as many have several."""
    default: str
    variants: Mapping[str, PartialOptions]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant made of all turns."""

    turns: Sequence[Turn]
    sessions: Sequence[Session]

    def figures(self, *, joined: bool | None = None) -> Figures:
        """Of all turns, or of those that have several phrases, or have not."""
        pairs = zip(self.turns, self.sessions, strict=True)
        return figures([session for turn, session in pairs if joined in {None, turn.is_joined}])


def run(bench: Bench) -> Report:
    """The miniature; in full also PocketSphinx."""
    tables, targets, costs = list[Table](), list[Target](), list[str]()
    cases = _cases(bench)
    for case in cases:
        turns = make_turns(phrases(), case.singles)
        cost, sessions = replay(case.spec, turns, case.variants)
        outcomes = {name: Outcome(turns, sessions[name]) for name in case.variants}
        tables.append(_table(case, turns, outcomes))
        targets.append(target(f"{case.title}, {case.default}", outcomes[case.default].figures()))
        times = " and ".join(f"{cost.partial.of(s * SAMPLE_RATE):.2f} s for {s} s" for s in LENGTHS)
        costs.append(f"{times} ({case.title})")
    notes = [_NOTE.format(times=TIMES, costs=", ".join(costs))]
    if any(UNSET in case.variants for case in cases):
        notes.append(_UNSET_NOTE)
    return Report(tables, targets, notes)


def variants(*, prefix: bool, revises: bool) -> dict[str, PartialOptions]:
    """Every delay, and the default one changed: for engines that can or cannot do this."""
    default = _DELAYS[_DEFAULT_DELAY]
    found = {UNSET: _SETTLED} if revises else {}
    found |= _DELAYS
    hasty = replace(default.stability, agreement=1)
    found[f"{_DEFAULT_DELAY}, agreement 1"] = replace(default, stability=hasty)
    if prefix:
        found[f"{_DEFAULT_DELAY}, told text forced"] = replace(default, prefix=True)
    return found


def target(name: str, found: Figures) -> Target:
    """Where nothing is told early, nothing is taken back."""
    return Target(
        f"{name}: {100 * LEAST_KEPT:.0f} % of the finals begin with what was told early",
        _kept(found) if found.released else "nothing is told early",
        not found.begins < LEAST_KEPT,
    )


def _cases(bench: Bench) -> list[_Case]:
    whisper = WhisperSpec("miniature", bench.miniature, cpu_threads=1)
    whispers = variants(prefix=True, revises=False)
    cases = [_Case("miniature", whisper, 8 if bench.quick else 32, _DEFAULT_DELAY, whispers)]
    if not bench.quick:
        able = SphinxEngine.capabilities
        default = UNSET if able.revises else _DEFAULT_DELAY
        sphinx = variants(prefix=able.prefix, revises=able.revises)
        cases.append(_Case("PocketSphinx", SphinxSpec(), 12, default, sphinx))
    return cases


def _table(case: _Case, turns: Sequence[Turn], outcomes: Mapping[str, Outcome]) -> Table:
    joined = sum(turn.is_joined for turn in turns)
    columns = (
        "delay",
        "step, s",
        "agreement",
        "held back",
        "kept, one phrase",
        "kept, several",
        "told early",
        "first text, s",
        "words, s",
    )
    return Table(
        f"{case.title}, {len(turns) - joined} turns of one phrase, {joined} of several",
        columns,
        tuple(_row(name, case.variants[name], outcome) for name, outcome in outcomes.items()),
    )


def _kept(found: Figures) -> str:
    return f"{per_cent(found.begins)} of {found.released}" if found.released else per_cent(math.nan)


def _row(name: str, options: PartialOptions, outcome: Outcome) -> tuple[str, ...]:
    found = outcome.figures()
    return (
        name,
        f"{options.step:.1f}" if math.isfinite(options.step) else "–",  # noqa: RUF001 - never
        f"{options.stability.agreement}",
        f"{options.stability.held_back}",
        *(_kept(outcome.figures(joined=joined)) for joined in (False, True)),
        per_cent(found.early),
        f"{percentile(found.firsts, 50):.2f}",
        f"{percentile(found.words, 50):.2f}",
    )
