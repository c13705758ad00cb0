"""Live utterances from scripted probabilities: where they begin, pause and end, whatever the client does."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audio.chunker import OFFSET_PADDING
from gateway.audio.frontend import FrontEnd
from gateway.audio.loudness import HOP, normalise
from gateway.audio.segmenter import ENOUGH, KEPT, PAUSE, Segmenter
from gateway.audio.silero import FRAME, SileroModel
from gateway.audio.turns import (
    ChunkReady,
    IdleTimeout,
    SegmenterEvent,
    TurnMode,
    TurnOptions,
    UtteranceEnded,
    UtterancePaused,
    UtteranceStarted,
)
from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Chunk, Samples
from gateway.audio.vad import ONSET_PATIENCE, VadOptions
from tests.audio.sound import ScriptedFrontEnd

Script: TypeAlias = list[tuple[float, int]]
"""(probability, frames)"""

Action: TypeAlias = Callable[[Segmenter], list[SegmenterEvent] | None]

SERVER = TurnOptions()
SEMANTIC = TurnOptions(TurnMode.SEMANTIC_VAD)
MANUAL = TurnOptions(TurnMode.MANUAL)
PREFIX = SERVER.vad.prefix_samples
LATE = HOP + FRAME
"""The detector is fewer samples than this behind what was fed."""


def scripted(script: Script) -> ScriptedFrontEnd:
    """Hears as the script says, in hops like the gain's."""
    return ScriptedFrontEnd([p for p, frames in script for _ in range(frames)], hop=HOP)


def at(script: Script, index: int) -> int:
    """The sample at which a part of the script begins."""
    return sum(frames for _, frames in script[:index]) * FRAME


def noise(script: Script) -> Samples:
    """A stream as long as the script, and what the detector needs to get to its end."""
    count = at(script, len(script)) + LATE
    return np.random.default_rng(7).standard_normal(count).astype(np.float32) * np.float32(0.1)


def hear(
    script: Script,
    options: TurnOptions = SERVER,
    *,
    actions: Iterable[tuple[int, Action]] = (),
    cuts: Iterable[int] = (),
    patience: Callable[[Chunk], int] = lambda _: SAMPLE_RATE,
) -> list[SegmenterEvent]:
    """All events of a scripted stream. What a pause's words suggest is ``patience``."""
    samples = noise(script)
    segmenter = Segmenter(scripted(script), options)
    events: list[SegmenterEvent] = []
    todo = sorted(actions, key=lambda action: action[0])
    position = 0
    for end in sorted({*cuts, *(place for place, _ in todo), len(samples)}):
        events += segmenter.feed(samples[position:end])
        position = end
        _answer(segmenter, events, patience)
        while todo and todo[0][0] == end:
            events += todo.pop(0)[1](segmenter) or []
    return events


def _answer(
    segmenter: Segmenter,
    events: list[SegmenterEvent],
    patience: Callable[[Chunk], int] = lambda _: SAMPLE_RATE,
) -> None:
    while segmenter.waiting:
        pause = next(event for event in reversed(events) if isinstance(event, UtterancePaused))
        events += segmenter.advance(patience(pause.chunk))


def chunks(events: list[SegmenterEvent]) -> list[Chunk]:
    """Those that are complete."""
    return [event.chunk for event in events if isinstance(event, ChunkReady)]


def spans(events: list[SegmenterEvent]) -> list[tuple[int, int, int]]:
    """Utterance, start and end of each complete chunk."""
    found: list[tuple[int, int, int]] = []
    utterance = -1
    for event in events:
        if isinstance(event, UtteranceStarted):
            utterance += 1
        elif isinstance(event, ChunkReady):
            found.append((utterance, event.chunk.start, event.chunk.end))
    return found


def kinds(events: list[SegmenterEvent]) -> str:
    """S, P, C, E, I: the events in a word."""
    letters = {
        UtteranceStarted: "S",
        UtterancePaused: "P",
        ChunkReady: "C",
        UtteranceEnded: "E",
        IdleTimeout: "I",
    }
    return "".join(letters[type(event)] for event in events)


def plain(events: list[SegmenterEvent]) -> list[tuple[object, ...]]:
    """The events, comparable."""
    return [
        (type(event), *_fields(event.chunk))
        if isinstance(event, (ChunkReady, UtterancePaused))
        else (type(event), event)
        for event in events
    ]


def _fields(chunk: Chunk) -> tuple[object, ...]:
    return (chunk.start, chunk.samples.tobytes(), chunk.ends_utterance)


def test_one_utterance() -> None:
    """Prefix before, padding behind, paused after 256 ms, ended after the silence, one frame counted in."""
    script = [(0.0, 40), (1.0, 30), (0.0, 40)]
    events = hear(script)
    onset, offset = at(script, 1), at(script, 2)

    assert kinds(events) == "SPCE"
    assert events[0] == UtteranceStarted(onset - PREFIX)
    assert spans(events) == [(0, onset - PREFIX, offset + OFFSET_PADDING)]
    # 500 ms, counted from the end of the first silent frame.
    assert events[-1] == UtteranceEnded(offset + 17 * FRAME)
    [chunk] = chunks(events)
    assert np.array_equal(chunk.samples, normalise(noise(script)[chunk.start : chunk.end]))


def test_a_pause_is_told_at_256_ms() -> None:
    """Not a frame later, and only once."""
    script = [(0.0, 40), (1.0, 30), (0.0, 40)]
    samples, segmenter = noise(script), Segmenter(scripted(script), SERVER)
    # The gain before the detector goes by whole hops.
    heard = -(-(at(script, 2) + PAUSE) // HOP) * HOP

    assert kinds(segmenter.feed(samples[: heard - 1])) == "S"
    assert kinds(segmenter.feed(samples[heard - 1 : heard])) == "P"
    assert kinds(segmenter.feed(samples[heard:])) == "CE"


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, replace(MANUAL, max_pause=SAMPLE_RATE // 2)])
def test_a_pause_shows_the_chunk_to_come(options: TurnOptions) -> None:
    """If nothing more is said, what was told in the pause is the chunk, bit for bit."""
    events = hear([(0.0, 5), (1.0, 30), (0.0, 60)], options)

    [pause] = [event for event in events if isinstance(event, UtterancePaused)]
    [chunk] = chunks(events)
    assert _fields(pause.chunk) == _fields(chunk)


def test_utterances_do_not_overlap() -> None:
    """The prefix of one never reaches into the chunk before; two pauses within one are told both."""
    options = TurnOptions(vad=VadOptions(prefix_padding_ms=2000, silence_duration_ms=500))
    events = hear([(0.0, 9), (1.0, 20), (0.0, 10), (1.0, 20), (0.0, 19), (1.0, 20), (0.0, 40)], options)
    first, second = chunks(events)

    assert kinds(events) == "SPPCESPCE"
    assert first.start == 0
    assert second.start == first.end


def test_a_silence_of_no_length() -> None:
    """With no silence asked for, an utterance ends with its speech, never paused before."""
    options = TurnOptions(vad=VadOptions(silence_duration_ms=0))

    assert kinds(hear([(0.0, 9), (1.0, 20), (0.0, 10), (1.0, 20), (0.0, 10)], options)) == "SCESCE"


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
def test_long_speech_is_cut_at_its_dip(options: TurnOptions) -> None:
    """The next chunk begins with the very next sample, and the utterance goes on."""
    script = [(0.0, 20), (1.0, 800), (0.4, 5), (1.0, 500), (0.0, 150)]
    events = hear(script, options)
    first, second, *rest = chunks(events)

    assert first.end == second.start == at(script, 2) + 2 * FRAME + FRAME // 2
    assert (first.ends_utterance, second.ends_utterance) == (False, True)
    assert rest == []
    assert kinds(events).removesuffix("E") == "SCPC"


def test_a_full_chunk_waits_for_a_pause() -> None:
    """Speech that ends as the chunk is full is not cut: the pause is its end, and no chunk is empty."""
    for beyond in range(-8, 9):
        length = MAX_CHUNK_SAMPLES // FRAME + beyond
        script: Script = [(1.0, length), (0.0, 200)]
        vad = VadOptions(silence_duration_ms=5000)
        events = hear(script, TurnOptions(vad=vad))
        found = chunks(events)

        assert all(0 < len(chunk.samples) <= MAX_CHUNK_SAMPLES for chunk in found)
        assert found[-1].end == min(length * FRAME + OFFSET_PADDING, found[-1].start + MAX_CHUNK_SAMPLES)
        assert kinds(events) in {"SPCE", "SCPCE"}


@pytest.mark.parametrize("pause", range(1, 40))
def test_speech_goes_on_behind_a_full_chunk(pause: int) -> None:
    """A full chunk that ends in a pause takes nothing from what follows in the same utterance."""
    full = MAX_CHUNK_SAMPLES // FRAME - 2
    script = [(1.0, full), (0.0, pause), (1.0, 30), (0.0, 70)]
    events = hear(script, TurnOptions(vad=VadOptions(prefix_padding_ms=0, silence_duration_ms=1500)))
    found = chunks(events)

    assert _uncovered(script, found) == []
    assert kinds(events).count("S") == 1
    assert kinds(events)[-1] == "E"


def test_silence_behind_a_full_chunk_is_no_chunk() -> None:
    """However long a silence the client allows, there is nothing in it to decode, and nothing is held."""
    script = [(1.0, 936), (0.0, 4000)]
    options = TurnOptions(vad=VadOptions(silence_duration_ms=100_000))
    segmenter, samples = Segmenter(scripted(script), options), noise(script)
    events: list[SegmenterEvent] = []
    for start in range(0, len(samples), SAMPLE_RATE):
        events += segmenter.feed(samples[start : start + SAMPLE_RATE])

        assert segmenter._buffer.end - segmenter._buffer.start <= MAX_CHUNK_SAMPLES + SAMPLE_RATE + LATE
    assert kinds(events) == "SPCE"


def test_a_long_utterance_ends_chunks_in_pauses() -> None:
    """Without a turn's end, a chunk of 21 s ends in its first pause, a short one in a long pause."""
    script = [(1.0, 100), (0.0, 20), (1.0, 600), (0.0, 20), (1.0, 50), (0.0, 60), (1.0, 50), (0.0, 60)]
    events = hear(script, MANUAL)

    assert kinds(events) == "SPPCPCPC"
    assert spans(events)[0] == (0, 0, at(script, 3) + OFFSET_PADDING)
    assert spans(events)[1][1:] == (
        max(at(script, 4) - PREFIX, spans(events)[0][2]),
        at(script, 5) + OFFSET_PADDING,
    )
    assert at(script, 3) >= ENOUGH
    assert _uncovered(script, chunks(events)) == []


@pytest.mark.parametrize("patience", [0, SAMPLE_RATE // 2, 2 * SAMPLE_RATE, 5 * SAMPLE_RATE])
def test_semantic_pauses_are_judged(patience: int) -> None:
    """It waits at the pause, however much is fed, and ends after the silence it is told, or goes on."""
    script = [(0.0, 5), (1.0, 30), (0.0, 200)]
    samples, segmenter = noise(script), Segmenter(scripted(script), SEMANTIC)
    events = segmenter.feed(samples[: len(samples) // 2])
    assert kinds(events) == "SP"
    assert segmenter.waiting
    assert segmenter.feed(samples[len(samples) // 2 :]) == []

    events = segmenter.advance(patience)
    ended = events[-1]
    assert isinstance(ended, UtteranceEnded)
    silence = ended.end - at(script, 2)
    # A frame beyond the pause before there can be an end.
    assert max(patience, PAUSE + FRAME) <= silence < max(patience, PAUSE + FRAME) + FRAME


def test_semantic_speech_that_goes_on_is_judged_again() -> None:
    """Each pause anew; a long one is waited out, the chunk in it ends, the utterance does not."""
    script = [(1.0, 30), (0.0, 60), (1.0, 30), (0.0, 20), (1.0, 30), (0.0, 60)]
    patiences = iter([4 * SAMPLE_RATE, 3 * SAMPLE_RATE, SAMPLE_RATE])
    events = hear(script, SEMANTIC, patience=lambda _: next(patiences))

    assert kinds(events) == "SPCPPCE"
    assert list(patiences) == []


def test_patience_is_not_remembered() -> None:
    """What one utterance's words suggested says nothing about the next one's."""
    script = [(1.0, 30), (0.0, 60), (1.0, 30), (0.0, 60), (1.0, 30), (0.0, 200)]
    patiences = iter([SAMPLE_RATE // 2, 8 * SAMPLE_RATE, 8 * SAMPLE_RATE])
    events = hear(script, SEMANTIC, patience=lambda _: next(patiences))

    assert kinds(events) == "SPCESPCPC"


def test_manual_utterances_end_by_commit_only() -> None:
    """A minute of silence ends none, though its chunk."""
    script = [(1.0, 30), (0.0, 1900)]
    assert kinds(hear(script, MANUAL)) == "SPC"
    assert kinds(hear(script, MANUAL, actions=[(at(script, 2), Segmenter.commit)])) == "SPCE"


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
@pytest.mark.parametrize("offset", [0, 1, 200, 511])
def test_commit_in_mid_speech(options: TurnOptions, offset: int) -> None:
    """The next sample is the next utterance's, which begins right there as somebody speaks on."""
    script = [(0.0, 20), (1.0, 100), (0.0, 150)]
    place = at(script, 1) + 50 * FRAME + offset
    events = hear(script, options, actions=[(place, Segmenter.commit)])
    first, second = chunks(events)

    assert kinds(events).removesuffix("E") == "SCESPC"
    assert events[2] == UtteranceEnded(place)
    assert events[3] == UtteranceStarted(place)
    assert first.end == second.start == place


def test_speech_right_before_a_commit_of_silence() -> None:
    """What the detector had not seen yet is the next utterance's: late, but not lost."""
    script = [(0.0, 97), (1.0, 20), (0.0, 40)]
    events = hear(script, actions=[(at(script, 1) + 2 * FRAME, Segmenter.commit)])
    [(utterance, start, _)] = spans(events)

    assert kinds(events) == "SESPCE"
    assert (utterance, start <= at(script, 1)) == (1, True)


def test_speech_that_softens_at_a_commit_is_not_lost() -> None:
    """Until somebody is silent, what is said behind a commit begins right there, however late it is sure."""
    script: Script = [(1.0, 50), (0.4, 40), (1.0, 20), (0.0, 40)]
    events = hear(script, actions=[(50 * FRAME, Segmenter.commit)])

    assert spans(events)[1][1] == 50 * FRAME


def test_commits_and_clears_in_a_row() -> None:
    """A second commit right behind is an utterance of nothing; a clear behind it changes nothing."""
    script = [(1.0, 50), (0.0, 40)]
    place = 40 * FRAME
    events = hear(script, actions=[(place, Segmenter.commit), (place, Segmenter.commit)])

    assert kinds(events) == "SCESESPCE"
    assert events[3:5] == [UtteranceStarted(place, detected=False), UtteranceEnded(place)]
    cleared = hear(script, actions=[(place, Segmenter.commit), (place, _clear)])
    assert kinds(cleared) == "SCESPCE"
    assert spans(cleared)[1][1:] == spans(events)[1][1:]


def test_commit_of_silence() -> None:
    """The utterance has its place, but no chunk: there is nothing to decode."""
    events = hear(
        [(0.1, 100)], MANUAL, actions=[(30 * FRAME, Segmenter.commit), (90 * FRAME, Segmenter.commit)]
    )

    assert events == [
        UtteranceStarted(0, detected=False),
        UtteranceEnded(30 * FRAME),
        UtteranceStarted(30 * FRAME, detected=False),
        UtteranceEnded(90 * FRAME),
    ]


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
def test_commit_of_a_word_too_short(options: TurnOptions) -> None:
    """What the detector doubts is decoded where the client commits it."""
    script = [(0.0, 20), (0.9, 2), (0.0, 20)]
    events = hear(script, options, actions=[(at(script, 3), Segmenter.commit)])

    assert kinds(events) == "SCE"
    assert events[0] == UtteranceStarted(0, detected=False)
    assert spans(events) == [(0, 0, at(script, 3))]


def test_commit_of_a_word_too_short_behind_a_chunk() -> None:
    """Also where the utterance has begun, and its chunk has ended in a pause."""
    script = [(1.0, 20), (0.0, 60), (0.9, 2), (0.0, 20)]
    events = hear(script, MANUAL, actions=[(at(script, 4), Segmenter.commit)])
    first, second = chunks(events)

    assert kinds(events) == "SPCCE"
    assert (second.start, second.end) == (first.end, at(script, 4))


def test_a_doubt_long_ago() -> None:
    """A click before the sound that is kept does not make a chunk of silence; a late one, of what is kept."""
    script = [(0.9, 1), (0.0, 400), (0.9, 1), (0.0, 20)]
    long_ago = hear(script[:2], MANUAL, actions=[(at(script, 2), Segmenter.commit)])
    late = hear(script, MANUAL, actions=[(at(script, 4), Segmenter.commit)])

    assert kinds(long_ago) == "SE"
    assert spans(late) == [(0, at(script, 4) - KEPT, at(script, 4))]


def test_doubts_of_an_utterance_that_ended() -> None:
    """Soft sounds at its end are no reason for a chunk in the next one."""
    script = [(1.0, 30), (0.0, 10), (0.4, 9), (0.0, 30)]
    events = hear(script, actions=[(at(script, 4), Segmenter.commit)])

    assert kinds(events) == "SPCESE"


@pytest.mark.parametrize("frames", [930, 937, 938, 939, 940, 941, 945])
@pytest.mark.parametrize("silence", [0, 1, 5, 9])
def test_commit_of_a_full_chunk(frames: int, silence: int) -> None:
    """The detector is late, and a full chunk waits for a pause: still none is longer than 30 s."""
    script: Script = [(1.0, frames), (0.0, silence)]
    end = at(script, 2)
    found = chunks(hear(script, MANUAL, actions=[(end, Segmenter.commit)]))

    assert [chunk.start for chunk in found] == [0, *(chunk.end for chunk in found[:-1])]
    assert found[-1].end == end
    assert all(0 < len(chunk.samples) <= MAX_CHUNK_SAMPLES for chunk in found)


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
def test_clear_in_mid_speech(options: TurnOptions) -> None:
    """What was not committed is gone, without an end; who speaks on begins a new utterance there."""
    script = [(0.0, 20), (1.0, 100), (0.0, 150)]
    place = at(script, 1) + 50 * FRAME + 77
    events = hear(script, options, actions=[(place, _clear)])

    assert kinds(events).removesuffix("E") == "SSPC"
    assert spans(events) == [(1, place, at(script, 2) + OFFSET_PADDING)]


def _clear(segmenter: Segmenter) -> None:
    segmenter.clear()
    assert segmenter.uncommitted == 0
    assert segmenter.peek() is None


def _to(options: TurnOptions) -> Action:
    return lambda segmenter: segmenter.configure(options)


@pytest.mark.parametrize("before", [SERVER, SEMANTIC, MANUAL])
@pytest.mark.parametrize("after", [SERVER, SEMANTIC, MANUAL])
@pytest.mark.parametrize("place", [10, 60, 124, 130, 145])
def test_configure_in_mid_utterance(before: TurnOptions, after: TurnOptions, place: int) -> None:
    """In speech or in a pause, the utterance goes on, and ends as the new options say."""
    script = [(0.0, 20), (1.0, 100), (0.0, 150)]
    events = hear(script, before, actions=[(place * FRAME, _to(after))], patience=lambda _: 2 * SAMPLE_RATE)
    if before is SERVER and place == 145:
        # It had ended.
        after = before

    assert kinds(events) == ("SPC" if after is MANUAL else "SPCE")
    assert spans(events) == [(0, at(script, 1) - PREFIX, at(script, 2) + OFFSET_PADDING)]
    if after is not MANUAL:
        ended = events[-1]
        assert isinstance(ended, UtteranceEnded)
        silence = ended.end - at(script, 2)
        assert (SAMPLE_RATE // 2 <= silence < SAMPLE_RATE) == (after is SERVER)


def test_configure_takes_another_threshold_and_prefix() -> None:
    """From the next frame on."""
    script = [(0.6, 30), (0.0, 40), (0.6, 30), (0.0, 40)]
    options = TurnOptions(vad=VadOptions(threshold=0.8, silence_duration_ms=500))
    lower = TurnOptions(vad=VadOptions(threshold=0.5, prefix_padding_ms=100, silence_duration_ms=500))
    events = hear(script, options, actions=[(50 * FRAME, _to(lower))])

    assert spans(events) == [(0, at(script, 2) - 1600, at(script, 3) + OFFSET_PADDING)]


def test_idle_timeout() -> None:
    """Told again and again while nobody speaks, from the last utterance's end; not while somebody begins."""
    options = replace(SERVER, idle=2 * SAMPLE_RATE)
    script = [(0.0, 130), (1.0, 20), (0.0, 17), (0.0, 65)]
    events = hear(script, options)
    frames = 2 * SAMPLE_RATE // FRAME + 1
    idle = [event for event in events if isinstance(event, IdleTimeout)]

    assert kinds(events) == "IISPCEI"
    assert idle[:2] == [IdleTimeout(0, frames * FRAME), IdleTimeout(frames * FRAME, 2 * frames * FRAME)]
    assert idle[2].start == at(script, 3)
    starting = hear([(0.0, frames - 1), (1.0, 20), (0.0, 17)], options)
    assert kinds(starting) == "SPCE"
    assert starting[0] == UtteranceStarted((frames - 1) * FRAME - PREFIX)


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_memory_is_bounded(options: TurnOptions, probability: float) -> None:
    """Minutes of silence, doubt or unbroken speech are not held: a chunk at most, and what a commit needs."""
    segmenter = Segmenter(scripted([(probability, 360 * SAMPLE_RATE // FRAME)]), options)
    sound = np.random.default_rng(1).standard_normal(10 * SAMPLE_RATE).astype(np.float32)
    for _ in range(36):
        segmenter.feed(sound)

    held = segmenter._buffer.end - segmenter._buffer.start
    assert held <= (MAX_CHUNK_SAMPLES if probability == 1.0 else KEPT) + LATE + (ONSET_PATIENCE + 1) * FRAME
    assert len(segmenter._buffer._data) <= 2 * (MAX_CHUNK_SAMPLES + 20 * SAMPLE_RATE)
    assert segmenter.position == 360 * SAMPLE_RATE


def test_peek_shows_what_was_fed() -> None:
    """From the chunk's start to the newest sample; nothing while nobody speaks."""
    script = [(0.0, 20), (1.0, 30), (0.0, 40)]
    samples, segmenter = noise(script), Segmenter(scripted(script), SERVER)
    segmenter.feed(samples[: 20 * FRAME])
    assert segmenter.peek() is None
    segmenter.feed(samples[20 * FRAME : 45 * FRAME])
    peek = segmenter.peek()
    assert peek is not None
    assert (peek.start, peek.end) == (20 * FRAME - PREFIX, 45 * FRAME)
    assert np.array_equal(peek.samples, normalise(samples[peek.start : peek.end]))
    segmenter.feed(samples[45 * FRAME :])
    assert segmenter.peek() is None


def _uncovered(script: Script, found: list[Chunk]) -> list[tuple[int, int]]:
    """The parts of the script that are speech beyond doubt, and not in chunks."""
    lost = []
    for index, (probability, frames) in enumerate(script):
        start, end = at(script, index), at(script, index + 1)
        if probability < 0.5 or frames < 3:
            continue
        for chunk in found:
            if chunk.start <= start < chunk.end:
                start = chunk.end
        if start < end:
            lost.append((start, end))
    return lost


parts = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), st.one_of(st.integers(1, 12), st.integers(1, 80))),
    min_size=1,
    max_size=12,
)
turns = st.sampled_from(
    [
        SERVER,
        SEMANTIC,
        MANUAL,
        replace(SERVER, idle=SAMPLE_RATE, vad=VadOptions(silence_duration_ms=200, prefix_padding_ms=0)),
        replace(MANUAL, max_pause=SAMPLE_RATE // 2),
    ]
)
deeds = st.lists(
    st.tuples(st.floats(0, 1), st.one_of(st.just(Segmenter.commit), st.just(_clear), turns.map(_to))),
    max_size=4,
)


@settings(deadline=None, max_examples=100)
@given(parts, turns, deeds, st.sets(st.floats(0, 1), max_size=12), st.sampled_from([160, 512, 1600, 4001]))
def test_slicing_changes_nothing(
    script: Script, options: TurnOptions, doings: list[tuple[float, Action]], odd: set[float], size: int
) -> None:
    """Whole, in odd cuts or in equal pieces, with commits, clears and updates: the same events."""
    length = len(noise(script))
    actions = [(int(place * length), action) for place, action in doings]
    whole = hear(script, options, actions=actions, patience=lambda chunk: chunk.end)
    cut = hear(
        script,
        options,
        actions=actions,
        cuts=[int(place * length) for place in odd],
        patience=lambda chunk: chunk.end,
    )
    pieces = hear(
        script, options, actions=actions, cuts=range(size, length, size), patience=lambda chunk: chunk.end
    )

    assert plain(whole) == plain(cut) == plain(pieces)
    for sooner, later in pairwise(chunks(whole)):
        assert sooner.end <= later.start
        assert later.start == sooner.end or sooner.ends_utterance
    samples = noise(script)
    for chunk in chunks(whole):
        assert np.array_equal(chunk.samples, normalise(samples[chunk.start : chunk.end]))
        assert 0 < len(chunk.samples) <= MAX_CHUNK_SAMPLES


@settings(deadline=None, max_examples=150)
@given(parts, turns, st.lists(st.integers(0, 500), max_size=3))
def test_no_speech_is_lost(script: Script, options: TurnOptions, places: list[int]) -> None:
    """Whatever is committed when: all speech is in a chunk in the end, all chunks in the utterance told."""
    samples = noise(script)
    end = len(samples)
    whole_frames = [min(place * FRAME, end) for place in places]
    events = hear(script, options, actions=[(place, Segmenter.commit) for place in [*whole_frames, end]])
    # A commit divides speech; what is then too short is the detector's to doubt.
    divided: Script = []
    position = 0
    for probability, frames in script:
        inner = [p // FRAME for p in whole_frames if position < p // FRAME < position + frames]
        for start, stop in pairwise([position, *sorted(inner), position + frames]):
            divided.append((probability, stop - start))
        position += frames
    assert _uncovered(divided, chunks(events)) == []
    is_open = False
    for event in events:
        match event:
            case UtteranceStarted():
                assert not is_open
                is_open = True
            case UtterancePaused() | ChunkReady():
                assert is_open
            case UtteranceEnded():
                assert is_open
                is_open = False
            case IdleTimeout():
                assert not is_open
    assert not is_open


def test_one_sample_at_a_time() -> None:
    """The smallest appends there are."""
    script = [(0.0, 5), (1.0, 12), (0.0, 22), (1.0, 5), (0.0, 20)]
    length = len(noise(script))

    assert plain(hear(script, cuts=range(length))) == plain(hear(script))


@pytest.mark.parametrize("options", [SERVER, SEMANTIC, MANUAL])
def test_real_speech(options: TurnOptions, model: SileroModel, long: Samples) -> None:
    """Sixteen utterances through Silero: the same in any slices, and as many as there are."""

    def listen(size: int) -> list[SegmenterEvent]:
        segmenter = Segmenter(FrontEnd(model), options)
        events: list[SegmenterEvent] = []
        for start in range(0, len(long), size):
            events += segmenter.feed(long[start : start + size])
            _answer(segmenter, events)
        return events + segmenter.commit()

    events = listen(len(long))

    assert plain(events) == plain(listen(1_601)) == plain(listen(799))
    heard = [event for event in events if isinstance(event, UtteranceStarted) and event.detected]
    assert len(heard) == (1 if options is MANUAL else 16)
    assert len(chunks(events)) >= (8 if options is MANUAL else 16)
