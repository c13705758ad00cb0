"""Who said what: dialogues whose turns are known, through the whole gateway with a real Whisper.

`python -m bench speakers` makes dialogues of readers (two to four people, turns of 0.8 to 8 s: quiet, with
overlap, in a room, on the telephone), and takes clips of meetings with their truth. Each is heard as a plain
upload and as a stream; then once more with two people known by five seconds of reference, one of whom may not
be there. One engine call decodes a chunk for all of these.
"""

import argparse
import datetime as dt
import io
import os
import sys
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from bench.dialogues import KINDS, Dialogue, Readers, meetings
from bench.diarization import Diarized, judge, one_speaker_words
from bench.hearing import MODEL_VARIABLE, Ears, InProcess, find_base, kernels
from bench.speech import find_speech
from bench.stage import Table, Target
from gateway.audio.chunking import ChunkingOptions
from gateway.audio.silero import SileroModel
from gateway.audio.source import FileSource
from gateway.audio.speaker_model import SpeakerModel, Voice
from gateway.audio.speakers import SpeakerOptions
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeRequest, Priority
from gateway.flow.options import Resources
from gateway.flow.recording import open_transcription
from gateway.flow.speakers import Speakers, enrol_all
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.speakers import weights
from gateway.protocol.request import TranscriptionRequest
from gateway.server.service import recognition
from gateway.transcript import Hypothesis, SegmentDone, Transcript, TranscriptDone

DIALOGUES, QUICK_DIALOGUES = 9, 3
WAYS = ("plain", "streamed")
MEETINGS = "meetings"


@dataclass(slots=True)
class Remembering(InProcess):
    """Decodes a chunk once, however often it is asked for."""

    _known: dict[bytes, Hypothesis] = field(default_factory=dict)

    async def transcribe(
        self, request: DecodeRequest, *, stream: Hashable, priority: Priority = Priority.FILE
    ) -> Hypothesis:
        """As `InProcess`."""
        key = request.samples.tobytes() + repr(request.options).encode()
        if key not in self._known:
            self._known[key] = await InProcess.transcribe(self, request, stream=stream, priority=priority)
        return self._known[key]


class Timed(SpeakerModel):
    """Sums up what hearing voices costs."""

    cpu = audio = 0.0

    def hear(self, samples: Samples, breaks: Sequence[int] = ()) -> list[Voice]:
        """As `SpeakerModel`."""
        begin = time.thread_time()
        voices = SpeakerModel.hear(self, samples, breaks)
        Timed.cpu += time.thread_time() - begin
        Timed.audio += len(samples) / SAMPLE_RATE
        return voices


@dataclass(slots=True)
class Acceptance:
    """Words of known speakers and of strangers, and which of them went wrong."""

    known: int = 0
    rejected: int = 0
    strangers: int = 0
    taken: int = 0


class Listener:
    """The gateway's own flow, in this process."""

    def __init__(self, ears: Ears, model: SpeakerModel) -> None:
        self.model = model
        self._recognizer = Remembering(ears.engine)
        self._vad = SileroModel.load()

    def hear(self, dialogue: Dialogue, way: str, options: SpeakerOptions) -> Transcript:
        """One recording, plain or streamed; a stream's segments are as they were emitted."""
        return anyio.run(partial(self._hear, dialogue.file, way, options))

    async def _hear(self, file: bytes, way: str, options: SpeakerOptions) -> Transcript:
        request = TranscriptionRequest(model="whisper", response_format="diarized_json")
        speakers = Speakers(self.model, options, at_end=way == "plain")
        wanted = recognition(request, self._recognizer, task="transcribe", logprobs=False, speakers=speakers)
        resources = Resources(self._vad, anyio.CapacityLimiter(1), Metrics())
        segments = []
        async with open_transcription(
            FileSource(io.BytesIO(file)), wanted, resources, chunking=ChunkingOptions()
        ) as transcription:
            async for event in transcription:
                match event:
                    case SegmentDone(segment=segment):
                        segments.append(segment)
                    case TranscriptDone(transcript):
                        done = transcript
        if tuple(segments) != done.segments:
            raise AssertionError("what was emitted is not what is in the transcript")
        return done


def run(
    listener: Listener, readers: Readers, clips: Sequence[Dialogue], count: int
) -> Iterator[Table | Target]:
    """Everything, table by table."""
    found = defaultdict[tuple[str, str], Diarized](Diarized)
    alone = defaultdict[str, tuple[int, int]](lambda: (0, 0))
    known = defaultdict[str, Acceptance](Acceptance)
    made = [readers.dialogue(number, kind) for kind in KINDS for number in range(count)]
    for dialogue in [*made, *clips]:
        kind = dialogue.name.partition(" ")[0] if dialogue in made else MEETINGS
        for way in WAYS:
            transcript = listener.hear(dialogue, way, SpeakerOptions())
            found[kind, way] += judge(dialogue.turns, transcript)
            if dialogue in made:
                accepted = _known(listener, readers, dialogue, way)
                total = known[way]
                for name in Acceptance.__slots__:
                    setattr(total, name, getattr(total, name) + getattr(accepted, name))
        right, words = one_speaker_words(dialogue.turns, transcript)
        alone[kind] = alone[kind][0] + right, alone[kind][1] + words
        print(f"  {dialogue.name}", file=sys.stderr, flush=True)
    kinds = [*KINDS, MEETINGS]
    columns = ("recordings", "way", "words right", "confusion", "error rate", "count right", "if one spoke")
    yield Table(
        "Who said what",
        columns,
        [(kind, way, *_figures(found[kind, way]), _share(*alone[kind])) for kind in kinds for way in WAYS],
    )
    yield Table(
        "Known speakers, of two references of 5 s each: words",
        ("way", "rejected", "strangers taken"),
        [
            (way, _share(one.rejected, one.known), _share(one.taken, one.strangers))
            for way, one in known.items()
        ],
    )
    yield from _targets(found, known)
    cost = Timed.cpu / Timed.audio * 60
    yield Target("at most 2 CPU seconds more a minute, for hearing voices", f"{cost:.2f}", cost <= 2)


def _known(listener: Listener, readers: Readers, dialogue: Dialogue, way: str) -> Acceptance:
    """With the first speaker known, and one who is not there, if there is one."""
    away = [reader for reader in readers.names if reader not in dialogue.speakers]
    names = [dialogue.speakers[0], *away[:1]]
    references = [(name, readers.reference(name)) for name in names]
    options = SpeakerOptions(anyio.run(enrol_all, listener.model, references))
    found = Acceptance()
    for segment in listener.hear(dialogue, way, options).segments:
        for word in segment.words:
            middle = (word.start + word.end) / 2
            speaking = {turn.speaker for turn in dialogue.turns if turn.start <= middle < turn.end}
            if len(speaking) == 1:
                is_known = speaking <= set(names)
                found.known += is_known
                found.rejected += is_known and segment.speaker not in speaking
                found.strangers += not is_known
                found.taken += not is_known and segment.speaker in names
    return found


def _targets(found: dict[tuple[str, str], Diarized], known: dict[str, Acceptance]) -> Iterator[Target]:
    total = {
        way: sum(
            (figures for (kind, of), figures in found.items() if of == way and kind in KINDS), Diarized()
        )
        for way in WAYS
    }
    for way, least in zip(WAYS, (0.96, 0.91), strict=True):
        share = total[way].right_words / max(1, total[way].words)
        yield Target(f"made dialogues, {way}: {least:.0%} of the words right", f"{share:.1%}", share >= least)
    share = total["plain"].right_counts / max(1, total["plain"].recordings)
    yield Target("made dialogues, plain: the number of speakers right in 90%", f"{share:.0%}", share >= 0.9)
    clips = found[MEETINGS, "plain"]
    share = clips.right_words / max(1, clips.words)
    yield Target("meetings, plain: 86% of the words right", f"{share:.1%}", share >= 0.86)
    share = clips.confused / max(1, clips.frames)
    yield Target("meetings, plain: at most 9% confused", f"{share:.1%}", share <= 0.09)
    one = known["plain"]
    rejected, taken = one.rejected / max(1, one.known), one.taken / max(1, one.strangers)
    yield Target(
        "known speakers, plain: at most 3% of their words rejected", f"{rejected:.1%}", rejected <= 0.03
    )
    yield Target("known speakers, plain: at most 2% of strangers' words taken", f"{taken:.1%}", taken <= 0.02)


def _figures(figures: Diarized) -> tuple[str, ...]:
    return (
        _share(figures.right_words, figures.words),
        _share(figures.confused, figures.frames),
        f"{figures.error_rate:.1%}",
        f"{figures.right_counts} of {figures.recordings}",
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def main(arguments: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench speakers", description=__doc__)
    parser.add_argument("speech", nargs="?", type=Path, default=find_speech(), help="default: %(default)s")
    parser.add_argument("--model", type=Path, help="a converted Whisper; default: base of the hub's cache")
    parser.add_argument("--speakers", default="auto", help="as GATEWAY_SPEAKERS; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_DIALOGUES} dialogues of each kind")
    known = parser.parse_args(arguments)
    model = known.model or find_base()
    if model is None:
        parser.error(f"no Whisper base: `gateway models pull base`, or name its folder in {MODEL_VARIABLE}")
    if not (known.speech / "readers").is_dir():
        parser.error(f"no readers in {known.speech}")
    listener = Listener(Ears(model), Timed.load(weights.get(known.speakers, Hub())))
    readers, clips = Readers(known.speech / "readers"), list(meetings(known.speech / "dialogues"))
    for finding in run(listener, readers, clips, QUICK_DIALOGUES if known.quick else DIALOGUES):
        print(f"\n{finding.markdown()}", flush=True)
    print(f"\n{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores; {model.name}, {kernels()}.")
