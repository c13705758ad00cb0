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
    """Half an hour of recording with speech all along: words are within 0.3 s of their true times.

    A window holds speech that lies minutes apart, and the miniature, made on shorter ones, mistakes some of
    it, so one in twenty may be elsewhere.
    """
    recording = np.random.default_rng(0).normal(0, 1e-4, MINUTES * 60 * SAMPLE_RATE).astype(np.float32)
    truth: list[tuple[str, float, float]] = []
    starts = [*range(0, MINUTES * 60 - 20, EVERY_SECONDS), MINUTES * 60 - 10]
    for number, start in enumerate(starts):
        sample = samples[EXACT_WORDS[number % 5]]
        speech = decoded(sample)
        recording[start * SAMPLE_RATE :][: len(speech)] += speech
        truth += [(word, start + begin, start + end) for word, begin, end in _true_words(sample)]
    answer = server.openai.with_options(timeout=120).audio.transcriptions.create(
        file=("long.flac", _flac(recording)),
        model="whisper-1",
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )

    assert answer.words is not None
    same = []
    for said in truth:
        near = [
            word for word in answer.words if word.word.lower() == said[0] and abs(word.start - said[1]) < 5
        ]
        same += [(min(near, key=lambda word: abs(word.start - said[1])), said)] if near else []
    assert len(same) >= 0.9 * len(truth)
    assert same[-1][1] == truth[-1]
    for times in ([(w.start, begin) for w, (_, begin, _) in same], [(w.end, end) for w, (_, _, end) in same]):
        off = [abs(heard_at - said_at) for heard_at, said_at in times]
        assert np.quantile(off, 0.95) <= 0.3
        assert off[-1] < 0.5


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
