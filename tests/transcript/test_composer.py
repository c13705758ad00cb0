"""Chunks that share their ends: text that only grows, early words that stay, nothing twice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript import Assembler, Hypothesis, SegmentDone, TextDelta, TranscriptDone
from gateway.transcript.composer import Composed, Composer
from gateway.transcript.timeline import Stretch, Timeline
from tests.transcript.test_overlap import said


def heard(*segments: tuple[str, float, float]) -> Hypothesis:
    """Of a chunk, whose seconds the times are."""
    return Hypothesis(tuple(said(*segment) for segment in segments), "en", 1.0)


def shared(start: float, end: float, cut: float) -> Timeline:
    """The clock of a chunk from whose second ``cut`` on the next one hears it, too."""
    return Timeline([Stretch.plain(start, end)], cut=cut)


def text(events: list[Composed]) -> str:
    """What they add."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


FIRST = heard(("one two three four", 0, 20), ("five six seven eight nine", 20, 30))
"""Its last words are around the 21st, 23rd, 25th, 27th and 29th second."""


def test_what_is_before_the_cut_comes_at_once() -> None:
    """The rest waits for the next chunk; a segment is done when all of its words are known."""
    composer = Composer()
    first = composer.add(FIRST, shared(0, 30, 26))
    second = composer.add(heard(("eight nine ten.", 0, 6)), Timeline([Stretch.plain(26, 32)]))

    assert text(first) == "one two three four five six seven"
    assert [event.segment.text for event in first if isinstance(event, SegmentDone)] == [
        " one two three four"
    ]
    assert text(second) == " eight nine ten"
    assert [event.segment.text for event in second if isinstance(event, SegmentDone)] == [
        " five six seven eight"
    ]
    assert text(composer.flush()) == "."


def test_times_and_seeks_are_those_of_each_word_s_own_chunk() -> None:
    """Before the seam the first one's clock counts, after it the second one's."""
    assembler = Assembler()
    assembler.add(FIRST, shared(100, 130, 26))
    assembler.add(heard(("eight nine ten", 0, 6)), Timeline([Stretch.plain(126, 132)]))
    done = assembler.finish(140)

    words = [word for segment in done.transcript.segments for word in segment.words]
    assert [word.text.strip() for word in words] == "one two three four five six seven eight nine ten".split()
    assert all(before.end <= after.start for before, after in pairwise(words))
    assert [segment.seek for segment in done.transcript.segments] == [10_000, 10_000, 12_600]


def test_what_waits_comes_where_nothing_follows() -> None:
    """The recording ended with the chunk, or the next one holds no text."""
    alone, silent = Composer(), Composer()
    first = [*alone.add(FIRST, shared(0, 30, 26)), *alone.flush()]
    second = silent.add(FIRST, shared(0, 30, 26))
    second += silent.add(heard(), Timeline([Stretch.plain(26, 50)]))

    assert text(first) == text(second) == "one two three four five six seven eight nine"


def test_a_copy_goes_on_by_itself() -> None:
    """What it is told changes nothing in the first one, whose tail still waits."""
    composer = Composer()
    composer.add(FIRST, shared(0, 30, 26))
    other = composer.copied()
    follows = heard(("eight nine ten", 0, 6))

    assert text(other.add(follows, Timeline([Stretch.plain(26, 32)]))) == " eight nine ten"
    assert text(composer.add(follows, Timeline([Stretch.plain(26, 32)]))) == " eight nine ten"


def test_a_stop_before_a_seam_without_a_common_word_is_held() -> None:
    """As at any other end of a chunk."""
    composer = Composer()
    events = composer.add(heard(("so it was the room.", 20, 30)), shared(0, 30, 28.5))
    events += composer.add(heard(("articulated well", 0, 4)), Timeline([Stretch.plain(28.5, 33)]))

    assert text(events) == "so it was the room articulated well"


@given(st.lists(st.sampled_from("a. b, c D e f".split()), min_size=1, max_size=30), st.data())
def test_deltas_are_the_text(words: list[str], data: st.DataObject) -> None:
    """Whatever chunks share and hear there, the deltas, the tokens' bytes and the text are the same."""
    assembler = Assembler()
    events: list[Composed] = []
    for number in range(data.draw(st.integers(1, 4))):
        count = data.draw(st.integers(0, len(words)))
        cut = data.draw(st.one_of(st.none(), st.floats(10, 29)))
        text = " ".join(words[:count])
        timeline = Timeline([Stretch.plain(number * 20, number * 20 + 30)], cut)
        events += assembler.add(heard((text, 0, 30)) if text else heard(), timeline)
    events += assembler.flush()
    done = assembler.finish(100)

    assert isinstance(done, TranscriptDone)
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(delta.text for delta in deltas) == done.transcript.text
    assert b"".join(token.raw for token in done.transcript.tokens).decode() == done.transcript.text
    told = "".join(segment.text for segment in done.transcript.segments)
    assert done.transcript.text.split() == told.split()
    indexes = [event.index for event in events if isinstance(event, SegmentDone)]
    assert indexes == list(range(len(done.transcript.segments)))
