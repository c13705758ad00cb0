"""Subtitles a publisher would accept, read back by the parsers of `srt` and `webvtt-py`.

Whatever an engine hears, and however noisy its times: all words come once and in order, no line is longer
than allowed, no cue overlaps the next, and none ends before it starts.
"""

import html
import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.protocol.pieces import tidy, width_of
from gateway.protocol.subtitles import Cue, SubtitleStyle, make_cues, to_srt, to_vtt
from gateway.transcript import Segment, Word

STYLE = SubtitleStyle()
SAMPLES = Path(__file__).parent.parent / "mini-whisper" / "samples" / "samples.json"


def segment(
    text: str, start: float, end: float, words: Iterable[Word] = (), speaker: str | None = None
) -> Segment:
    """A segment with the parts that subtitles are made of."""
    return Segment(start, end, text, (), tuple(words), -0.1, 1.0, 0.0, 0.0, speaker)


def spoken(text: str, start: float = 0.0, *, rate: float = 15.0, speaker: str | None = None) -> Segment:
    """Natural speech: ``rate`` characters a second, a breath at commas, a longer one between sentences."""
    words = []
    now = start
    for word in text.split():
        words.append(Word(now, now + len(word) / rate, " " + word, 1.0))
        now = words[-1].end + {".": 0.35, "?": 0.35, "!": 0.35, ",": 0.15}.get(word[-1], 0.02)
    return segment(" " + text, start, words[-1].end, words, speaker)


def texts(segments: Sequence[Segment], style: SubtitleStyle = STYLE) -> list[tuple[str, ...]]:
    """The lines of each cue."""
    return [cue.lines for cue in make_cues(segments, style)]


def milliseconds(seconds: float) -> int:
    """Seconds as the formats write them."""
    return round(seconds * 1000)


# Examples a subtitler would accept.


def test_english_narration() -> None:
    """Cues end with sentences and clauses, lines before conjunctions; "Mr." ends nothing."""
    segments = [
        spoken(
            "Good morning, ladies and gentlemen, and welcome to the annual meeting of the historical "
            "society. Today we will talk about the bridge that was built in 1874 by a young engineer, who "
            "had never seen the sea before he came to this town. Was it easy? No. It took Mr. Smith eleven "
            "years, three contractors and most of his money."
        )
    ]

    assert to_srt(make_cues(segments, STYLE)) == (
        "1\n00:00:00,000 --> 00:00:02,277\nGood morning, ladies and gentlemen,\n\n"
        "2\n00:00:02,427 --> 00:00:06,007\nand welcome to the annual meeting\nof the historical society.\n\n"
        "3\n00:00:06,357 --> 00:00:10,990\n"
        "Today we will talk about the bridge that\nwas built in 1874 by a young engineer,\n\n"
        "4\n00:00:11,073 --> 00:00:14,308\nwho had never seen the sea before\nhe came to this town.\n\n"
        "5\n00:00:14,577 --> 00:00:15,833\nWas it easy? No.\n\n"
        "6\n00:00:16,183 --> 00:00:20,883\n"
        "It took Mr. Smith eleven years,\nthree contractors and most of his money.\n\n"
    )


def test_spanish_conversation() -> None:
    """Opening marks stay with their word; each speaker has cues of their own, with a voice tag."""
    segments = [
        spoken("¿Quién ha llamado a la puerta?", 1.0, speaker="Ana"),
        spoken(
            "No lo sé, pero creo que es el vecino de arriba, que siempre se olvida las llaves en casa.",
            3.5,
            speaker="Luis",
        ),
        spoken("¡Qué desastre!", 10.0, speaker="Ana"),
    ]

    assert to_vtt(make_cues(segments, STYLE)) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:02.767\n<v Ana>¿Quién ha llamado a la puerta?\n\n"
        "00:00:03.500 --> 00:00:06.297\n<v Luis>No lo sé, pero creo\nque es el vecino de arriba,\n\n"
        "00:00:06.447 --> 00:00:08.859\n<v Luis>que siempre se olvida\nlas llaves en casa.\n\n"
        "00:00:10.000 --> 00:00:10.887\n<v Ana>¡Qué desastre!\n\n"
    )


def test_german_with_long_words() -> None:
    """An ordinal ends no sentence, a word of 36 letters stays whole."""
    segments = [
        spoken(
            "Am 3. Oktober fuhren wir mit dem Zug nach Hamburg, weil das Wetter dort besser sein sollte. "
            "Leider hat es drei Tage lang geregnet, und trotzdem war es schön! "
            "Die Donaudampfschifffahrtsgesellschaft hatte geschlossen."
        )
    ]

    assert texts(segments) == [
        ("Am 3. Oktober fuhren", "wir mit dem Zug nach Hamburg,"),
        ("weil das Wetter dort besser sein sollte.",),
        ("Leider hat es drei Tage lang geregnet,", "und trotzdem war es schön!"),
        ("Die Donaudampfschifffahrtsgesellschaft", "hatte geschlossen."),
    ]


# Particular writings, speeds and noises.


def test_chinese_without_word_times() -> None:
    """Wide characters count twice, for a line and for reading; cues end at clauses."""
    text = "大家好、欢迎收看今天的节目。我们今天要介绍的是一座非常古老的城市、它位于中国的南方。"

    assert texts([segment(text, 0, 12)]) == [
        ("大家好、欢迎收看今天的节目。",),
        ("我们今天要介绍的是一座非常古老的城市、",),
        ("它位于中国的南方。",),
    ]
    assert texts([segment(text, 0, 12)], SubtitleStyle(max_line_width=32))[1] == (
        "我们今天要介绍的是",
        "一座非常古老的城市、",
    )


def test_forty_letters_fit_a_line_and_more_are_cut() -> None:
    """A word is cut only where it is longer than a line."""
    style = SubtitleStyle(max_line_width=40)

    assert texts([segment("x" * 40 + " yes", 0, 5)], style) == [("x" * 40, "yes")]
    assert texts([segment("x" * 41, 0, 5)], style) == [("x" * 40, "x")]


def test_very_fast_speech_keeps_words_and_times() -> None:
    """At 60 characters a second nothing can be read in time; nothing is dropped or put off."""
    segments = [spoken("Terms and conditions apply, see our website for the details. " * 5, rate=60.0)]

    cues = make_cues(segments, STYLE)

    assert " ".join(" ".join(cue.lines) for cue in cues) == segments[0].text.strip()
    begins = {milliseconds(word.start) for word in segments[0].words}
    assert all(milliseconds(cue.start) in begins for cue in cues)


def test_fast_cue_stays_into_the_silence() -> None:
    """A cue spoken in a second stays as long as reading takes, here 54 characters at 17 a second."""
    segments = [spoken("This was spoken in one single second, then came a rest", rate=60.0)]

    (cue,) = make_cues(segments, STYLE)

    assert cue.end == pytest.approx(54 / 17, abs=0.001)


def test_extended_cue_leaves_a_gap() -> None:
    """The cue stays no longer than two frames before the next."""
    first = spoken("This was spoken in one single second, then came a rest.", rate=60.0)
    second = spoken("And this came after two.", 2.0)

    cues = make_cues([first, second], STYLE)

    assert cues[1].start == 2.0
    assert milliseconds(cues[0].end) == 2000 - 83


def test_one_word_a_minute() -> None:
    """Each word has its own cue, and none stays for the minute."""
    words = [Word(60.0 * at, 60.0 * at + 0.4, f" word{at}", 1.0) for at in range(5)]

    cues = make_cues([segment(" word0 word1 word2 word3 word4", 0, 300, words)], STYLE)

    assert [(cue.start, cue.end) for cue in cues] == [(60.0 * at, 60.0 * at + 0.833) for at in range(5)]


def test_long_held_word_is_shown_for_the_longest_time() -> None:
    """A note held for a minute."""
    (cue,) = make_cues([segment("Aaaah", 5, 65, [Word(5, 65, "Aaaah", 1.0)])], STYLE)

    assert (cue.start, cue.end) == (5.0, 12.0)


def test_words_on_one_instant_share_the_time_up_to_the_next() -> None:
    """An aligner that fails puts a sentence on one point; its cues are still seen one after the other."""
    text = " ".join(["collapsed"] * 20)
    lost = segment(text, 3, 3, [Word(3, 3, "collapsed", 1.0)] * 20)

    cues = make_cues([lost, spoken("Found again.", 6.0)], STYLE)

    assert len(cues) == 4
    assert cues[0].start == 3.0
    assert cues[-1].start == 6.0
    assert all(cue.end - cue.start >= 0.8 for cue in cues)


def test_more_cues_than_milliseconds() -> None:
    """However little time there is, no cue is empty and none overlaps the next."""
    lost = segment(" ".join(["collapsed"] * 400), 3, 3)

    cues = make_cues([lost, spoken("Found again.", 3.04, speaker="B")], STYLE)

    assert len(cues) > 40
    assert all(cue.end > cue.start for cue in cues)
    assert all(cue.end <= following.start for cue, following in pairwise(cues))


def test_pause_parts_cues() -> None:
    """Two sentences share a cue unless a pause lies between them."""
    assert texts([spoken("Yes. I do."), spoken("Go on.", 1.2)]) == [("Yes. I do. Go on.",)]
    assert texts([spoken("Yes. I do."), spoken("Go on.", 2.0)]) == [("Yes. I do.",), ("Go on.",)]


def test_slow_segment_without_words_is_not_taken_apart() -> None:
    """Where times are only shared by length, spaces are not silence."""
    assert texts([segment("We are sailing home.", 0, 6.5)]) == [("We are sailing home.",)]


def test_no_lonely_word_on_the_second_line() -> None:
    """Lines are about equally long."""
    assert texts([spoken("Yesterday Peter finally repaired grandmother's bicycle")]) == [
        ("Yesterday Peter finally", "repaired grandmother's bicycle")
    ]


def test_name_has_its_place_in_the_line() -> None:
    """With the prefix of SubRip the first line is within the limit too."""
    segments = [spoken("Now this is a story all about how my life got flipped. " * 3, speaker="Will Smith")]

    parsed = list(srt.parse(to_srt(make_cues(segments, STYLE))))

    assert all(subtitle.content.startswith("Will Smith: ") for subtitle in parsed)
    assert max(len(line) for subtitle in parsed for line in subtitle.content.split("\n")) <= 42


def test_style_is_obeyed() -> None:
    """One short line, as for vertical video."""
    style = SubtitleStyle(max_line_width=16, max_line_count=1, max_cue_seconds=2)

    assert texts([spoken("When shall we three meet again? In thunder, lightning, or in rain?")], style) == [
        ("When shall",),
        ("we three meet",),
        ("again?",),
        ("In thunder,",),
        ("lightning,",),
        ("or in rain?",),
    ]


def test_style_comes_from_form_fields() -> None:
    """Form fields are text; unknown ones are someone else's."""
    assert SubtitleStyle.model_validate({"max_line_width": "32", "model": "x"}).max_line_width == 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_line_width", 7),
        ("max_line_count", 0),
        ("max_cue_seconds", "inf"),
        ("max_cue_seconds", 1.9),
        ("min_cue_seconds", 2.1),
        ("max_chars_per_second", "nan"),
        ("min_gap_seconds", -0.1),
    ],
)
def test_style_refuses_what_nobody_can_read(field: str, value: object) -> None:
    """The bounds also keep the shortest cue no longer than the longest."""
    with pytest.raises(ValidationError):
        SubtitleStyle.model_validate({field: value})


# The formats.


def test_nothing_said() -> None:
    """An empty transcript is an empty SubRip file and a WebVTT file without cues."""
    cues = make_cues([segment(" \n ", 0, 1)], STYLE)

    assert to_srt(cues) == ""
    assert to_vtt(cues) == "WEBVTT\n\n"


def test_hours_beyond_two_digits() -> None:
    """Timestamps count on; rounding carries over."""
    cues = [Cue(359_999.9996, 360_001.25, ("late",), None)]

    assert to_srt(cues) == "1\n100:00:00,000 --> 100:00:01,250\nlate\n\n"
    assert to_vtt(cues) == "WEBVTT\n\n100:00:00.000 --> 100:00:01.250\nlate\n\n"


def test_text_cannot_forge_structure() -> None:
    """Blank lines, times, tags and references in text or name stay text; a cue without text is left out."""
    forged = "a\n\n2\n00:00:01,000 --> 00:00:02,000"
    cues = [
        Cue(0, 1, (forged, " ", "<b>&amp;"), "x>\ny"),
        Cue(1, 2, ("\r\n",), "z"),
        Cue(2, 3, ("end",), None),
    ]

    assert to_srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,000\nx> y: a 2 00:00:01,000 → 00:00:02,000\n<b>&amp;\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\nend\n\n"
    )
    assert to_vtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n"
        "<v x&gt; y>a 2 00:00:01,000 --&gt; 00:00:02,000\n&lt;b&gt;&amp;amp;\n\n"
        "00:00:02.000 --> 00:00:03.000\nend\n\n"
    )


# Properties.

WORDS = st.one_of(
    st.sampled_from(
        "a the and house. Yes! ¿Qué? über, Mr. 3. -- Donaudampfschifffahrtsgesellschaftskapitän".split()
    ),
    st.sampled_from(["-->", "&", "<i>", "&amp;", "NOTE", "00:00:01,000", "5", "♪", "«", "»", "(", "\u202f!"]),
    st.sampled_from(["你好。", "今天", "ちょっと", "「はい」", "สวัสดี", "한국어", "👩‍💻"]),
    st.text(min_size=1, max_size=12),
)
NOISE = st.floats(-5, 100)


def styles(min_width: int = 8) -> st.SearchStrategy[SubtitleStyle]:
    """Styles whose lines have at least so many columns."""
    return st.builds(
        SubtitleStyle,
        max_line_width=st.integers(min_width, 60),
        max_line_count=st.integers(1, 3),
        max_cue_seconds=st.floats(2, 10),
        min_cue_seconds=st.floats(0, 2),
        max_chars_per_second=st.floats(5, 40),
        min_gap_seconds=st.floats(0, 1),
    )


SPEAKERS = st.sampled_from([None, "A", "B", "The Right Honourable Member for <Oxford> & Cambridge"])


@st.composite
def noisy_segments(draw: st.DrawFn) -> list[Segment]:
    """Any text, any times: backwards, overlapping, of no length, outside their segment, or none."""
    segments = []
    for _ in range(draw(st.integers(0, 4))):
        chosen = draw(st.lists(WORDS, max_size=25))
        text = draw(st.sampled_from([" ", "", "\n\n"])).join(chosen)
        words = [Word(draw(NOISE), draw(NOISE), word, 1.0) for word in chosen if draw(st.booleans())]
        segments.append(segment(text, draw(NOISE), draw(NOISE), words, draw(SPEAKERS)))
    return segments


@st.composite
def clean_segments(draw: st.DrawFn) -> list[Segment]:
    """Words one after the other, each at least a frame long, some after a pause."""
    now = 0
    segments = []
    for _ in range(draw(st.integers(1, 4))):
        words = []
        for _ in range(draw(st.integers(1, 20))):
            start = now + draw(st.sampled_from([0, 0, 0, 20, 200, 600, 3000]))
            now = start + draw(st.integers(40, 900))
            text = draw(st.sampled_from("so it was, they said. Really? Never! extraordinarily".split()))
            words.append(Word(start / 1000, now / 1000, " " + text, 1.0))
        text = "".join(word.text for word in words)
        segments.append(segment(text, words[0].start, words[-1].end, words, draw(SPEAKERS)))
    return segments


PROPERTY = settings(max_examples=80, deadline=None)


def letters(text: str) -> str:
    """The text without white space: what must come exactly once."""
    return "".join(tidy(text).split())


@PROPERTY
@given(noisy_segments(), styles())
def test_every_letter_comes_once_in_order_with_its_speaker(
    segments: list[Segment], style: SubtitleStyle
) -> None:
    """Whatever the times: the transcript's letters are the cues' letters."""
    cues = make_cues(segments, style)

    heard = [(letter, part.speaker) for part in segments for letter in letters(part.text)]
    shown = [(letter, cue.speaker) for cue in cues for line in cue.lines for letter in letters(line)]
    assert shown == heard


@PROPERTY
@given(noisy_segments(), styles())
def test_limits_hold(segments: list[Segment], style: SubtitleStyle) -> None:
    """Whatever the times: widths, numbers of lines and durations are within the style, no cue overlaps."""
    cues = make_cues(segments, style)

    for cue in cues:
        assert 1 <= len(cue.lines) <= style.max_line_count
        assert all(line and width_of(line) <= style.max_line_width for line in cue.lines)
        assert cue.start >= 0
        assert cue.end > cue.start
        assert milliseconds(cue.end) - milliseconds(cue.start) <= round(style.max_cue_seconds * 1000)
    assert all(cue.end <= following.start for cue, following in pairwise(cues))


@PROPERTY
@given(clean_segments(), styles(min_width=len("extraordinarily")))
def test_clean_times_are_kept(segments: list[Segment], style: SubtitleStyle) -> None:
    """Cues begin exactly with their first word, words are whole, and end early only for the next cue."""
    words = iter([word for part in segments for word in part.words])
    cues = make_cues(segments, style)

    for cue, following in zip(cues, [*cues[1:], None], strict=True):
        text = " ".join(cue.lines)
        shown = [next(words) for _ in text.split()]
        assert " ".join(word.text.strip() for word in shown) == text
        assert cue.start == shown[0].start

        lasts = milliseconds(cue.end) - milliseconds(cue.start)
        needed = max(len(text) / style.max_chars_per_second, style.min_cue_seconds)
        long_enough = lasts >= 1000 * min(needed, style.max_cue_seconds) - 1
        if following is None:
            assert long_enough
            continue
        gap = milliseconds(following.start) - milliseconds(cue.end)
        wanted_gap = round(1000 * style.min_gap_seconds)
        assert long_enough or gap in {0, wanted_gap}
        shortest = max(round(1000 * style.min_cue_seconds), 1)
        assert gap >= wanted_gap or lasts + gap - wanted_gap < shortest


@PROPERTY
@given(noisy_segments(), styles())
def test_srt_reads_back(segments: list[Segment], style: SubtitleStyle) -> None:
    """The parser of `srt` finds the same cues, times and text."""
    cues = make_cues(segments, style)

    parsed = list(srt.parse(to_srt(cues)))

    assert [(item.index, item.start, item.end, item.content) for item in parsed] == [
        (
            number,
            timedelta(milliseconds=milliseconds(cue.start)),
            timedelta(milliseconds=milliseconds(cue.end)),
            (f"{cue.speaker}: " * (cue.speaker is not None) + "\n".join(cue.lines)).replace("-->", "→"),
        )
        for number, cue in enumerate(cues, start=1)
    ]


@PROPERTY
@given(noisy_segments(), styles())
def test_webvtt_reads_back(segments: list[Segment], style: SubtitleStyle) -> None:
    """The parser of `webvtt-py` finds the same cues, times, voices and text."""
    cues = make_cues(segments, style)

    parsed = webvtt.from_string(to_vtt(cues)).captions

    assert [
        (
            item.start_time.in_milliseconds(),
            item.end_time.in_milliseconds(),
            None if item.voice is None else html.unescape(item.voice),
            html.unescape(item.text),
        )
        for item in parsed
    ] == [(milliseconds(cue.start), milliseconds(cue.end), cue.speaker, "\n".join(cue.lines)) for cue in cues]


def test_true_word_times_of_the_samples() -> None:
    """Recordings with known word times, one after the other: each cue begins with one of their words."""
    words: list[Word] = []
    segments = []
    offset = 0.0
    for sample in json.loads(SAMPLES.read_text()):
        for utterance in sample["utterances"]:
            begun = len(words)
            words += [
                Word(offset + word["start"], offset + word["end"], f" {word['word']}", 1.0)
                for word in utterance["words"]
            ]
            start, end = offset + utterance["start"], offset + utterance["end"]
            segments.append(segment(utterance["text"], start, end, words[begun:]))
        offset += sample["duration"]

    cues = make_cues(segments, STYLE)

    begins = {milliseconds(word.start) for word in words}
    assert len(cues) > 10
    assert all(milliseconds(cue.start) in begins for cue in cues)
    assert letters("".join("".join(cue.lines) for cue in cues)) == letters("".join(s.text for s in segments))
