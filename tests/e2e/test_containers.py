"""Every container and codec is heard, whatever its name says, at any rate, channel count and level."""

from difflib import SequenceMatcher

import numpy as np
import pytest

from gateway.audio.decode import decode
from gateway.audio.types import Samples
from tests.audio.sound import ENCODINGS, encode, wav
from tests.support import LiveServer, Sample

LOSSY = {"amr", "wav_8k_mulaw"}
"""Telephone codecs: the miniature's margins are too thin for an exact text."""


def decoded(sample: Sample) -> Samples:
    """The recording, at 16 kHz."""
    with sample.path.open("rb") as file:
        return np.concatenate(list(decode(file, max_seconds=100)))


@pytest.mark.parametrize(
    ("name", "video"),
    [
        *((name, None) for name in sorted(ENCODINGS.keys() - LOSSY)),
        ("mp4", "mpeg4"),
        ("mkv", "mpeg4"),
        ("mpegts", "mpeg2video"),
    ],
)
def test_containers(server: LiveServer, samples: dict[str, Sample], name: str, video: str | None) -> None:
    """The words are those of the original; the file's name is a lie and does not matter."""
    audio = encode(decoded(samples["en_numbers"]), ENCODINGS[name], video=video)
    answer = server.openai.audio.transcriptions.create(file=("lie.txt", audio), model="whisper-1")

    assert answer.text == samples["en_numbers"].text


@pytest.mark.parametrize("name", ["en_heldout_voice", "en_flite_slt", "de_zahlen", "en_long"])
def test_a_quiet_recording_reads_like_a_loud_one(
    server: LiveServer, samples: dict[str, Sample], name: str
) -> None:
    """At -40 dBFS the transcript is that of -14 dBFS, but for a word in twenty.

    The miniature is at its limit in a window full of speech, where a sample more or less changes its mind.
    """
    original = decoded(samples[name])
    loudness = 20 * np.log10(np.sqrt(np.mean(original.astype(np.float64) ** 2)))
    texts = []
    for dbfs in (-40, -14):
        scaled = original * np.float32(10 ** ((dbfs - loudness) / 20))
        answer = server.openai.audio.transcriptions.create(file=("a.wav", wav(scaled)), model="whisper-1")
        texts.append(answer.text)

    for text, other in (texts, [texts[0], samples[name].text]):
        assert SequenceMatcher(None, text.split(), other.split(), autojunk=False).ratio() >= 0.95
