"""Every container and codec is heard, whatever its name says, at any rate, channel count and level."""

from difflib import SequenceMatcher

import numpy as np
import pytest

from gateway.audio.decode import decode
from gateway.audio.types import SAMPLE_RATE, Samples
from tests.audio.sound import ENCODINGS, encode, wav
from tests.audio.test_decode_times import WITH_CLOCK, moved
from tests.audio.test_tracks import film
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


def test_the_track_that_is_wanted(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Of a film's two tracks the one that is named, else the default one; times and length are the film's."""
    english, german = decoded(samples["en_numbers"]), decoded(samples["de_zahlen"])
    length = max(len(english), len(german))
    late = np.zeros(SAMPLE_RATE * 2, np.float32)
    tracks = [np.pad(part, (0, length - len(part))) for part in (english, german)]
    file = film([np.concatenate([late, track]) for track in tracks], default=1)
    texts = {
        track: server.post(model="whisper-1", file=("a.mkv", file), **fields).json()["text"]
        for track, fields in {None: {}, 1: {"track": "1"}, 2: {"track": "2"}}.items()
    }

    assert texts == {1: samples["en_numbers"].text, 2: samples["de_zahlen"].text, None: texts[2]}


def test_times_follow_a_recorder_that_paused(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Words and duration count what the stamps leave out."""
    speech = decoded(samples["en_numbers"])
    once = len(speech) / SAMPLE_RATE
    file = moved(np.tile(speech, 2), WITH_CLOCK["matroska"], lambda time: time + 20 * (time >= once))
    answer = server.openai.audio.transcriptions.create(
        file=("a.mkv", file),
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    words = answer.words or []
    half = len(words) // 2

    assert answer.duration == pytest.approx(2 * once + 20, abs=0.1)
    assert [word.word for word in words[:half]] == [word.word for word in words[half:]]
    assert [word.start + once + 20 for word in words[:half]] == pytest.approx(
        [word.start for word in words[half:]], abs=0.3
    )


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
