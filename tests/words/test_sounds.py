"""Where nobody speaks nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.words.judge import Judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOUNDS = (
    "silence",
    "white noise",
    "pink noise",
    "brown noise",
    "hum of 50 Hz",
    "clicks",
    "sweeps",
    "chords",
    "breathing",
)


@pytest.mark.parametrize("sound", SOUNDS)
def test_no_text_without_speech(judge: Judge, sound: str) -> None:
    """Half a minute of a sound has not one word."""
    assert not judge.hear(judge.sounds[sound]).text


@pytest.mark.parametrize("sound", ["silence", "pink noise"])
def test_prompt_and_keywords_stay_inside(judge: Judge, sound: str) -> None:
    """What a client expects to hear does not come out where nothing is said."""
    heard = judge.hear(
        judge.sounds[sound], prompt="The minutes of the meeting.", keywords=("Kubernetes", "Anna Schmidt")
    )

    assert not heard.text


def test_all_sounds_are_tested(judge: Judge) -> None:
    """The list names those there are."""
    assert set(SOUNDS) == set(judge.sounds)
