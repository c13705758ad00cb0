"""Small inputs that went wrong once, each of a kind: what comes out is what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.words.judge import Judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JFK = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)
JFK_BEGINS = JFK.partition(" ask what")[0]
"""What there is of it in `overdriven.flac`."""

FEW_ERRORS = 0.15
"""Three words of this sentence, two of its beginning."""

QUICK_SEARCHES = 2
"""Of a row: the first, and one more where the text repeats itself."""

QUIET_ERRORS = 0.30
"""Made loud again it has 22 %, for 16 bits leave little of it."""

SWITCH_ERRORS = 0.15
"""The German alone has a tenth; as English, nearly all of it is wrong."""

CUE_TOLERANCE = 0.4
"""Seconds that a word's time may be off."""

SOUND_BEGINS = 4.94
"""In `audio_starts_at_5s.mkv`; its first word begins within 0.4 s."""

PAUSE = 10.0
"""Seconds that `pause_in_timestamps.webm` leaves out."""


def test_first_words_after_room_noise(judge: Judge) -> None:
    """Speech that begins at once, out of noise, is heard from its first word."""
    heard = judge.hear(judge.fault("dictation_first_words.wav"))

    assert judge.normal(heard.text).startswith("i really like animals"), heard.text


@pytest.mark.parametrize("file", ["opposite_phase.flac", "silent_first_track.mp4"])
def test_sound_that_is_there_is_heard(judge: Judge, file: str) -> None:
    """Channels that cancel each other, and a first track of silence, hide no words."""
    heard = judge.hear(judge.fault(file))

    assert judge.errors(JFK, heard.text).rate <= FEW_ERRORS, heard.text


def test_overdriven_speech(judge: Judge) -> None:
    """Speech far over full scale keeps its words, and costs no more than a retry."""
    clean = judge.recording("en_jfk")

    heard = judge.hear(judge.fault("overdriven.flac"))

    assert judge.errors(JFK_BEGINS, heard.text).rate <= FEW_ERRORS, heard.text
    assert heard.searches <= clean.searches + QUICK_SEARCHES


def test_a_clip_too_short_to_be_sure_of(judge: Judge) -> None:
    """Half a second, whatever its words, is not tried again and again."""
    heard = judge.hear(judge.fault("clip_0.4s.flac"))

    assert heard.windows == 1
    assert heard.searches <= QUICK_SEARCHES


def test_quiet_speech(judge: Judge) -> None:
    """A recording whose peaks are 60 dB below full scale has its words."""
    recording = judge.plain_english()

    heard = judge.hear(judge.at_level(recording.samples, -60))

    assert judge.errors(recording.text, heard.text).rate <= QUIET_ERRORS, heard.text


def test_another_language_after_two_seconds(judge: Judge) -> None:
    """Two seconds of English do not make the German after them English."""
    recording = judge.code_switch()

    heard = judge.hear(recording.file)

    assert judge.errors(recording.text, heard.text, "de").rate <= SWITCH_ERRORS, heard.text
    assert heard.language == "de"


def test_cues_follow_the_clock_of_the_container(judge: Judge) -> None:
    """Sound that begins five seconds into a film has its first cue there."""
    heard = judge.hear(judge.fault("audio_starts_at_5s.mkv"))

    assert SOUND_BEGINS <= heard.words[0].start <= SOUND_BEGINS + 2 * CUE_TOLERANCE


def test_cues_follow_a_recorder_that_paused(judge: Judge) -> None:
    """What comes after a gap in the packets' times has later cues by the gap."""
    end = judge.recording("en_jfk").words[-1].start

    heard = judge.hear(judge.fault("pause_in_timestamps.webm"))

    assert heard.words[-1].start == pytest.approx(end + PAUSE, abs=CUE_TOLERANCE)


def test_a_recording_twice(judge: Judge) -> None:
    """The same sentence after four seconds of nothing is heard a second time, and nothing in between."""
    samples = judge.recordings["en_jfk"].samples
    silence = np.zeros(4 * 16_000, np.float32)

    heard = judge.hear(np.concatenate([samples, silence, samples]))

    assert judge.errors(f"{JFK} {JFK}", heard.text).rate <= FEW_ERRORS, heard.text
