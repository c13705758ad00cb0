"""Clients written for OpenAI's first audio API (`whisper-1`): every format, granularities, translations."""

from itertools import pairwise

import httpx
import pytest
import srt
import webvtt
from openai.types.audio import TranscriptionVerbose

from tests.support import LiveServer, Sample

MODEL = "whisper-1"

# The SDK marks the endpoint as deprecated; clients of it live on.
SDK_WARNS = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


def _words(text: str) -> list[str]:
    return text.lower().replace(".", "").split()


@pytest.mark.parametrize("name", ["en_numbers", "de_zahlen", "es_hola", "en_long"])
def test_text_srt_and_vtt_say_the_same(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """All formats hold the same words; no cue overlaps the next."""
    create = server.openai.audio.transcriptions.create
    file = samples[name].path
    text = create(file=file, model=MODEL, response_format="text")
    cues = list(srt.parse(create(file=file, model=MODEL, response_format="srt")))
    vtt = webvtt.from_string(create(file=file, model=MODEL, response_format="vtt"))

    assert text == samples[name].text
    assert _words(" ".join(cue.content for cue in cues)) == _words(text)
    assert _words(" ".join(cue.text for cue in vtt.captions)) == _words(text)
    assert all(cue.end <= following.start for cue, following in pairwise(cues))
    assert all(len(line) <= 42 for cue in cues for line in cue.content.splitlines())


@pytest.mark.parametrize(
    ("name", "language"), [("en_nato_8k", "english"), ("de_zahlen", "german"), ("es_hola", "spanish")]
)
def test_verbose_json(server: LiveServer, samples: dict[str, Sample], name: str, language: str) -> None:
    """Language, duration, segments and words, in the SDK's own type, strictly; times are true to 0.3 s."""
    sample = samples[name]
    raw = server.openai.audio.transcriptions.with_raw_response.create(
        file=sample.path,
        model=MODEL,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    answer = TranscriptionVerbose.model_validate_json(raw.http_response.text, strict=True)

    assert (answer.language, answer.text) == (language, sample.text)
    assert answer.duration == pytest.approx(sample.duration, abs=0.01)
    truth = [word for utterance in sample.utterances for word in utterance["words"]]
    assert answer.words is not None
    assert [word.word.lower() for word in answer.words] == [word["word"] for word in truth]
    for word, true in zip(answer.words, truth, strict=True):
        assert word.start == pytest.approx(true["start"], abs=0.3)
        assert word.end == pytest.approx(true["end"], abs=0.3)
    assert answer.segments is not None
    assert "".join(segment.text for segment in answer.segments).strip() == sample.text
    assert all(segment.avg_logprob < 0 < segment.compression_ratio for segment in answer.segments)
    assert answer.usage is not None


def test_granularities_choose_the_lists(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Words alone leave the segments out; nothing asked leaves the words out."""
    create = server.openai.audio.transcriptions.create
    file = samples["en_hello"].path
    words = create(file=file, model=MODEL, response_format="verbose_json", timestamp_granularities=["word"])
    neither = create(file=file, model=MODEL, response_format="verbose_json")

    assert (words.segments, neither.words) == (None, None)
    assert words.words
    assert neither.segments


@SDK_WARNS
@pytest.mark.parametrize("name", ["de_zahlen", "es_hola"])
def test_translations(server: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """German and Spanish speech comes back in English."""
    english = " ".join(utterance["english"] for utterance in samples[name].utterances)
    answer = server.openai.audio.translations.create(
        file=samples[name].path, model=MODEL, response_format="verbose_json"
    )

    assert (answer.language, round(answer.duration)) == ("english", round(samples[name].duration))
    missing = set(_words(english)) - set(_words(answer.text))
    assert len(missing) <= 1


@SDK_WARNS
def test_translations_in_every_format(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Translations have the formats of transcriptions."""
    create = server.openai.audio.translations.create
    file = samples["de_zahlen"].path
    text = create(file=file, model=MODEL, response_format="text")
    cues = list(srt.parse(create(file=file, model=MODEL, response_format="srt")))

    assert "morning" in text.lower()
    assert _words(" ".join(cue.content for cue in cues)) == _words(text)
    assert webvtt.from_string(create(file=file, model=MODEL, response_format="vtt"))
    assert create(file=file, model=MODEL).text == text


def test_prompt_and_temperature(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Both are taken; a clear recording keeps its words."""
    answer = server.openai.audio.transcriptions.create(
        file=samples["en_hello"].path, model=MODEL, prompt="Good morning world.", temperature=0
    )

    assert answer.text == "Hello world."


def test_words_need_verbose_json(server: LiveServer, samples: dict[str, Sample]) -> None:
    """As in the live API: a granularity of words with another format is refused, one of segments is not."""
    file = ("a.flac", samples["en_hello"].path.read_bytes())
    refused = server.post(model=MODEL, file=file, **{"timestamp_granularities[]": "word"})
    accepted = server.post(model=MODEL, file=file, **{"timestamp_granularities[]": "segment"})

    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "timestamp_granularities"
    assert accepted.status_code == 200


def test_media_types(server: LiveServer, samples: dict[str, Sample]) -> None:
    """Text and srt are plain text, vtt is vtt, the rest is JSON."""
    file = ("a.flac", samples["en_hello"].path.read_bytes())
    types: dict[str, str] = {}
    for name in ("json", "text", "srt", "verbose_json", "vtt"):
        answer: httpx.Response = server.post(model=MODEL, file=file, response_format=name)
        types[name] = answer.headers["content-type"]

    assert types == {
        "json": "application/json",
        "text": "text/plain; charset=utf-8",
        "srt": "text/plain; charset=utf-8",
        "verbose_json": "application/json",
        "vtt": "text/vtt; charset=utf-8",
    }
