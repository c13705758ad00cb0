"""Real Whisper on real recordings, each heard once for all tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.hearing import Ears, Heard
from bench.speech import Recording, bases, code_switch, load
from bench.variants import at_level, sounds, wav
from bench.wer import Joins, Score, judge_joins, normal, score
from gateway.audio.loudness import normalise
from gateway.audio.types import SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.transcript import Hypothesis

THREADS = 2

SOME_SECONDS = 100.0
"""Of a language other than English: enough for a loose bound."""


class Judge:
    """Hears, remembers and counts.

    Attributes:
        model: Where it lies.
        recordings: By name.
        sounds: Without speech, by name.
    """

    def __init__(self, model: Path, speech: Path) -> None:
        self.model = model
        self._ears = Ears(model, threads=THREADS)
        self._speech = speech
        self._known: dict[tuple[str, str], Heard] = {}
        self.recordings = {recording.name: recording for recording in load(speech)}
        self.sounds = sounds()

    def hear(self, sound: bytes | Samples, way: str = "plain", **fields: Any) -> Heard:
        """A file or samples, by one of the gateway's ways; the language is detected."""
        return self._ears.hear(way, sound if isinstance(sound, bytes) else wav(sound), **fields)

    def decode(self, chunk: Samples, options: DecodeOptions) -> str:
        """A chunk as the engine hears it, whether or not anything found speech in it."""
        [result] = self._ears.engine.transcribe([DecodeRequest(normalise(chunk), options)])
        assert isinstance(result, Hypothesis), result
        return "".join(segment.text for segment in result.segments)

    def recording(self, name: str, way: str = "plain") -> Heard:
        """One of the recordings."""
        if (name, way) not in self._known:
            self._known[name, way] = self.hear(self.recordings[name].file, way)
        return self._known[name, way]

    def fault(self, name: str) -> bytes:
        """A file that once went wrong."""
        return (self._speech / "faults" / name).read_bytes()

    def of(self, language: str) -> list[Recording]:
        """All English recordings, some of another language."""
        chosen: list[Recording] = []
        seconds = 0.0
        for one in self.recordings.values():
            if one.language == language and (language == "en" or seconds < SOME_SECONDS):
                chosen.append(one)
                seconds += len(one.samples) / SAMPLE_RATE
        return chosen

    def score(self, recordings: Iterable[Recording], way: str = "plain") -> Score:
        """Their errors together."""
        return sum(
            (score(one.text, self.recording(one.name, way).text, one.language) for one in recordings),
            Score(),
        )

    def joins(self, recordings: Iterable[Recording], way: str = "plain") -> Joins:
        """What happened at their joins together."""
        found = Joins()
        for one in recordings:
            heard = self.recording(one.name, way)
            found += judge_joins(one.text, heard.text, heard.joins, one.language)
        return found

    def errors(self, reference: str, heard: str, language: str = "en") -> Score:
        """Of one text."""
        return score(reference, heard, language)

    def normal(self, text: str, language: str = "en") -> str:
        """A text as words are compared."""
        return normal(text, language)

    def at_level(self, samples: Samples, decibels: float) -> Samples:
        """With its peak at that level."""
        return at_level(samples, decibels)

    def plain_english(self) -> Recording:
        """One of half a minute to a minute."""
        return bases(list(self.recordings.values()), 1)[0]

    def code_switch(self) -> Recording:
        """Two seconds of English, then German."""
        switch = code_switch(list(self.recordings.values()))
        assert switch is not None
        return switch
