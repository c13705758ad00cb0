"""Speech and hypotheses to events and orders, without a loop: scripted speech, answers as the test says."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import cast

import pytest

from gateway.audio.speaker_model import SpeakerModel
from gateway.audio.turns import TurnMode, TurnOptions
from gateway.audio.types import SAMPLE_RATE
from gateway.errors import EngineFailedError, GatewayError, OverloadedError, UnavailableError
from gateway.flow.options import LiveOptions
from gateway.flow.orders import Final, Partial
from gateway.flow.pacing import PARTIALS_UNTIL
from gateway.flow.speakers import Speakers
from gateway.flow.utterance import UNTIL_TEXT
from gateway.transcript import Hypothesis
from gateway.transcript.events import (
    BufferCleared,
    BufferCommitted,
    ItemCompleted,
    ItemDelta,
    ItemFailed,
    ItemSegment,
    LiveEvent,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from gateway.transcript.speakers import Turn
from gateway.transcript.writing import MAX_SILENCE_SECONDS
from tests.fake_recognizer import say
from tests.flow.desk import PARTIALS, Desk, all_wait, broken, finals_wait, options
from tests.flow.speech import Script, words_of

TWO: Script = [(0.0, 0.5), (1.0, 2.0), (0.0, 1.5), (1.0, 2.0), (0.0, 6.0)]
"""Two utterances."""

MANUAL = TurnOptions(TurnMode.MANUAL)


def check(events: list[LiveEvent]) -> None:
    """What holds of every session: items one after the other, deltas before their end."""
    ended: list[str] = []
    committed: list[str] = []
    open_item: str | None = None
    for event in events:
        match event:
            case BufferCommitted(item_id):
                committed.append(item_id)
            case ItemDelta(item_id):
                assert item_id not in ended
                assert open_item in {None, item_id}
                open_item = item_id
            case ItemCompleted(item_id) | ItemFailed(item_id):
                assert item_id in committed
                assert item_id not in ended
                assert open_item in {None, item_id}
                open_item = None
                ended.append(item_id)
    assert ended == committed[: len(ended)]


def test_two_utterances() -> None:
    """Text while people speak, each item's deltas join to its transcript, its events in their order."""
    desk = Desk(options(), TWO)
    desk.hear(8)

    assert desk.completed() == {"item0": desk.text("item0"), "item1": desk.text("item1")}
    assert desk.text("item0") == "w0 w1 w2 w3"
    first = [event for event in desk.events if getattr(event, "item_id", None) == "item0"]
    assert isinstance(first[0], SpeechStarted)
    assert first[0].seconds == pytest.approx(0.2, abs=0.04)
    assert isinstance(first[1], ItemDelta)
    stopped = next(event for event in first if isinstance(event, SpeechStopped))
    assert stopped.seconds == pytest.approx(3.0, abs=0.1)
    kinds = [type(event) for event in first if not isinstance(event, ItemDelta)]
    assert kinds == [SpeechStarted, SpeechStopped, BufferCommitted, ItemCompleted]
    assert desk.turns.is_idle
    check(desk.events)


def test_the_pauses_hypothesis_is_the_final() -> None:
    """Nothing is decoded twice where nothing more is said; the words of the pause come before the end."""
    desk = Desk(options(), TWO)
    desk.hear(2.9)
    assert not desk.of(BufferCommitted)
    before = desk.text("item0")
    desk.hear(5)

    assert len(desk.finals) == 2
    assert before.startswith("w0 w1 w2")
    assert desk.completed()["item0"].startswith(before)


def test_the_pauses_hypothesis_may_come_after_the_end() -> None:
    """The turn is over before the engine answers: its text follows."""
    desk = Desk(options(partials=None), TWO, finals_wait)
    desk.hear(3.5)
    assert desk.of(BufferCommitted)
    [final] = desk.finals
    assert desk.turns.undecided == 1
    desk.answer(final)

    assert list(desk.completed()) == ["item0"]
    assert desk.turns.undecided == 0


def test_speech_that_goes_on_is_decoded_again() -> None:
    """The hypothesis of a pause that was none is not the final; it is cancelled where it is no use."""
    script: Script = [(1.0, 2.0), (0.0, 0.4), (1.0, 1.0), (0.0, 0.4), (1.0, 1.0), (0.0, 3.0)]
    desk = Desk(options(), script, finals_wait)
    desk.hear(6)
    assert [final in desk.cancelled for final in desk.finals] == [True, True, False]
    desk.answer(desk.finals[-1])

    whole = words_of(desk.finals[-1].chunk).segments[0].text.strip()
    assert desk.completed() == {"item0": whole}
    assert desk.turns.is_idle


def test_finals_out_of_order() -> None:
    """They are emitted in order; deltas of one item never come between another's."""
    script = [*TWO[:-1], (0.0, 1.5), (1.0, 2.0), (0.0, 3.0)]
    desk = Desk(options(), script, finals_wait)
    desk.hear(11)
    assert len(desk.of(BufferCommitted)) == len(desk.finals) == 3
    for final in reversed(desk.finals):
        assert not desk.completed()
        desk.answer(final)

    assert list(desk.completed()) == ["item0", "item1", "item2"]
    assert all(desk.text(item_id) == transcript for item_id, transcript in desk.completed().items())
    check(desk.events)


def test_partials_wait_for_their_turn() -> None:
    """Those of an item are decoded while an earlier one has something to emit, and told behind it at once."""
    desk = Desk(options(), [(1.0, 2.0), (0.0, 1.0), (1.0, 4.0)], finals_wait)
    desk.hear(7)
    assert not desk.text("item1")
    desk.answer(desk.finals[0])
    said = desk.text("item1")
    desk.hear(0.5)

    assert list(desk.completed()) == ["item0"]
    assert said
    check(desk.events)


def test_one_partial_in_flight() -> None:
    """However long it takes; what it says is emitted once it is there."""
    desk = Desk(options(), [(1.0, 20.0)], all_wait)
    desk.hear(5)
    assert len(desk.partials) == 1
    desk.answer(desk.partials[0], say("a b"))
    desk.hear(0.5)
    assert len(desk.partials) == 2
    desk.answer(desk.partials[1], say("a b c"))

    assert desk.text("item0") == "a b"
    assert desk.partials_counted("decoded") == 2


@pytest.mark.parametrize("took", [0.0, 1.0, 2.0])
def test_partials_thin_out_where_they_take_long(took: float) -> None:
    """The next has more new audio, so that the engine breathes between two, once there is text."""
    desk = Desk(options(), [(1.0, 20.0)], all_wait)
    ends: list[float] = []
    while len(ends) < 3:
        known = len(desk.partials)
        while len(desk.partials) == known:
            desk.hear(0.1)
        desk.now += took
        desk.answer(desk.partials[-1])
        if desk.text("item0"):
            ends.append(desk.partials[-1].chunk.end / SAMPLE_RATE)

    steps = [ends[1] - ends[0], ends[2] - ends[1]]
    assert steps == [pytest.approx(max(PARTIALS.step, PARTIALS.breath * took), abs=0.05)] * 2


def test_partials_stop_under_load_and_finals_go_on() -> None:
    """As long as finals elsewhere take too long; none is decoded in a pause either."""
    desk = Desk(options(), TWO)
    with desk.load.final(counts=True):
        desk.now += PARTIALS_UNTIL + 1
        desk.hear(3.2)

        assert desk.partials == []
        assert desk.partials_counted("dropped") > 0
        assert list(desk.completed()) == ["item0"]
        assert len(desk.finals) == 1
    desk.now += 60
    desk.hear(5)

    assert desk.partials != []
    assert list(desk.completed()) == ["item0", "item1"]


@pytest.mark.parametrize("error", [OverloadedError("full"), EngineFailedError("broken")])
def test_a_partial_that_fails_is_no_error(error: GatewayError) -> None:
    """The next is decoded, and the final."""
    desk = Desk(options(), TWO, lambda order: error if isinstance(order, Partial) else words_of(order.chunk))
    desk.hear(8)

    assert list(desk.completed()) == ["item0", "item1"]
    assert len(desk.partials) > 2
    assert desk.partials_counted("dropped") == len(desk.partials)
    assert desk.failed() == {}


def test_a_final_that_fails() -> None:
    """The item fails, the next is fine."""
    answers: Iterator[Hypothesis | GatewayError] = iter([EngineFailedError("broken"), say("fine")])
    desk = Desk(options(partials=None), TWO, lambda _: next(answers))
    desk.hear(8)

    assert desk.failed() == {"item0": "broken"}
    assert desk.completed() == {"item1": "fine"}
    check(desk.events)


def test_a_pause_that_cannot_be_decoded_is_tried_again() -> None:
    """Where the queue was full for a moment, the item does not fail for it."""
    refused: list[Final] = []

    def respond(order: Final | Partial) -> Hypothesis | GatewayError:
        if isinstance(order, Final) and not refused:
            refused.append(order)
            return UnavailableError("later")
        return words_of(order.chunk)

    desk = Desk(options(), TWO, respond)
    desk.hear(8)

    assert list(desk.completed()) == ["item0", "item1"]
    assert len(desk.finals) == 3


def test_commits_in_manual_mode() -> None:
    """Items as the client ends them, of silence too; no speech is announced, no partial decoded."""
    desk = Desk(options(MANUAL, partials=None), [(1.0, 1.5), (0.0, 9.0)])
    for _ in range(3):
        desk.hear(1)
        desk.commit()

    with_text = [BufferCommitted, ItemDelta, ItemCompleted]
    assert [type(event) for event in desk.events] == [*with_text, *with_text, BufferCommitted, ItemCompleted]
    assert [bool(text) for text in desk.completed().values()] == [True, True, False]
    assert desk.partials == []
    assert len(desk.finals) == 2


def test_commit_in_mid_speech() -> None:
    """One item ends there, the next begins."""
    desk = Desk(options(), [(1.0, 4.0), (0.0, 5.0)])
    desk.hear(2)
    desk.commit()
    desk.hear(4)

    assert len(desk.finals[0].chunk.samples) == 2 * SAMPLE_RATE
    assert list(desk.completed()) == ["item0", "item1"]
    assert [event.seconds for event in desk.events if isinstance(event, SpeechStarted)] == [0.0, 2.0]
    check(desk.events)


def test_a_commit_of_silence_announces_no_speech() -> None:
    """In server_vad, too."""
    desk = Desk(options(), [(0.0, 9.0)])
    desk.hear(1)
    desk.commit()

    assert [type(event) for event in desk.events] == [BufferCommitted, ItemCompleted]


def test_clear_drops_the_item() -> None:
    """Its orders are cancelled, partial and pause; who speaks on begins another item."""
    script: Script = [(1.0, 30.0), (0.0, 0.3), (1.0, 2.5), (0.0, 0.4), (1.0, 3.0), (0.0, 3.0)]
    desk = Desk(options(MANUAL), script, all_wait)
    desk.hear(33.2, step=0.4)
    assert len(desk.finals) >= 2
    desk.clear()
    assert set(desk.cancelled) == {*desk.finals, *desk.partials}
    assert desk.of(BufferCleared) == [BufferCleared()]
    desk.respond = lambda order: words_of(order.chunk)
    desk.hear(3)
    desk.commit()

    assert list(desk.completed()) == ["item1"]
    assert desk.turns.is_idle


def test_clear_closes_what_was_opened() -> None:
    """A client that was told of speech is told of its end; nothing of the item follows."""
    desk = Desk(options(), [(0.0, 1.0), (1.0, 5.0), (0.0, 3.0)])
    desk.hear(3)
    started = next(event for event in desk.events if isinstance(event, SpeechStarted))
    desk.clear()

    assert desk.of(SpeechStopped) == [SpeechStopped(started.item_id, 3.0)]
    assert [type(event) for event in desk.events[-2:]] == [SpeechStopped, BufferCleared]
    desk.hear(1)
    assert desk.of(BufferCommitted) == []


def test_an_utterance_keeps_the_recognition_of_its_start() -> None:
    """The next one has the new one's."""
    first, second = options(), options()
    desk = Desk(first, TWO)
    desk.hear(1)
    desk.configure(second)
    desk.hear(7)

    assert [final.recognition for final in desk.finals] == [first.recognition, second.recognition]
    assert list(desk.completed()) == ["item0", "item1"]


def test_turns_changed_in_mid_utterance() -> None:
    """Speech whose start was announced has a stop, though the client commits it; its text comes, too."""
    desk = Desk(options(), [(1.0, 2.0), (0.0, 9.0)])
    desk.hear(1)
    desk.configure(options(MANUAL))
    desk.hear(5)
    assert desk.of(SpeechStopped) == []
    desk.commit()

    assert len(desk.of(SpeechStarted)) == len(desk.of(SpeechStopped)) == 1
    assert list(desk.completed()) == ["item0"]


def test_without_a_model() -> None:
    """Speech is announced, nothing else."""
    desk = Desk(LiveOptions(rate=SAMPLE_RATE), TWO)
    desk.hear(8)

    assert [type(event) for event in desk.events] == [SpeechStarted, SpeechStopped, BufferCommitted] * 2


def test_idle_timeout() -> None:
    """The silence becomes an item without text, and is announced as such."""
    desk = Desk(options(TurnOptions(idle=SAMPLE_RATE)), [(0.0, 9.0)])
    desk.hear(1.5)

    idle, committed, completed = desk.events
    assert isinstance(idle, TimeoutTriggered)
    assert (idle.item_id, idle.start) == ("item0", 0.0)
    assert idle.end == pytest.approx(1.0, abs=0.05)
    assert isinstance(committed, BufferCommitted)
    assert isinstance(completed, ItemCompleted)
    assert desk.finals == []


def semantic() -> LiveOptions:
    """With much eagerness."""
    return replace(options(TurnOptions(TurnMode.SEMANTIC_VAD)), eagerness="high")


@pytest.mark.parametrize(("text", "seconds"), [("Is that all?", 0.5), ("I think that", 2.0)])
def test_semantic_turns(text: str, seconds: float) -> None:
    """The silence that ends a turn depends on the words before it."""
    desk = Desk(semantic(), [(1.0, 1.0), (0.0, 9.0)], lambda _: say(text))
    desk.hear(4)

    [stopped] = [event for event in desk.events if isinstance(event, SpeechStopped)]
    assert stopped.seconds == pytest.approx(1.0 + seconds, abs=0.05)
    assert desk.completed() == {"item0": text}
    assert len(desk.finals) == 1


def test_semantic_turns_with_an_engine_that_fails() -> None:
    """The longest silence; the item fails, the session goes on."""
    desk = Desk(semantic(), [(1.0, 1.0), (0.0, 9.0)], broken)
    desk.hear(4)

    [stopped] = [event for event in desk.events if isinstance(event, SpeechStopped)]
    assert stopped.seconds == pytest.approx(1.0 + MAX_SILENCE_SECONDS["high"], abs=0.05)
    assert list(desk.failed()) == ["item0"]


def test_speakers_are_awaited() -> None:
    """A chunk's text waits for its speakers; its segments follow its delta, with names in order."""
    model = cast("SpeakerModel", None)  # nobody hears here
    plain = options().recognition
    assert plain is not None
    told = replace(plain, speakers=Speakers(model), partials=None)
    desk = Desk(replace(options(), recognition=told), TWO)
    desk.hear(8)
    before = [event for event in desk.events if isinstance(event, ItemDelta | ItemCompleted)]
    for order, speaker in zip(desk.to_hear, (7, "Ann"), strict=True):
        desk.events += desk.turns.heard(order, [Turn(0, 9, speaker)])  # type: ignore[arg-type]  # all are events
    segments = [event for event in desk.events if isinstance(event, ItemSegment)]

    assert before == []
    assert [(each.item_id, each.segment.speaker) for each in segments] == [("item0", "A"), ("item1", "Ann")]
    assert desk.completed() == {"item0": desk.text("item0"), "item1": desk.text("item1")}
    kinds = [type(event) for event in desk.events if getattr(event, "item_id", None) == "item0"]
    assert kinds[-3:] == [ItemDelta, ItemSegment, ItemCompleted]


def test_the_first_text_comes_sooner() -> None:
    """Until there is some, partials come twice as often: who begins to speak is waited for."""
    desk = Desk(options(), [(0.0, 1.0), (1.0, 4.0)])
    desk.hear(5, step=0.05)
    first, *ends = (partial.chunk.end / SAMPLE_RATE for partial in desk.partials)

    started = next(event for event in desk.events if isinstance(event, SpeechStarted))
    assert first - started.seconds < 0.9
    gaps = [later - sooner for sooner, later in pairwise([first, *ends])]
    assert gaps[0] == pytest.approx(UNTIL_TEXT * PARTIALS.step, abs=0.06)
    assert all(gap >= PARTIALS.step - 0.01 for gap in gaps[2:])


def test_dips_are_no_pauses() -> None:
    """A word has moments of silence: partials go on through them. In a pause its final takes their place."""
    desk = Desk(options(), [(1.0, 1.0), *[(0.0, 0.1), (1.0, 0.1)] * 10, (0.0, 3.0)])
    desk.hear(6, step=0.05)
    ends = [partial.chunk.end / SAMPLE_RATE for partial in desk.partials]

    assert all(later - sooner < 2 * PARTIALS.step for sooner, later in pairwise(ends))
    assert ends[-1] == pytest.approx(3.0, abs=0.4)
