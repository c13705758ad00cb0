"""Turns of a whole recording, and of one that goes on: who is who, and that nobody is ever renamed."""

import numpy as np
import pytest

from gateway.audio.speaker_clusters import BLOCK
from gateway.audio.speaker_model import Voice
from gateway.audio.speaker_reference import KNOWN
from gateway.audio.speakers import KnownSpeaker, SpeakerOptions, SpeakerTracker, tell_apart
from gateway.transcript.speakers import Turn
from tests.audio.voices import People


def _speakers(turns: list[Turn]) -> list[int | str]:
    return [turn.speaker for turn in turns]


def test_whole_recording() -> None:
    """Two chunks of two people who take turns; short ones go to the nearest voice; silence has nobody."""
    crowd = People(2)
    short = crowd.says(1, 9.0, 0.5)

    first, silence, second = tell_apart(
        [[*crowd.talk(0, 1, 0), *short], [], crowd.talk(1, 0)], SpeakerOptions()
    )

    assert silence == []
    assert _speakers(first) == [first[0].speaker, first[1].speaker, first[0].speaker, first[1].speaker]
    assert first[0].speaker != first[1].speaker
    assert _speakers(second) == [first[1].speaker, first[0].speaker]
    assert [(turn.start, turn.end) for turn in second] == [(0.0, 3.0), (3.0, 6.0)]


def test_nothing_said() -> None:
    """No voices, no turns."""
    assert tell_apart([[], []], SpeakerOptions()) == [[], []]
    assert SpeakerTracker(SpeakerOptions()).follow([]) == []


@pytest.mark.parametrize("online", [False, True])
def test_known_speakers(*, online: bool) -> None:
    """A voice near a reference has its name, a stranger none."""
    crowd = People(3)
    ann, bo = crowd.centres[0], crowd.centres[1]
    # By telephone each would be the other.
    known = (KnownSpeaker("Ann", ann, KNOWN, bo, KNOWN), KnownSpeaker("Bo", bo, KNOWN, ann, KNOWN))
    options = SpeakerOptions(known)
    chunks = [crowd.talk(1, 2), crowd.talk(0, 2, 1)]

    if online:
        tracker = SpeakerTracker(options)
        turns = [tracker.follow(chunk) for chunk in chunks]
    else:
        turns = tell_apart(chunks, options)

    stranger = turns[0][1].speaker
    assert isinstance(stranger, int)
    assert [_speakers(each) for each in turns] == [["Bo", stranger], ["Ann", stranger, "Bo"]]


def test_two_names_for_one_voice() -> None:
    """A stream keeps the one that it gave first, whichever reference is nearer later."""
    crowd = People(1, seed=12)
    random = np.random.default_rng(12)
    names = []
    for name in ("Ann", "Anna"):
        near = crowd.centres[0] + 0.3 * random.standard_normal(192).astype(np.float32) / 14
        near /= np.linalg.norm(near)
        names.append(KnownSpeaker(name, near, KNOWN, near, KNOWN))
    tracker = SpeakerTracker(SpeakerOptions(tuple(names)))

    told = {speaker for _ in range(30) for speaker in _speakers(tracker.follow(crowd.says(0, 0.0, 1.5)))}
    whole = {turn.speaker for turn in tell_apart([crowd.talk(0, 0)], SpeakerOptions(tuple(names)))[0]}

    assert len(told) == len(whole) == 1
    assert told | whole <= {"Ann", "Anna"}


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_a_number_that_is_not_true(count: int) -> None:
    """Of two people one can be made, and not more than asked for; nothing fails."""
    crowd = People(2, seed=13)
    chunks = [crowd.talk(0, 1), crowd.talk(1, 0)]
    tracker = SpeakerTracker(SpeakerOptions(count=count))

    whole = {turn.speaker for turns in tell_apart(chunks, SpeakerOptions(count=count)) for turn in turns}
    followed = {turn.speaker for chunk in chunks for turn in tracker.follow(chunk)}

    assert min(count, 2) <= len(whole) <= count
    assert len(followed) == min(count, 2)


def test_tracker_tells_people_apart() -> None:
    """Twenty chunks of three people: each keeps the number that they had first."""
    crowd = People(3, seed=4)
    tracker = SpeakerTracker(SpeakerOptions())
    told = dict[int | str, set[int]]()

    for number in range(20):
        people = [number % 3, (number + 1) % 3] if number > 4 else [number % 2, (number + 1) % 2]
        for person, turn in zip(people, tracker.follow(crowd.talk(*people)), strict=True):
            told.setdefault(turn.speaker, set()).add(person)

    assert sorted(map(sorted, told.values())) == [[0], [1], [2]]


def test_a_new_speaker_needs_two_windows() -> None:
    """One window of a new voice is given to the nearest; with the second it is somebody new."""
    crowd = People(2, seed=5)
    tracker = SpeakerTracker(SpeakerOptions())
    first = tracker.follow(crowd.talk(0))
    doubtful = tracker.follow(crowd.says(1, 0.0, 1.0))
    sure = tracker.follow(crowd.says(1, 0.0, 1.5))

    assert _speakers(doubtful) == _speakers(first)
    assert sure[0].speaker not in _speakers(first)


def test_most_speakers_while_it_goes_on() -> None:
    """Nobody new beyond the number that was given."""
    crowd = People(4, seed=6)
    tracker = SpeakerTracker(SpeakerOptions(most=2))

    turns = [turn for _ in range(3) for turn in tracker.follow(crowd.talk(0, 1, 2, 3))]

    assert {turn.speaker for turn in turns} == {0, 1}


def test_tracker_forgets_windows_but_no_speaker() -> None:
    """Who was silent for longer than windows are kept is known again; memory has a bound."""
    crowd = People(2, seed=7)
    tracker = SpeakerTracker(SpeakerOptions())
    (first,) = tracker.follow(crowd.talk(0))
    for _ in range(1 + BLOCK // 40):
        (other,) = tracker.follow(crowd.says(1, 0.0, 30.0))
    (again,) = tracker.follow(crowd.talk(0))

    assert other.speaker != first.speaker == again.speaker
    assert len(tracker._recent) <= BLOCK


def test_narrow_band_is_told_more_tightly() -> None:
    """On the telephone two people are as near as one and the same elsewhere."""
    random = np.random.default_rng(8)
    channel = random.standard_normal(192)

    def voice(person: np.ndarray[tuple[int], np.dtype[np.float64]], *, narrow: bool) -> Voice:
        voice = 1.02 * channel / 14 + person / 14 + 0.75 * random.standard_normal(192) / 14
        unit = (voice / np.linalg.norm(voice)).astype(np.float32)
        return Voice(0, 1, unit, is_narrow=narrow)

    people = random.standard_normal((2, 192))
    for narrow, expected in ((True, 2), (False, 1)):
        voices = [voice(people[at % 2], narrow=narrow) for at in range(40)]
        (turns,) = tell_apart([voices], SpeakerOptions())

        assert len({turn.speaker for turn in turns}) == expected


def test_known_speaker_by_telephone() -> None:
    """What came by telephone is compared with the reference as a telephone carries it."""
    crowd = People(2, seed=9)
    ann, bo = crowd.centres
    known = (KnownSpeaker("Ann", ann, KNOWN, bo, KNOWN),)

    (turns,) = tell_apart([crowd.says(1, 0.0, 6.0, narrow=True)], SpeakerOptions(known))

    assert _speakers(turns) == ["Ann"]


@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_ever_renamed(seed: int) -> None:
    """What a stream was told of a chunk is what it would have been told had it ended there, and stays so."""
    crowd = People(4, seed=seed, scatter=1.2)
    random = np.random.default_rng(seed)
    chunks = [
        crowd.talk(*random.integers(0, 4, 3).tolist(), seconds=random.uniform(0.8, 5)) for _ in range(12)
    ]
    whole, told = SpeakerTracker(SpeakerOptions()), list[tuple[list[Turn], list[Turn]]]()

    for number, chunk in enumerate(chunks):
        turns = whole.follow(chunk)
        told.append((turns, list(turns)))
        again = SpeakerTracker(SpeakerOptions())
        assert [again.follow(each) for each in chunks[: number + 1]][-1] == turns

    assert all(now == then for now, then in told)
    # Numbers come in order of appearance, so that letters do.
    firsts = list(dict.fromkeys(turn.speaker for turns, _ in told for turn in turns))
    assert sorted(map(int, firsts)) == list(range(len(firsts)))
