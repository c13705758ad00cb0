"""Ways to decide what is told, and what is made of their figures."""

from bench.realtime import Item, Session
from bench.replay import DEFAULT_DELAY, DELAYS
from bench.sessions import figures
from bench.stages.live_policy import COLUMNS, row, target, variants
from bench.talk import make_turns, phrases


def _session(told: str, final: str, *, released: int = 1) -> Session:
    item = Item(1.0, 3.0, [(2.0, told), (3.5, "")], released, 3.5, final)
    return Session((), items=[item])


def test_the_servers_delays_are_compared() -> None:
    """As they are, and the default one with one thing changed."""
    found = variants()
    default = DELAYS[DEFAULT_DELAY]
    trusting = found[f"{DEFAULT_DELAY}, however unsure"]
    hasty = found[f"{DEFAULT_DELAY}, agreement 1"]

    assert {name: found[name] for name in DELAYS} == DELAYS
    assert trusting.stability.sure == 0 < default.stability.sure
    assert trusting.stability.agreement == default.stability.agreement
    assert hasty.stability.agreement == 1
    assert (hasty.step, hasty.stability.held_back) == (default.step, default.stability.held_back)


def test_turns_of_one_phrase_and_of_several_are_told_apart() -> None:
    """Each kind has its share of finals that were kept to."""
    turns = make_turns(phrases(), 2)
    sessions = [_session("Open", "Open it."), _session("Open", "Open it."), _session("Shut", "Open it.")]
    cells = dict(zip(COLUMNS, row("low", DELAYS["low"], turns, sessions), strict=True))

    assert [turn.is_joined for turn in turns] == [False, False, True]
    assert cells["kept, one phrase"] == "100.0 % of 2"
    assert cells["kept, several"] == "0.0 % of 1"
    assert cells["told early"] == "100.0 %"


def test_the_target_is_what_was_kept_to() -> None:
    """Text that was taken back misses it, and no text told early cannot."""
    kept, broken = _session("Open", "Open it."), _session("Shut", "Open it.")

    assert target("", figures([kept] * 19 + [broken])).reached
    assert not target("", figures([kept] * 18 + [broken])).reached
    assert target("", figures([_session("Shut", "Open it.", released=0)])).reached
