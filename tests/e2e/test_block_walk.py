"""Whisper's own walk through the whole path says what faster-whisper's does: same windows, same words.

The recordings differ for the model in their level only, so times may differ by a step or two of 20 ms.
"""

import difflib
import io
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

import anyio
import numpy as np
import pytest
from faster_whisper import WhisperModel

from gateway.audio.chunking import ChunkingOptions
from gateway.audio.decode import decode
from gateway.audio.silero import SileroModel
from gateway.audio.source import FileSource
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import Capabilities, DecodeOptions, DecodeRequest, Priority
from gateway.engine.batcher import Batcher
from gateway.engine.whisper.engine import WhisperSpec
from gateway.flow.options import Recognition, Resources
from gateway.flow.recording import open_transcription
from gateway.metrics import Metrics
from gateway.transcript import Hypothesis, TextDelta, Transcript, TranscriptDone
from tests.audio.sound import int16, wav
from tests.support import MODEL, Sample, live_server

pytestmark = pytest.mark.slow

PARTS = ("en_long", "en_flite_rms", "en_numbers", "en_flite_slt", "en_long")
"""Nearly three minutes: one of the cuts at 30 s falls into a sentence."""


class Growing(io.BytesIO):
    """A recording that arrives in odd pieces and cannot seek yet."""

    def seekable(self) -> bool:
        """Not yet."""
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        """A little at a time."""
        return super().read(min(size or 7_001, 7_001))


@dataclass
class Counted:
    """A recognizer and the rows it was asked for."""

    inner: Batcher
    rows: int = 0

    @property
    def name(self) -> str:
        """As `Recognizer`."""
        return self.inner.name

    @property
    def capabilities(self) -> Capabilities:
        """As `Recognizer`."""
        return self.inner.capabilities

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `Recognizer`."""
        self.rows += 1
        return await self.inner.transcribe(request, stream=stream, priority=priority)


@asynccontextmanager
async def running(mini_whisper: WhisperSpec) -> AsyncIterator[Counted]:
    """The miniature in a worker process."""
    batcher = Batcher(mini_whisper, Metrics())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.run)
        await batcher.wait_ready()
        yield Counted(batcher)
        tasks.cancel_scope.cancel()


@pytest.fixture(scope="module")
def reference() -> WhisperModel:
    """faster-whisper itself on the same model."""
    return WhisperModel(str(MODEL), device="cpu", compute_type="float32", cpu_threads=1)


@pytest.fixture(scope="module")
def exact_whisper(mini_whisper: WhisperSpec) -> WhisperSpec:
    """The miniature in float32: int8 makes other words of what kernels round differently."""
    return replace(mini_whisper, compute_type="float32")


@pytest.fixture(scope="module")
def recordings(samples: dict[str, Sample]) -> dict[str, Samples]:
    """Decoded."""
    names = dict.fromkeys(PARTS)
    return {
        name: np.concatenate(list(decode(io.BytesIO(samples[name].path.read_bytes()), max_seconds=100)))
        for name in names
    }


async def walk(source: io.BytesIO, recognizer: Counted) -> Transcript:
    """The transcript, whose text is that of the deltas."""
    resources = Resources(SileroModel.load(), anyio.CapacityLimiter(1), Metrics())
    decoding = DecodeOptions(language="en", words=True, logprobs=True)
    deltas = []
    async with open_transcription(
        FileSource(source),
        Recognition(lambda: nullcontext(recognizer), "mini", decoding),
        resources,
        chunking=ChunkingOptions(windows="block"),
    ) as transcription:
        async for event in transcription:
            if isinstance(event, TextDelta):
                deltas.append(event.text)
            if isinstance(event, TranscriptDone):
                assert "".join(deltas) == event.transcript.text
                return event.transcript
    raise AssertionError


@pytest.mark.parametrize("parts", [("en_long",), PARTS])
async def test_says_what_faster_whisper_says(
    parts: tuple[str, ...],
    exact_whisper: WhisperSpec,
    reference: WhisperModel,
    recordings: dict[str, Samples],
    samples: dict[str, Sample],
) -> None:
    """Segment by segment, from the same windows; the words end where they were spoken: no drift."""
    recording = np.concatenate([recordings[part] for part in parts])
    theirs = list(
        reference.transcribe(recording, language="en", condition_on_previous_text=False, vad_filter=False)[0]
    )

    async with running(exact_whisper) as recognizer:
        ours = await walk(io.BytesIO(wav(int16(recording))), recognizer)

    assert [segment.text for segment in ours.segments] == [segment.text for segment in theirs]
    assert [segment.seek for segment in ours.segments] == [segment.seek for segment in theirs]
    for ends in ("start", "end"):
        assert [getattr(segment, ends) for segment in ours.segments] == pytest.approx(
            [getattr(segment, ends) for segment in theirs], abs=0.1
        )
    # Ends, for behind silence at a window's start Whisper begins the first word in the window's first second.
    truth = spoken(parts, recordings, samples)
    words = [(word.text.strip(" .").lower(), word.end) for segment in ours.segments for word in segment.words]
    matches = difflib.SequenceMatcher(
        None, [word for word, _ in words], [word for word, _ in truth], autojunk=False
    ).get_matching_blocks()
    pairs = [(words[m.a + n][1], truth[m.b + n][1]) for m in matches for n in range(m.size)]
    assert len(pairs) >= 0.95 * len(truth)
    assert [heard for heard, _ in pairs] == pytest.approx([said for _, said in pairs], abs=0.4)


def spoken(
    parts: tuple[str, ...], recordings: dict[str, Samples], samples: dict[str, Sample]
) -> list[tuple[str, float]]:
    """What is said and when it ends, in the parts one behind the other."""
    words: list[tuple[str, float]] = []
    offset = 0.0
    for part in parts:
        for utterance in samples[part].utterances:
            words += [(word["word"], offset + word["end"]) for word in utterance["words"]]
        offset += len(recordings[part]) / SAMPLE_RATE
    return words


async def test_streamed_is_plain(mini_whisper: WhisperSpec, recordings: dict[str, Samples]) -> None:
    """A recording that is still arriving, in odd pieces, gives the same transcript, to the last digit."""
    file = wav(int16(recordings["en_long"]))

    async with running(mini_whisper) as recognizer:
        plain, streamed = await walk(io.BytesIO(file), recognizer), await walk(Growing(file), recognizer)

    assert streamed == plain


async def test_silence_costs_nothing(mini_whisper: WhisperSpec, recordings: dict[str, Samples]) -> None:
    """A hundred seconds of hiss between two sentences: no window of it alone is decoded, no time is lost."""
    hiss = np.random.default_rng(4).standard_normal(100 * SAMPLE_RATE).astype(np.float32) * np.float32(0.002)
    numbers = recordings["en_numbers"]
    recording = np.concatenate((numbers, hiss, numbers))

    async with running(mini_whisper) as recognizer:
        heard = await walk(io.BytesIO(wav(int16(recording))), recognizer)

    first, second = heard.segments
    assert first.text == second.text == " Seven two zero nineteen forty three thousand."
    assert second.start - first.start == pytest.approx(100 + len(numbers) / SAMPLE_RATE, abs=0.2)
    assert recognizer.rows == 2
    assert heard.duration == pytest.approx(len(recording) / SAMPLE_RATE)


def test_the_setting_through_the_server(mini_whisper: WhisperSpec, samples: dict[str, Sample]) -> None:
    """With `default_chunking=block` an unset strategy walks in windows; a set one means what it says."""
    sample = samples["en_long"]
    with live_server([mini_whisper], default_chunking="block") as server:
        create = server.openai.audio.transcriptions.create
        walked = create(file=sample.path, model="whisper-1", response_format="verbose_json")
        streamed = list(create(file=sample.path, model="whisper-1", stream=True))[-1]
        cut = create(file=sample.path, model="whisper-1", chunking_strategy="auto")

    assert walked.segments is not None
    assert {segment.seek for segment in walked.segments} != {0}
    assert len({segment.seek for segment in walked.segments}) <= 4
    assert streamed.type == "transcript.text.done"
    assert streamed.text == walked.text
    assert cut.text == sample.text
