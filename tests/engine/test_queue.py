"""The queue loses no row and doubles none, keeps the order of preference, is fair and never mixes keys."""

from collections import Counter
from collections.abc import Hashable
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest, Priority
from gateway.engine.queue import FINALS_IN_A_ROW, MAX_RETRY_SECONDS, UNKNOWN_RETRY_SECONDS, BatchQueue
from gateway.engine.row import Row
from gateway.engine.row_turns import NEWCOMERS_IN_A_ROW, Share
from gateway.errors import OverloadedError

LATE = 1e9
"""A time at which whatever waits is due."""


def queue_of(max_rows: int = 1000, max_batch: int = 4, idle_wait: float = 0.005) -> BatchQueue:
    """A queue whose batch key is the beam size."""
    return BatchQueue(max_rows, lambda _: max_batch, lambda options: options.beam_size, idle_wait)


def row_of(
    stream: Hashable, priority: Priority = Priority.FILE, key: int = 1, *, seconds: float = 0.0
) -> Row:
    """A row of silence."""
    samples = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    request = DecodeRequest(samples, DecodeOptions(beam_size=key))
    return Row(request, stream, priority)


def streams_of(batch: list[Row]) -> list[Hashable]:
    """Whose rows a batch holds."""
    return [row.stream for row in batch]


rows = st.builds(
    row_of,
    st.integers(0, 4),
    st.sampled_from(Priority),
    st.integers(1, 2),
)
steps = st.lists(rows | st.sampled_from(["take", "take and fail", "discard"]), max_size=80)


@given(steps, st.integers(1, 5))
def test_each_row_leaves_once_and_batches_obey_the_rules(
    steps: list[Row | Literal["take", "take and fail", "discard"]], max_batch: int
) -> None:
    """Whatever happens, a row leaves by one way, once; a batch is pure, small, and led by preference."""
    queue = queue_of(max_batch=max_batch)
    waiting: set[Row] = set()
    left: list[Row] = []
    led = 0
    for now, step in enumerate(steps):
        if isinstance(step, Row):
            old = queue.put(step, now)
            waiting.add(step)
            if old is not None:
                waiting.remove(old)
                left.append(old)
        elif step == "discard":
            for row in sorted(waiting, key=id)[:1]:
                waiting.remove(row)
                left.append(row)

                queue.discard(row)
                queue.discard(row)

                assert len(queue) == len(waiting)
        else:
            batch = queue.take(LATE)
            finals = [row for row in waiting if row.priority is Priority.LIVE_FINAL]

            assert not finals or batch[0] in finals or led >= FINALS_IN_A_ROW
            led = led + 1 if finals and batch[0] in finals else 0
            assert bool(batch) == bool(waiting)
            assert len(batch) <= (1 if any(row.alone for row in batch) else max_batch)
            assert len({row.key for row in batch}) <= 1
            assert waiting.issuperset(batch)
            if step == "take":
                waiting.difference_update(batch)
                left += batch
            else:
                replaced = queue.put_back(batch)
                waiting.difference_update(replaced)
                left += replaced

        assert len(queue) == len(waiting)
    left += queue.clear()

    assert Counter(left) == Counter(row for row in steps if isinstance(row, Row))


@given(st.integers(1, NEWCOMERS_IN_A_ROW), st.integers(1, 10), st.integers(2, 12))
def test_streams_that_wait_together_take_turns(streams: int, max_batch: int, length: int) -> None:
    """At no time is one of them more than one row ahead of another, however batches are cut."""
    queue = queue_of(max_batch=max_batch)
    for stream in range(streams):
        for _ in range(length):
            queue.put(row_of(stream), 0)
    served: Counter[Hashable] = Counter(dict.fromkeys(range(streams), 0))
    for row in (row for _ in range(streams * length) for row in queue.take(LATE)):
        served[row.stream] += 1

        assert max(served.values()) - min(served.values()) <= 1
    assert served.total() == streams * length


@given(st.lists(rows | st.sampled_from(Share), max_size=80), st.integers(1, 5))
def test_shares_are_taken_apart(steps: list[Row | Share], max_batch: int) -> None:
    """One has live rows and the first of each stream, the other what is left; together they have all."""
    queue = queue_of(max_batch=max_batch)
    waiting: set[Row] = set()
    served: set[Hashable] = set()

    def is_waited_for(row: Row) -> bool:
        if row.priority is Priority.FILE:
            return row.stream not in served
        return row.priority is not Priority.AHEAD

    for now, step in enumerate([*steps, *[Share.WAITED_FOR, Share.REST] * len(steps)]):
        if isinstance(step, Row):
            step.stream = step.stream, step.priority  # a recording is not live, too
            waiting.discard(queue.put(step, now) or step)
            waiting.add(step)
            continue
        batch = queue.take(LATE, share=step)
        waited_for = {row for row in waiting if is_waited_for(row)}
        mine = {Share.ALL: waiting, Share.WAITED_FOR: waited_for, Share.REST: waiting - waited_for}[step]

        assert bool(batch) == bool(mine)
        assert mine.issuperset(batch)
        assert len(batch) <= max_batch
        served |= {row.stream for row in batch if row.priority is Priority.FILE}
        waiting.difference_update(batch)
    assert not waiting
    assert len(queue) == 0


def test_nobody_waits_for_who_is_ahead() -> None:
    """Its first row is one of a recording under way, also where its stream is new."""
    queue = queue_of(max_batch=1)
    queue.put(row_of("long"), 0)
    queue.put(row_of("long"), 0)
    queue.take(LATE)
    queue.put(row_of("ahead", Priority.AHEAD), 1)
    queue.put(row_of("ahead", Priority.AHEAD), 1)
    queue.put(row_of("clip"), 2)

    assert streams_of(queue.take(LATE, share=Share.WAITED_FOR)) == ["clip"]
    assert queue.take(LATE, share=Share.WAITED_FOR) == []
    assert [streams_of(queue.take(LATE, share=Share.REST)) for _ in range(3)] == [
        ["long"],
        ["ahead"],
        ["ahead"],
    ]


def test_which_row_is_the_only_one() -> None:
    """None while there are several; and which would lead is told without taking it."""
    queue = queue_of(max_batch=1)
    assert queue.only is queue.next_lead(Share.ALL) is None
    first, second = row_of("a"), row_of("b", Priority.LIVE_PARTIAL)
    queue.put(first, 0)
    assert queue.only is queue.next_lead(Share.ALL) is first
    queue.put(second, 0)
    assert queue.only is None
    assert queue.next_lead(Share.ALL) is second
    assert queue.take(LATE) == [second]
    assert queue.only is first


def test_a_share_is_spread_over_its_own_places() -> None:
    """However many rows of the other share wait."""
    queue = queue_of(max_batch=8)
    for _ in range(40):
        queue.put(row_of("long"), 0)
    queue.take(LATE)
    for clip in range(4):
        queue.put(row_of(clip), 1)

    assert len(queue.take(LATE, 2, Share.WAITED_FOR)) == 2
    assert len(queue.take(LATE, 8, Share.REST)) == 5


def test_live_finals_among_their_share_let_others_go() -> None:
    """Whatever the other worker takes meanwhile."""
    queue = queue_of(max_batch=1)
    for _ in range(3):
        queue.put(row_of("long"), 0)
    queue.take(LATE)
    queue.put(row_of("clip"), 1)
    for number in range(2 * FINALS_IN_A_ROW):
        queue.put(row_of(number, Priority.LIVE_FINAL), 2)
    order: list[Hashable] = []
    for _ in range(FINALS_IN_A_ROW + 1):
        order += streams_of(queue.take(LATE, share=Share.WAITED_FOR))
        queue.take(LATE, share=Share.REST)

    assert order.index("clip") == FINALS_IN_A_ROW


def test_the_shorter_of_two_newcomers_goes_first() -> None:
    """It is due sooner; but what is longer is not overtaken for longer than it lasts."""
    queue = queue_of(max_batch=1)
    queue.put(row_of("long", seconds=25), 0)
    queue.put(row_of("clip", seconds=3), 20)
    queue.put(row_of("late", seconds=3), 23)

    assert [streams_of(queue.take(LATE)) for _ in range(3)] == [["clip"], ["long"], ["late"]]


@pytest.mark.parametrize("max_batch", [1, 3, 8, 16])
def test_a_clip_beside_long_recordings_is_in_the_next_batch(max_batch: int) -> None:
    """Eight recordings with fifty chunks each are under way; a clip goes with the next batch."""
    queue = queue_of(max_batch=max_batch)
    for number in range(400):
        queue.put(row_of(f"long {number % 8}"), 0)
    for _ in range(9):
        queue.take(LATE)
    queue.put(row_of("clip"), 1)

    assert "clip" in streams_of(queue.take(LATE))


def test_a_clip_beside_long_recordings_has_a_batch_without_them() -> None:
    """Eight more rows would make it longer. Recordings have the next one even if another clip waits."""
    queue = queue_of(max_batch=8)
    for number in range(400):
        queue.put(row_of(f"long {number % 8}"), 0)
    for _ in range(3):
        queue.take(LATE)
    queue.put(row_of("clip"), 1)
    queue.put(row_of("other clip"), 1)

    assert streams_of(queue.take(LATE)) == ["clip", "other clip"]
    queue.put(row_of("next clip"), 2)
    assert len(queue.take(LATE)) == 8


@pytest.mark.parametrize("max_batch", [1, 4])
def test_a_rush_of_clips_does_not_starve_a_recording(max_batch: int) -> None:
    """With more clips than can be served, the recording still gets each ninth place."""
    queue = queue_of(max_batch=max_batch)
    for _ in range(100):
        queue.put(row_of("long"), 0)
    queue.take(LATE)
    served: list[Hashable] = []
    for number in range(90 // max_batch):
        for clip in range(max_batch):
            queue.put(row_of((number, clip)), 1)
        served += streams_of(queue.take(LATE))

    assert served.count("long") == len(served) // (NEWCOMERS_IN_A_ROW + 1)


def test_a_rare_batch_key_gets_its_turn() -> None:
    """A stream whose key nobody shares leads a batch when it is its turn."""
    queue = queue_of(max_batch=4)
    for _ in range(20):
        for stream in range(4):
            queue.put(row_of(stream), 0)
    queue.take(LATE)
    queue.put(row_of("rare", key=2), 0)
    batches = [streams_of(queue.take(LATE)) for _ in range(2)]

    assert ["rare"] in batches


def test_live_finals_go_before_partials_before_files_and_share_their_batch() -> None:
    """The order of arrival does not matter; room left over is filled with the next kind."""
    queue = queue_of(max_batch=3)
    for priority in (Priority.FILE, Priority.LIVE_PARTIAL, Priority.LIVE_FINAL):
        for stream in range(2):
            queue.put(row_of((priority, stream), priority), 0)

    assert [row.priority.name for row in queue.take(LATE)] == ["LIVE_FINAL", "LIVE_FINAL", "LIVE_PARTIAL"]
    assert [row.priority.name for row in queue.take(LATE)] == ["LIVE_PARTIAL", "FILE", "FILE"]


def test_partials_and_files_lead_by_turns() -> None:
    """However many microphones are open, a recording gets on; their finals go before it."""
    queue = queue_of(max_batch=1)
    for number in range(8):
        queue.put(row_of(("live", number), Priority.LIVE_PARTIAL), 0)
        queue.put(row_of("file"), 0)
    leads = [queue.take(LATE)[0].priority.name for _ in range(4)]

    assert leads == ["LIVE_PARTIAL", "FILE", "LIVE_PARTIAL", "FILE"]
    queue.put(row_of("live", Priority.LIVE_FINAL), 0)
    assert queue.take(LATE)[0].priority is Priority.LIVE_FINAL


def test_finals_without_end_leave_recordings_each_ninth_call() -> None:
    """A call of one row has no room that a recording could fill."""
    queue = queue_of(max_batch=1)
    for _ in range(3):
        queue.put(row_of("file"), 0)
    leads = []
    for number in range(3 * (FINALS_IN_A_ROW + 1)):
        queue.put(row_of(("live", number), Priority.LIVE_FINAL), 0)
        leads.append(queue.take(LATE)[0].priority)

    assert leads.count(Priority.FILE) == 3
    assert Priority.FILE not in leads[:FINALS_IN_A_ROW]


def test_what_waits_is_shared_among_the_places_that_are_free() -> None:
    """Two workers that wait take two rows each rather than one of them all four, and at once."""
    queue = queue_of(max_batch=4, idle_wait=0.5)
    for number in range(4):
        queue.put(row_of(number), 0.0)

    assert len(queue.take(0.0, places=2)) == 2
    assert queue.take(0.0, places=1) == []
    assert len(queue.take(0.5, places=1)) == 2


def test_a_newer_partial_takes_the_place_of_the_older() -> None:
    """It does not go to the end, nor does it replace another stream's or a running one."""
    queue = queue_of(max_batch=1)
    old, other, new, newest = (row_of(stream, Priority.LIVE_PARTIAL) for stream in ("a", "b", "a", "a"))

    assert queue.put(old, 0) is None
    assert queue.put(other, 0) is None
    assert queue.put(new, 0) is old
    assert queue.take(LATE) == [new]
    assert queue.put(newest, 0) is None
    assert [queue.take(LATE), queue.take(LATE)] == [[other], [newest]]


def test_a_newer_partial_replaces_one_that_waits_to_be_tried_again() -> None:
    """And is not itself decoded alone, as nothing is known against it."""
    queue = queue_of()
    old, new = (row_of("a", Priority.LIVE_PARTIAL) for _ in range(2))
    queue.put(old, 0)
    queue.put_back(queue.take(LATE))
    replaced = queue.put(new, 1)

    assert replaced is old
    assert queue.take(LATE) == [new]
    assert not new.alone


def test_a_failed_partial_is_not_tried_again_if_a_newer_one_waits() -> None:
    """It is handed back, so that its caller can be told."""
    queue = queue_of()
    old, new = (row_of("a", Priority.LIVE_PARTIAL) for _ in range(2))
    queue.put(old, 0)
    taken = queue.take(LATE)
    queue.put(new, 1)

    assert queue.put_back(taken) == [old]
    assert queue.take(LATE) == [new]
    assert len(queue) == 0


def test_an_idle_worker_waits_a_little_for_company() -> None:
    """The first row sets the time; a full batch, or rows that waited for a worker, need not wait."""
    queue = queue_of(max_batch=3, idle_wait=0.5)

    assert queue.wake_at() is None
    queue.put(row_of("a"), 10.0)
    queue.put(row_of("b"), 10.25)

    assert queue.wake_at() == 10.5
    assert queue.take(10.25) == []
    assert streams_of(queue.take(10.5)) == ["a", "b"]
    for stream in "abc":
        queue.put(row_of(stream), 20.0)

    assert len(queue.take(20.0)) == 3


def test_a_failed_batch_is_tried_again_at_once_row_by_row_and_first() -> None:
    """It needs no company, and comes before what else waits in its class, in the old order."""
    queue = queue_of(idle_wait=0.5)
    first, second = row_of("a"), row_of("b")
    queue.put(first, 0.0)
    queue.put(second, 0.0)
    queue.put_back(queue.take(0.5))
    queue.put(row_of("c"), 0.5)

    assert [queue.take(0.5), queue.take(0.5), queue.take(0.5)] == [[first], [second], []]


def test_a_full_queue_refuses_new_streams_and_lets_those_under_way_finish() -> None:
    """A recording half-way is not ended by a burst of new ones, but there is an end to that, too."""
    queue = queue_of(max_rows=3)
    for _ in range(3):
        queue.put(row_of("a"), 0)
    with pytest.raises(OverloadedError):
        queue.put(row_of("b"), 0)
    for _ in range(3):
        queue.put(row_of("a"), 0)
    with pytest.raises(OverloadedError):
        queue.put(row_of("a"), 0)

    assert len(queue) == 6


def test_a_replacing_partial_and_a_failed_batch_need_no_room() -> None:
    """They were admitted before."""
    queue = queue_of(max_rows=1)
    row = row_of("a", Priority.LIVE_PARTIAL)
    queue.put(row, 0)
    queue.put(row_of("a", Priority.LIVE_PARTIAL), 0)
    taken = queue.take(LATE)
    queue.put(row_of("b"), 0)
    queue.put_back(taken)

    assert len(queue) == 2


@pytest.mark.parametrize(
    ("batches", "expected"),
    [([], UNKNOWN_RETRY_SECONDS), ([0.0, 8.0], 10), ([0.0, 0.01], 1), ([0.0, 1e6], MAX_RETRY_SECONDS)],
    ids=["unknown", "measured", "fast", "slow"],
)
def test_retry_after_follows_the_recent_rate(batches: list[float], expected: int) -> None:
    """Ten rows at a rate of four in four seconds take ten; never below 1 nor beyond what SDKs heed."""
    queue = queue_of(max_rows=10)
    for now in batches:
        for stream in range(4):
            queue.put(row_of(stream), now - 1)
        queue.take(now)
    for _ in range(10):
        queue.put(row_of(0), 8.0)
    with pytest.raises(OverloadedError) as refused:
        queue.put(row_of("b"), batches[-1] if batches else 8.0)

    assert refused.value.retry_after == expected


def test_streams_of_long_ago_are_forgotten() -> None:
    """What the queue remembers of streams is bounded."""
    queue = queue_of(max_rows=5)
    for stream in range(1000):
        queue.put(row_of(stream), 0)
        queue.take(LATE)

    assert len(queue._admitted) <= 20


def test_a_live_final_is_never_refused() -> None:
    """Files and partials fill the queue; what somebody said would be lost."""
    queue = queue_of(max_rows=4)
    for stream in range(4):
        queue.put(row_of(stream, Priority.LIVE_PARTIAL), 0)
    with pytest.raises(OverloadedError):
        queue.put(row_of("file"), 0)
    queue.put(row_of("live", Priority.LIVE_FINAL), 0)

    assert streams_of(queue.take(LATE))[0] == "live"
