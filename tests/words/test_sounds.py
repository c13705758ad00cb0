"""Where nobody speaks nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.engine.api import DecodeOptions

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

DOUBTFUL = pytest.mark.xfail(
    strict=False,
    reason="0.7 s of chords pass for speech, and on some processors base hears a word in them",
)
"""Its no-speech probability, 0.9, is one that such short pieces of real speech have, too."""


@pytest.mark.parametrize(
    "sound", [pytest.param(each, marks=DOUBTFUL if each == "chords" else ()) for each in SOUNDS]
)
def test_no_text_without_speech(judge: Judge, sound: str) -> None:
    """Half a minute of a sound has not one word."""
    assert not judge.hear(judge.sounds[sound]).text


def test_chords_are_a_word_at_most(judge: Judge) -> None:
    """Whatever the processor."""
    assert len(judge.hear(judge.sounds["chords"]).text.split()) <= 1


@pytest.mark.parametrize("sound", ["silence", "pink noise"])
def test_prompt_and_keywords_stay_inside(judge: Judge, sound: str) -> None:
    """What a client expects to hear does not come out where nothing is said."""
    heard = judge.hear(
        judge.sounds[sound], prompt="The minutes of the meeting.", keywords=("Kubernetes", "Anna Schmidt")
    )

    assert not heard.text


@pytest.mark.parametrize(
    ("sound", "seconds"), [("pink noise", 1), ("white noise", 5), ("silence", 5), ("brown noise", 28)]
)
def test_prompt_and_keywords_stay_inside_the_engine(judge: Judge, sound: str, seconds: int) -> None:
    """Nor do they come where a client says by itself when somebody speaks, and is wrong."""
    prompt = "The minutes of the meeting. Present were Anna Schmidt, Dr. Okonkwo and the board."
    options = DecodeOptions(language="en", prompt=prompt, keywords=("Kubernetes", "Anna Schmidt"))

    text = judge.decode(judge.sounds[sound][: seconds * 16_000], options).lower()

    assert not {
        word for word in ("minutes", "meeting", "present", "schmidt", "kubernetes") if word in text
    }, text


def test_all_sounds_are_tested(judge: Judge) -> None:
    """The list names those there are."""
    assert set(SOUNDS) == set(judge.sounds)
