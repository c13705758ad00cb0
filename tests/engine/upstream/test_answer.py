"""An upstream's answer becomes a hypothesis with all that it says, and nothing that it does not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.upstream.answer import DETECTED_PROBABILITY, hypothesis_of
from gateway.transcript import Hypothesis
from gateway.transcript.tokens import text_of
from tests.upstream_server import TEXT, Asked, Dialect, gpt_4o, vllm, whisper_1

SECONDS = 6.5


def request(breaks: tuple[float, ...] = (), **options: Any) -> DecodeRequest:
    """A row of a few seconds."""
    samples = np.zeros(round(SECONDS * SAMPLE_RATE), np.float32)
    at = tuple(round(each * SAMPLE_RATE) for each in breaks)
    return DecodeRequest(samples, DecodeOptions(**options), breaks=at)


def answer(dialect: Dialect, **fields: Any) -> Any:
    """What a published server says to it."""
    fields = {"model": ["m"], "response_format": ["verbose_json"], **fields}
    return dialect(Asked("/v1/audio/transcriptions", fields, SECONDS, None, 0), TEXT)[1]


def text(hypothesis: Hypothesis) -> str:
    """All segments'; their tokens and words join to them."""
    for segment in hypothesis.segments:
        assert text_of(segment.tokens) == segment.text
        assert not segment.words or "".join(word.text for word in segment.words) == segment.text
        assert 0 <= segment.start < segment.end <= SECONDS + 0.1
    return "".join(segment.text for segment in hypothesis.segments)


def test_whisper() -> None:
    """Segments with their figures, words with their marks, the language by its code."""
    body = answer(whisper_1, **{"timestamp_granularities[]": ["word", "segment"]})
    hypothesis = hypothesis_of(body, request(words=True))
    first, second = hypothesis.segments

    assert text(hypothesis) == f" {TEXT}"
    assert (hypothesis.language, hypothesis.language_probability) == ("en", DETECTED_PROBABILITY)
    assert (first.start, first.end, second.start) == (0.0, 4.5, 4.5)
    assert [word.text for word in second.words] == [" It", " never", " looks", " back."]
    assert [word.start for word in second.words] == [4.5, 5.0, 5.5, 6.0]
    assert (first.avg_logprob, first.no_speech_prob) == (-0.25, 0.01)
    assert first.words[0].probability == pytest.approx(0.7788, abs=1e-3)
    assert all(token.logprob is None for token in first.tokens)


def test_vllm() -> None:
    """Figures that it leaves out are 0; no words are no words."""
    hypothesis = hypothesis_of(answer(vllm), request(words=True))

    assert text(hypothesis) == f" {TEXT}"
    assert [segment.words for segment in hypothesis.segments] == [(), ()]
    assert [segment.no_speech_prob for segment in hypothesis.segments] == [0.0, 0.0]


def test_logprobs() -> None:
    """Tokens are the upstream's, cut at its sentences, whose times are guessed."""
    body = answer(gpt_4o, response_format=["json"], **{"include[]": ["logprobs"]})
    hypothesis = hypothesis_of(body, request(logprobs=True, breaks=(4.0,)))
    first, second = hypothesis.segments

    assert text(hypothesis) == f" {TEXT}"
    assert {token.logprob for segment in (first, second) for token in segment.tokens} == {-0.125}
    assert (first.avg_logprob, first.end, second.start) == (-0.125, 4.0, 4.0)
    assert (hypothesis.language, hypothesis.language_probability) == (None, 0.0)


def test_logprobs_of_another_text() -> None:
    """Tokens that do not join to the text are none of it; special ones are left out."""
    body = answer(gpt_4o, response_format=["json"], **{"include[]": ["logprobs"]})
    end = {"token": "<|endoftext|>", "logprob": -0.5, "bytes": list(b"<|endoftext|>")}
    with_end = hypothesis_of({**body, "logprobs": [*body["logprobs"], end]}, request(logprobs=True))
    without = hypothesis_of({**body, "logprobs": body["logprobs"][1:]}, request(logprobs=True))

    assert text(with_end) == text(without) == f" {TEXT}"
    assert {token.logprob for token in with_end.segments[0].tokens} == {-0.125}
    assert {token.logprob for token in without.segments[0].tokens} == {None}


@pytest.mark.parametrize(
    "change",
    [
        lambda start, end: (None, None),
        lambda start, end: (start, None),
        lambda start, end: ("soon", "later"),
        lambda start, end: (float("nan"), end),
        lambda start, end: (int(start * 1e9), int(end * 1e9)),
        lambda start, end: (start + 1000, end + 1000),
        lambda start, end: (start - 5, end),
        lambda start, end: (SECONDS - start, SECONDS - end),
        lambda start, end: (SECONDS - end, SECONDS - start),
    ],
)
def test_times_that_cannot_be(change: Callable[[float, float], tuple[Any, Any]]) -> None:
    """Segments without times, with others' units or in another order are where their sentences may be."""
    body = answer(whisper_1, **{"timestamp_granularities[]": ["word", "segment"]})
    for entry in body["segments"]:
        entry["start"], entry["end"] = change(entry["start"], entry["end"])
    first, second = hypothesis_of(body, request(breaks=(4.0,))).segments
    by_words = [(each.start, each.end) for each in hypothesis_of(body, request(words=True)).segments]
    for entry in body["words"]:
        entry["start"], entry["end"] = change(entry["start"], entry["end"])
    neither = hypothesis_of(body, request(words=True))
    words = [word for segment in neither.segments for word in segment.words]

    assert (first.start, first.end, second.start, second.end) == (0.0, 4.0, 4.0, SECONDS)
    assert (first.avg_logprob, first.no_speech_prob) == (-0.25, 0.01)
    # Words that have good ones tell it better.
    assert by_words == [(0.0, 4.5), (4.5, 6.5)]
    assert text(neither) == f" {TEXT}"
    assert all(0 <= word.start <= word.end <= SECONDS for word in words)


def test_times_as_texts() -> None:
    """Are times, as vLLM's duration is one; a little outside of the recording is its end."""
    body = answer(whisper_1, **{"timestamp_granularities[]": ["word", "segment"]})
    for entry in (*body["segments"], *body["words"]):
        entry["start"], entry["end"] = f"{entry['start'] - 0.25}", f"{entry['end'] + 0.5}"
    first, second = hypothesis_of(body, request(words=True)).segments

    assert (first.start, first.end, second.start, second.end) == (0.0, 5.0, 4.25, SECONDS)
    assert (first.words[0].start, first.words[1].start, second.words[-1].end) == (0.0, 0.25, SECONDS)


def test_words_alone_give_times_to_sentences() -> None:
    """Where there are no segments."""
    body = answer(whisper_1, **{"timestamp_granularities[]": ["word"]})
    del body["segments"]
    first, second = hypothesis_of(body, request(words=True)).segments

    assert (first.text, first.start, first.end) == (f" {TEXT.split('.')[0]}.", 0.0, 4.5)
    assert (second.start, second.end) == (4.5, 6.5)


def test_words_within_segments() -> None:
    """As servers on faster-whisper give them."""
    body = answer(whisper_1)
    body["segments"] = body["segments"][1:]
    body["text"] = "It never looks back."
    body["segments"][0]["words"] = [{"word": " It", "start": 4.5, "end": 5, "probability": 0.9}]
    [segment] = hypothesis_of(body, request(words=True)).segments

    assert [(word.text, word.probability) for word in segment.words] == [(" It never looks back.", 0.9)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [("english", "en"), ("de", "de"), ("DE-at", "de"), ("mandarin", "zh"), ("klingon", None), (7, None)],
)
def test_language(said: object, expected: str | None) -> None:
    """By name or code; one that nobody knows is none."""
    body = {"text": "Hello.", "language": said}

    assert hypothesis_of(body, request()).language == expected
    assert hypothesis_of({"text": "Hello."}, request(language="fr")).language == "fr"
    assert hypothesis_of({"text": "今日は良い"}, request()).language == "ja"


def test_scripts_without_spaces() -> None:
    """No space is put before them."""
    hypothesis = hypothesis_of({"text": "今日は。はい。"}, request())

    assert [segment.text for segment in hypothesis.segments] == ["今日は。", "はい。"]


@pytest.mark.parametrize("body", [{"text": ""}, {"text": " ", "segments": [], "words": []}])
def test_silence(body: dict[str, Any]) -> None:
    """Nothing is said, and nothing claimed."""
    assert hypothesis_of(body, request(words=True, logprobs=True)).segments == ()


@pytest.mark.parametrize("body", [None, [], "text", {}, {"text": None}, {"error": {"message": "no"}}])
def test_no_transcript(body: object) -> None:
    """Whatever else comes is told from one."""
    with pytest.raises(ValueError, match="without a text"):
        hypothesis_of(body, request())


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["text", "start", "end", "word", "words", "token", "logprob", "bytes", "avg_logprob", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"text": st.text(max_size=20)},
        optional=dict.fromkeys(("segments", "words", "logprobs", "language", "language_probability"), JSON),
    ),
    st.sampled_from([{}, {"words": True}, {"logprobs": True}, {"words": True, "logprobs": True}]),
)
def test_whatever_comes(body: dict[str, Any], asked: dict[str, Any]) -> None:
    """A text is a transcript, however broken the rest is."""
    text(hypothesis_of(body, request(**asked)))


@pytest.mark.parametrize(
    "number",
    [10**400, -(10**400), 1e308, -1e308, float("nan"), float("inf")],
    ids=lambda number: f"{number}"[:5],
)
def test_numbers_that_no_chunk_has(number: float) -> None:
    """Count as not given, wherever they stand; JSON knows whole numbers that no float holds."""
    body = answer(whisper_1, **{"timestamp_granularities[]": ["word", "segment"]})
    for entry in (*body["segments"], *body["words"]):
        entry.update(dict.fromkeys(entry.keys() - {"text", "word"}, number))
    body["language_probability"] = number
    logprobs = [{"token": TEXT, "logprob": number, "bytes": [number]}, {"token": TEXT, "logprob": number}]

    assert text(hypothesis_of(body, request(words=True))) == f" {TEXT}"
    for tokens in ([logprobs[0]], [logprobs[1]], [logprobs[1]] * 2):
        assert text(hypothesis_of({"text": TEXT, "logprobs": tokens}, request(logprobs=True))) == f" {TEXT}"


def test_halves_of_characters() -> None:
    """JSON may escape what no text is."""
    assert (
        text(hypothesis_of({"text": "a \ud83d b", "segments": [{"text": "\ud83d"}]}, request())) == " a ? b"
    )
