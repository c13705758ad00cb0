"""Times are those of the recording, in its first minute and in its last."""

import io

import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE
from tests.audio.sound import int16, wav
from tests.e2e.test_containers import decoded
from tests.support import LiveServer, Sample

MINUTES = 30
EVERY_SECONDS = 100

EXACT_WORDS = [
    "en_numbers",
    "en_nato_8k",
    "en_flite_slt",
    "en_heldout_voice",
    "en_noisy",
    "de_zahlen",
    "es_hola",
]


def _true_words(sample: Sample) -> list[tuple[str, float, float]]:
    return [
        (word["word"], word["start"], word["end"])
        for utterance in sample.utterances
        for word in utterance["words"]
    ]


def test_word_times_do_not_drift(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Half an hour of recording with speech all along: words are within 0.4 s of their true times.

    A window holds speech that lies minutes apart, and the miniature, made on shorter ones, mistakes some of
    it: what it heard to the letter is judged, which is most, in the first minutes and in the last.
    """
    recording = np.random.default_rng(0).normal(0, 1e-4, MINUTES * 60 * SAMPLE_RATE).astype(np.float32)
    starts = [*range(0, MINUTES * 60 - 20, EVERY_SECONDS), MINUTES * 60 - 10]
    said = [(start, samples[EXACT_WORDS[number % 5]]) for number, start in enumerate(starts)]
    for start, sample in said:
        speech = decoded(sample)
        recording[start * SAMPLE_RATE :][: len(speech)] += speech
    answer = server.openai.with_options(timeout=120).audio.transcriptions.create(
        file=("long.flac", _flac(recording)),
        model="whisper-1",
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )

    assert answer.words is not None
    exact = []
    for start, sample in said:
        heard = [word for word in answer.words if start - 1 < word.start < start + EVERY_SECONDS / 2]
        truth = _true_words(sample)
        if [word.word.lower() for word in heard] == [word for word, _, _ in truth]:
            exact.append(start)
            for word, (_, begin, end) in zip(heard, truth, strict=True):
                assert word.start - start == pytest.approx(begin, abs=0.4)
                assert word.end - start == pytest.approx(end, abs=0.4)
    assert len(exact) >= 0.6 * len(said)
    assert exact[0] < 300
    assert exact[-1] > MINUTES * 60 - 300


def _flac(recording: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> bytes:
    """Half an hour fits into the upload limit only compressed."""
    import av  # noqa: PLC0415

    buffer = io.BytesIO()
    source = av.open(io.BytesIO(wav(int16(recording))), "r")
    with source, av.open(buffer, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=SAMPLE_RATE)
        for frame in source.decode(audio=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("name", EXACT_WORDS)
def test_word_times(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """On every recording, in every language, each word is within 0.3 s of its true time, in order."""
    answer = server.openai.audio.transcriptions.create(
        file=samples[name].path,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    truth = _true_words(samples[name])

    assert answer.words is not None
    assert [word.word.lower() for word in answer.words] == [word for word, _, _ in truth]
    for word, (_, begin, end) in zip(answer.words, truth, strict=True):
        assert word.start == pytest.approx(begin, abs=0.3)
        assert word.end == pytest.approx(end, abs=0.3)
    assert all(word.start <= word.end for word in answer.words)
