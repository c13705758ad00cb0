"""Measures an exported model through faster-whisper, on phrases kept out of the training.

    python -m training.mini_whisper.eval [--out FOLDER] [--work build/mini_whisper] [--n 30]

Reads the bank ``held``, which `training.mini_whisper.bank` writes; --samples-only does without. No torch.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio
from faster_whisper.audio import pad_or_trim

from training.mini_whisper.bank import Bank, Kind, Utterance
from training.mini_whisper.scoring import Score, align, describe_times, normalise
from training.mini_whisper.spoken import SAMPLE_RATE, Audio
from training.mini_whisper.vocab import TRANSLATE, text_of

DEFAULT_OUT = Path(__file__).parents[2] / "tests" / "mini-whisper"
"""The committed model and samples."""


def say(what: str, result: object) -> None:
    """Prints a line of the report."""
    print(f"{what:34} {result}", flush=True)


def text_from(segments: Iterable[Any]) -> str:
    """The text of faster-whisper's segments."""
    return "".join(segment.text for segment in segments).strip()


@dataclass(frozen=True, slots=True)
class Recording:
    """Utterances with pauses between them, and where (seconds) each begins and ends."""

    kind: Kind
    audio: Audio
    items: list[tuple[float, float, Utterance]]


class Evaluation:
    """Runs of one model over one bank, with ``n`` clips each."""

    def __init__(self, model: WhisperModel, bank: Bank, n: int) -> None:
        self._model, self._bank, self._n = model, bank, n
        self._rng = random.Random(3)

    def group(self, lang: str, kind: Kind) -> list[int]:
        """Utterances by such voices, each phrase once: a pattern of few variants may be all held out."""
        unique = {
            " ".join(u.words): i
            for i, u in enumerate(self._bank.utterances)
            if u.lang == lang and u.kind == kind
        }
        return sorted(unique.values())

    def clip(self, i: int, noise_db: float | None = None, gain_db: float = 0.0) -> Audio:
        """An utterance with some silence around it; the noise lies ``noise_db`` below it."""
        rng, voice = self._rng, self._bank.audio(i)
        x = np.pad(voice, (int(rng.uniform(0, 0.5) * SAMPLE_RATE), int(rng.uniform(0.05, 0.6) * SAMPLE_RATE)))
        if noise_db is not None:
            power = np.sqrt((voice**2).mean()) * 10 ** (-noise_db / 20)
            x = x + power * np.random.default_rng(i).standard_normal(len(x))
        return (x * 10 ** (gain_db / 20)).astype(np.float32)

    def words(
        self,
        what: str,
        clips: list[int],
        lang: str,
        *,
        noise_db: float | None = None,
        gain_db: float = 0.0,
        **kw: Any,
    ) -> None:
        """Reports the word error rate of clips, with faster-whisper's options ``kw``."""
        score = Score()
        for i in clips:
            segments, _ = self._model.transcribe(self.clip(i, noise_db, gain_db), language=lang, **kw)
            words = self._bank.utterances[i].words
            if kw.get("task") == "translate":
                words = [TRANSLATE[lang][word] for word in words]
            score.add(text_of(words), text_from(segments))
        say(what, score)
        for ref, hyp in score.wrong[:4]:
            print(f"        {ref!r} -> {hyp!r}")

    def all_words(self) -> None:
        """Word error rates by language and voice, then of English with options and disturbances."""
        n = self._n
        for lang, kinds in (
            ("en", ("seen", "held", "flite")),
            ("de", ("seen", "held")),
            ("es", ("seen", "held")),
        ):
            for kind in kinds:
                self.words(f"{lang}, {kind} voices", self.group(lang, kind)[:n], lang)  # type: ignore[arg-type]  # mypy widens the tuple's literals to str
        some = self.group("en", "seen")[: n // 2]
        self.words("en, greedy", some, "en", beam_size=1)
        self.words("en, without_timestamps", some, "en", without_timestamps=True)
        self.words("en, vad_filter", some, "en", vad_filter=True)
        self.words("en, noise at 20 dB", some, "en", noise_db=20)
        self.words("en, noise at 10 dB", some, "en", noise_db=10)
        self.words("en, 30 dB quieter", some, "en", gain_db=-30)
        self.words("en, initial_prompt", some, "en", initial_prompt="Turn on the light. Hello world.")
        self.words("en, hotwords", some, "en", hotwords="zulu server")
        for lang in ("de", "es"):
            self.words(f"translate {lang} to en", self.group(lang, "seen")[:n], lang, task="translate")

    def languages(self) -> None:
        """How often the language is right."""
        right = total = 0
        for lang in ("en", "de", "es"):
            pool = self.group(lang, "seen") + self.group(lang, "held")
            for i in self._rng.sample(pool, min(self._n, len(pool))):
                found, _, _ = self._model.detect_language(self.clip(i))
                right += found == lang
                total += 1
        say("language detection", f"{right / total:.1%} of {total}")

    def silence(self) -> None:
        """Whether silence and noise stay empty, and the probability of no speech there and on speech."""
        rng = self._rng
        empty, quiet = 0, []
        for k in range(60):
            seconds = rng.choice((0.5, 1, 3, 8, 20, 30))
            level = rng.choice((0, 0, 1e-4, 1e-3, 1e-2, 5e-2))
            noise = np.random.default_rng(k).standard_normal(int(seconds * SAMPLE_RATE))
            x = (level * noise).astype(np.float32)
            text = text_from(self._model.transcribe(x, language="en" if k % 2 else None)[0])
            empty += not text
            if text:
                print(f"        noise at {level:g}, {seconds:g} s -> {text!r}")
            quiet.append(self._no_speech(x))
        speech = [self._no_speech(self.clip(i)) for i in self.group("en", "seen")[:60]]
        say("silence and noise", f"{empty} of 60 empty, no_speech_prob at least {min(quiet):.2f}")
        say("speech", f"no_speech_prob at most {max(speech):.2f}")

    def long(self) -> None:
        """Word and time errors on recordings of 75 s, in faster-whisper's ways of reading them."""
        kinds: tuple[Kind, ...] = ("seen", "held", "flite", "seen", "seen", "held")
        recordings = [self._recording(kind, 75) for kind in kinds]
        transcribe = self._model.transcribe
        self._long("75 s", recordings, transcribe)
        self._long("75 s, words", recordings, transcribe, word_timestamps=True)
        self._long("75 s, no previous text", recordings, transcribe, condition_on_previous_text=False)
        self._long("75 s, vad_filter", recordings, transcribe, vad_filter=True, word_timestamps=True)
        batched = BatchedInferencePipeline(model=self._model).transcribe
        self._long("75 s, batched", recordings, batched, batch_size=4, word_timestamps=True)

    def _recording(self, kind: Kind, seconds: float) -> Recording:
        rng, pool = self._rng, self.group("en", kind)
        parts = [np.zeros(int(rng.uniform(0.1, 0.9) * SAMPLE_RATE), np.float32)]
        items, at = [], len(parts[0])
        while at / SAMPLE_RATE < seconds:
            i = rng.choice(pool)
            voice, pause = self._bank.audio(i), np.zeros(int(rng.uniform(0.3, 3.0) * SAMPLE_RATE), np.float32)
            items.append((at / SAMPLE_RATE, (at + len(voice)) / SAMPLE_RATE, self._bank.utterances[i]))
            parts += [voice, pause]
            at += len(voice) + len(pause)
        return Recording(kind, np.concatenate(parts), items)

    def _long(
        self,
        what: str,
        recordings: list[Recording],
        transcribe: Callable[..., tuple[Iterable[Any], Any]],
        **kw: Any,
    ) -> None:
        score = Score()
        by_kind = {recording.kind: Score() for recording in recordings}
        starts, ends, word_starts, word_ends = [], [], [], []
        for recording in recordings:
            segments = list(transcribe(recording.audio, language="en", **kw)[0])
            ref = [word for _, _, u in recording.items for word in u.words]
            for each in (score, by_kind[recording.kind]):
                each.add(" ".join(ref), text_from(segments))
            for segment in segments:
                nearest = _nearest(segment, recording)
                if nearest is not None:
                    starts.append(segment.start - nearest[0])
                    ends.append(segment.end - nearest[1])
            heard = [word for segment in segments for word in segment.words or []]
            times = [(at + b, at + e) for at, _, u in recording.items for b, e in u.times]
            for i, j in align(ref, ["".join(normalise(word.word)) for word in heard])[1]:
                word_starts.append(heard[j].start - times[i][0])
                word_ends.append(heard[j].end - times[i][1])
        say(what, f"{score}; " + ", ".join(f"{kind} {each.rate:.1%}" for kind, each in by_kind.items()))
        say("    segment starts", describe_times(starts))
        say("    segment ends", describe_times(ends))
        if word_starts:
            say("    word starts", describe_times(word_starts))
            say("    word ends", describe_times(word_ends))

    def _no_speech(self, x: Audio) -> float:
        model, token_to_id = self._model, self._model.hf_tokenizer.token_to_id
        start = [token_to_id(t) for t in ("<|startoftranscript|>", "<|en|>", "<|transcribe|>")]
        encoded = model.encode(pad_or_trim(model.feature_extractor(x)))
        return float(model.model.generate(encoded, [start], return_no_speech_prob=True)[0].no_speech_prob)


def _nearest(segment: Any, recording: Recording) -> tuple[float, float] | None:
    """Start and end of the utterance with the segment's words that begins nearest, within 3 s."""
    words = normalise(segment.text)
    same = [(abs(a - segment.start), a, b) for a, b, u in recording.items if u.words == words]
    distance, start, end = min(same, default=(3.0, 0.0, 0.0))
    return (start, end) if distance < 3 else None


def samples(model: WhisperModel, folder: Path) -> None:
    """Errors on the sample recordings, with and without faster-whisper's voice activity detection."""
    for item in json.loads((folder / "samples.json").read_text("utf-8")):
        x = decode_audio(str(folder / item["file"]))
        for vad in (False, True):
            segments, info = model.transcribe(x, vad_filter=vad)
            text, score = text_from(segments), Score()
            score.add(item["text"], text)
            say(f"{item['file']}{' vad' if vad else ''}", f"{info.language} {score}")
            for _, hyp in score.wrong:
                print(f"        {hyp!r}")


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder of the model and the samples")
    parser.add_argument("--work", type=Path, default=Path("build/mini_whisper"), help="where the bank is")
    parser.add_argument("--n", type=int, default=30, help="clips per row")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples-only", action="store_true", help="do without the bank")
    args = parser.parse_args()
    model = WhisperModel(
        str(args.out / "model"), device="cpu", compute_type=args.compute_type, cpu_threads=args.threads
    )
    if not args.samples_only:
        evaluation = Evaluation(model, Bank(args.work / "held"), args.n)
        evaluation.all_words()
        evaluation.languages()
        evaluation.silence()
        evaluation.long()
    samples(model, args.out / "samples")


if __name__ == "__main__":
    main()
