"""The transcript's text only grows, and deltas, token bytes and the final text are the same bytes."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.transcript import (
    Assembler,
    Hypothesis,
    Segment,
    SegmentDone,
    TextDelta,
    Token,
    TranscriptDone,
    TranscriptEvent,
    Word,
)
from gateway.transcript.timeline import Stretch, Timeline


def clock(start: float, end: float) -> Timeline:
    """That of a chunk of one stretch."""
    return Timeline([Stretch.plain(start, end)])


def _segment(*pieces: str, start: float = 0.0, end: float = 1.0) -> Segment:
    tokens = tuple(Token(n, piece, piece.encode(), -0.1) for n, piece in enumerate(pieces))
    words = (Word(start, end, "".join(pieces), 0.9),)
    return Segment(start, end, "".join(pieces), tokens, words, -0.1, 1.0, 0.0, 0.0)


def _hypothesis(*segments: Segment, language: str | None = "en", probability: float = 1.0) -> Hypothesis:
    return Hypothesis(segments, language, probability, prompt_tokens=2)


def _run(*hypotheses: Hypothesis) -> list[TranscriptEvent]:
    assembler = Assembler()
    events: list[TranscriptEvent] = []
    for number, hypothesis in enumerate(hypotheses):
        events += assembler.add(hypothesis, clock(number * 10.0, number * 10.0 + 10.0))
    return [*events, *assembler.flush(), assembler.finish(len(hypotheses) * 10.0)]


def _text(events: Iterable[TranscriptEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_leading_space_of_the_first_token_is_dropped() -> None:
    """A transcript begins with a letter, its first token's bytes with it."""
    events = _run(_hypothesis(_segment(" Hello", " world")))

    assert events[0] == TextDelta(
        "Hello world",
        (Token(0, "Hello", b"Hello", -0.1), Token(1, " world", b" world", -0.1)),
    )


def test_a_full_stop_waits_for_the_next_chunk() -> None:
    """Where that begins a sentence, or nothing follows, it comes as it is, and its segment is done."""
    events = _run(_hypothesis(_segment(" One", ".")), _hypothesis(), _hypothesis(_segment(" Two", ".")))

    shown = [event.text if isinstance(event, TextDelta) else type(event) for event in events]
    assert shown == ["One", ".", SegmentDone, " Two", ".", SegmentDone, TranscriptDone]


def test_no_full_stop_within_a_sentence() -> None:
    """A chunk that begins with a small letter goes on with the sentence; segments and words say the same."""
    events = _run(_hypothesis(_segment(" the", " room", ".")), _hypothesis(_segment(" articulated", "?")))
    done = events[-1]

    assert _text(events) == "the room articulated?"
    assert isinstance(done, TranscriptDone)
    assert done.transcript.text == "the room articulated?"
    assert [segment.text for segment in done.transcript.segments] == [" the room", " articulated?"]
    assert done.transcript.segments[0].words[-1].text == " the room"
    assert [event.index for event in events if isinstance(event, SegmentDone)] == [0, 1]


def test_nobody_goes_on_with_another_s_sentence() -> None:
    """Where somebody else speaks, a full stop stays, and a first letter is as the engine wrote it."""
    one = replace(_segment(" I", " see", "."), speaker="A")
    other = replace(_segment(" mhm", "."), speaker="B")

    assert _text(_run(_hypothesis(one), _hypothesis(other))) == "I see. mhm."
    assert _text(_run(_hypothesis(one), _hypothesis(replace(other, speaker="A")))) == "I see mhm."


def test_no_capital_within_a_sentence() -> None:
    """After a chunk without a full stop a word is small if the text has it so; names stay as they are."""
    first = _hypothesis(_segment(" He", " and", " she", " went", " to"))
    joined = _text(_run(first, _hypothesis(_segment(" And", " back"))))
    name = _text(_run(first, _hypothesis(_segment(" London"))))
    ended = _text(
        _run(_hypothesis(_segment(" so", " and", " so", "!")), _hypothesis(_segment(" And", " back")))
    )

    assert joined == "He and she went to and back"
    assert name == "He and she went to London"
    assert ended == "so and so! And back"


def test_full_stops_within_a_chunk_stay() -> None:
    """Only where chunks meet is the engine known to invent them."""
    assert _text(_run(_hypothesis(_segment(" a", "."), _segment(" b", ".")))) == "a. b."


def test_unspaced_scripts_stay_as_they_are() -> None:
    """They have neither capitals nor small letters."""
    events = _run(
        _hypothesis(_segment("你好", "."), language="zh"), _hypothesis(_segment("abc"), language="zh")
    )

    assert _text(events) == "你好.abc"


def test_segments_join_as_the_engine_spaced_them() -> None:
    """Whisper's own leading spaces separate segments; none is doubled."""
    events = _run(_hypothesis(_segment(" One."), _segment(" Two. "), _segment(" Three.")))

    assert _text(events) == "One. Two. Three."


def test_chunks_of_a_spaced_language_get_a_space() -> None:
    """Words of two chunks never run together, also where the engine gave no space."""
    events = _run(_hypothesis(_segment("One", ".")), _hypothesis(_segment("Two.")))

    assert _text(events) == "One. Two."


def test_chunks_of_an_unspaced_language_get_none() -> None:
    """Chinese has no spaces between sentences, and gets none from us."""
    events = _run(
        _hypothesis(_segment("你好。"), language="zh"), _hypothesis(_segment("世界。"), language="zh")
    )

    assert _text(events) == "你好。世界。"


def test_blank_segments_cause_nothing() -> None:
    """A segment of spaces or of no token is no text, no delta, no segment."""
    events = _run(_hypothesis(_segment(" "), _segment(), _segment(" a")))

    assert [type(event) for event in events] == [TextDelta, SegmentDone, TranscriptDone]


def test_times_count_from_the_recording_and_stay_inside_the_chunk() -> None:
    """A chunk's real start is added; Whisper's overshoot behind the chunk's end is cut."""
    events = _run(_hypothesis(), _hypothesis(_segment(" a", start=1.0, end=12.5)))
    done = next(event for event in events if isinstance(event, SegmentDone))

    assert (done.segment.start, done.segment.end) == (11.0, 20.0)
    assert (done.segment.words[0].start, done.segment.words[0].end) == (11.0, 20.0)


def test_transcript_names_its_languages() -> None:
    """Every language heard stands in order; the likeliest one is the transcript's."""
    done = _run(
        _hypothesis(_segment(" a"), language="en", probability=0.4),
        _hypothesis(_segment(" b"), language="de", probability=0.45),
        _hypothesis(language="es", probability=0.49),
    )[-1]

    assert isinstance(done, TranscriptDone)
    assert done.transcript.languages == ("en", "de")
    assert done.transcript.language == "de"


def test_a_decided_language_wins() -> None:
    """What the request settled on stands, whatever single chunks looked like."""
    assembler = Assembler()
    assembler.decide_language("es")
    assembler.add(_hypothesis(_segment(" a")), clock(0, 1))

    assert assembler.finish(1.0).transcript.language == "es"


def test_prompt_tokens_are_summed() -> None:
    """Every chunk pays for the prompt it was decoded with."""
    done = _run(_hypothesis(), _hypothesis())[-1]

    assert isinstance(done, TranscriptDone)
    assert done.transcript.prompt_tokens == 4


def test_split_characters_stay_whole_in_the_delta() -> None:
    """A character split between two tokens is whole in the delta, and in the joined bytes."""
    raw = "ü".encode()
    tokens = (Token(0, "�", raw[:1], -1.0), Token(1, "�", raw[1:], -1.0))
    events = _run(_hypothesis(replace(_segment("ü"), tokens=tokens)))

    assert _text(events) == "ü"


_PIECES = st.lists(st.text(alphabet=" \nabü好", max_size=4), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["en", "zh", None]), st.lists(_PIECES, max_size=3)), max_size=5))
def test_deltas_tokens_and_text_are_the_same_bytes(script: list[tuple[str | None, list[list[str]]]]) -> None:
    """Whatever spaces an engine puts where: joins are exact and the ends are clean."""
    events = _run(
        *(
            _hypothesis(*(_segment(*pieces) for pieces in segments), language=code)
            for code, segments in script
        )
    )
    done = events[-1]

    assert isinstance(done, TranscriptDone)
    text = done.transcript.text
    assert _text(events) == text
    assert b"".join(token.raw for token in done.transcript.tokens) == text.encode()
    assert text == text.strip(" \n")


@given(st.lists(st.tuples(st.sampled_from(["en", "zh", None]), st.lists(_PIECES, max_size=3)), max_size=5))
def test_a_preview_is_what_the_deltas_will_be(script: list[tuple[str | None, list[list[str]]]]) -> None:
    """Text and tokens, spaces included; and looking changes nothing, however often."""
    assembler, blind = Assembler(), Assembler()
    for code, segments in script:
        hypothesis = _hypothesis(*(_segment(*pieces) for pieces in segments), language=code)
        previews = [assembler.preview(hypothesis) for _ in range(2)]
        events = assembler.add(hypothesis, clock(0, 10))
        deltas = [event for event in events if isinstance(event, TextDelta)]
        expected = TextDelta(_text(events), tuple(token for delta in deltas for token in delta.tokens))

        assert previews == [expected if deltas else None] * 2
        assert events == blind.add(hypothesis, clock(0, 10))
    assert assembler.finish(1.0) == blind.finish(1.0)
