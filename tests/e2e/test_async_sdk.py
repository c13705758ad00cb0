"""The asynchronous client gets what the synchronous one gets: every format, language and length."""

from collections.abc import AsyncIterator
from difflib import SequenceMatcher

import numpy as np
import pytest
import srt
import webvtt
from openai import AsyncOpenAI, BadRequestError

from gateway.audio.types import SAMPLE_RATE
from tests.audio.sound import int16, load, wav
from tests.support import LiveServer, Sample


@pytest.fixture
async def client(server: LiveServer) -> AsyncIterator[AsyncOpenAI]:
    """As users build it, without retries."""
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as opened:
        yield opened


@pytest.mark.parametrize("name", ["en_numbers", "de_zahlen", "es_hola", "silence_noise"])
async def test_every_format(client: AsyncOpenAI, samples: dict[str, Sample], name: str) -> None:
    """The same words in all of them, in three languages and in silence."""
    sample = samples[name]
    create = client.audio.transcriptions.create
    plain = await create(file=sample.path, model="whisper-1")
    text = await create(file=sample.path, model="whisper-1", response_format="text")
    cues = list(srt.parse(await create(file=sample.path, model="whisper-1", response_format="srt")))
    vtt = webvtt.from_string(await create(file=sample.path, model="whisper-1", response_format="vtt"))
    verbose = await create(
        file=sample.path,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )

    assert plain.text == text == verbose.text == sample.text
    assert " ".join(cue.content.replace("\n", " ") for cue in cues) == sample.text
    assert " ".join(cue.text.replace("\n", " ") for cue in vtt.captions) == sample.text
    assert verbose.words is not None
    assert " ".join(word.word for word in verbose.words).lower() == sample.text.lower().replace(".", "")


async def test_every_parameter(client: AsyncOpenAI, samples: dict[str, Sample]) -> None:
    """All of them at once, streamed."""
    sample = samples["de_zahlen"]
    stream = await client.audio.transcriptions.create(
        file=sample.path,
        model="gpt-transcribe",
        languages=["de", "es"],
        temperature=0,
        include=["logprobs"],
        chunking_strategy={"type": "server_vad", "threshold": 0.45, "silence_duration_ms": 300},
        stream=True,
        extra_body={"seed": 1},
    )
    events = [event async for event in stream]

    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == sample.text
    assert events[-1].type == "transcript.text.done"
    assert events[-1].logprobs


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_translations(client: AsyncOpenAI, samples: dict[str, Sample]) -> None:
    """Spanish speech in English."""
    answer = await client.audio.translations.create(file=samples["es_hola"].path, model="whisper-1")

    assert "hello world" in answer.text.lower()


async def test_more_than_two_minutes(client: AsyncOpenAI, samples: dict[str, Sample]) -> None:
    """A long recording is the sum of its parts, streamed and plain, and its times run on.

    But for a word in twenty: windows are full of speech, where the miniature is at its limit.
    """
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    speech = load(samples["en_long"].path)
    audio = wav(int16(np.concatenate([speech, silence, speech])))
    create = client.audio.transcriptions.create
    verbose = await create(file=("a.wav", audio), model="whisper-1", response_format="verbose_json")
    stream = await create(file=("a.wav", audio), model="whisper-1", stream=True)
    done = [event async for event in stream][-1]

    assert done.type == "transcript.text.done"
    expected = samples["en_long"].text.split() * 2
    for text in (verbose.text, done.text):
        assert SequenceMatcher(None, text.split(), expected, autojunk=False).ratio() >= 0.95
    assert verbose.segments is not None
    starts = [segment.start for segment in verbose.segments]
    assert starts == sorted(starts)
    shift = (len(speech) + len(silence)) / SAMPLE_RATE
    [first, *_], [*_, last] = samples["en_long"].utterances, samples["en_long"].utterances
    assert starts[0] == pytest.approx(first["start"], abs=0.3)
    assert verbose.segments[-1].end == pytest.approx(shift + last["end"], abs=0.5)
    assert any(start == pytest.approx(shift + first["start"], abs=0.3) for start in starts)


async def test_refusals(client: AsyncOpenAI, samples: dict[str, Sample]) -> None:
    """A stream that is refused raises when it is asked for."""
    with pytest.raises(BadRequestError) as caught:
        await client.audio.transcriptions.create(
            file=samples["en_hello"].path, model="whisper-1", stream=True, language="klingon"
        )

    assert caught.value.param == "language"
