"""The Whisper engine on a real, miniature model: texts, languages, words, log-probabilities, bad rows.

Invariant of every hypothesis: token bytes join to the segment's text; all times lie in order in the chunk.
"""

import json
import math
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel

from gateway.audio.types import MAX_CHUNK_SAMPLES, SAMPLE_RATE, Samples
from gateway.engine.api import DecodeOptions, DecodeRequest, RowFailed
from gateway.engine.devices.placement import THREADS_VARIABLE
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.engine.whisper.features import padded
from gateway.transcript import Hypothesis
from tests.support import MODEL, Sample, english_only

pytestmark = pytest.mark.slow  # each decode encodes a window of 30 s

SHORT = (
    "en_hello",
    "en_command_44k_stereo",
    "en_numbers",
    "en_nato_8k",
    "en_flite_slt",
    "en_flite_rms",
    "en_heldout_voice",
    "en_noisy",
    "de_zahlen",
    "es_hola",
)
"""Recordings the model transcribes exactly."""

EVERYTHING = DecodeOptions(languages=("en", "de", "es"), words=True, logprobs=True)


@pytest.fixture(scope="module")
def reference() -> WhisperModel:
    """faster-whisper itself on the same model."""
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture(scope="module")
def exact_reference() -> WhisperModel:
    """faster-whisper in float32."""
    return WhisperModel(str(MODEL), device="cpu", compute_type="float32", cpu_threads=1)


@pytest.fixture(scope="module")
def exact_engine(mini_whisper: WhisperSpec) -> WhisperEngine:
    """The miniature in float32: int8 makes other words of what kernels round differently."""
    return replace(mini_whisper, compute_type="float32").load()


@pytest.fixture(scope="module")
def heard(engine: WhisperEngine, speech: dict[str, Samples]) -> dict[str, Hypothesis]:
    """All short recordings and the silent one, decoded in one batch with everything asked for."""
    names = [*SHORT, "silence_noise"]
    results = engine.transcribe([DecodeRequest(speech[name], EVERYTHING) for name in names])
    return dict(zip(names, map(hypothesis, results), strict=True))


def hypothesis(result: Hypothesis | RowFailed) -> Hypothesis:
    """The result, which must be one."""
    assert isinstance(result, Hypothesis), result
    return result


def decode(
    engine: WhisperEngine,
    samples: Samples,
    options: DecodeOptions | None = None,
) -> Hypothesis:
    """One row alone."""
    request = DecodeRequest(samples, options or DecodeOptions(language="en"))
    return hypothesis(engine.transcribe([request])[0])


def text(result: Hypothesis | RowFailed) -> str:
    """All its text."""
    return "".join(segment.text for segment in hypothesis(result).segments).strip()


def plain(words: str) -> list[str]:
    """Words as spoken, whatever the model's idea of sentences on this CPU."""
    return words.lower().replace(".", " ").split()


def without_alignment_heads(folder: Path) -> Path:
    """A copy of the miniature as an older converter would have written it."""
    shutil.copytree(MODEL, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    del config["alignment_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_importing_the_module_loads_no_backend() -> None:
    """The spec is usable in the main process without paying for CTranslate2."""
    code = (
        "import sys, gateway.engine.whisper.engine; "
        "print({'ctranslate2', 'faster_whisper'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_the_spec_survives_pickling(mini_whisper: WhisperSpec) -> None:
    """It is what a worker process is started with."""
    assert pickle.loads(pickle.dumps(mini_whisper)) == mini_whisper


@pytest.mark.parametrize("file", ["model.bin", "config.json", "tokenizer.json"])
def test_an_incomplete_folder_is_refused_instead_of_downloaded(tmp_path: Path, file: str) -> None:
    """faster-whisper would fetch a missing tokenizer from the internet."""
    shutil.copytree(MODEL, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).unlink()

    with pytest.raises(FileNotFoundError, match=file):
        WhisperSpec("broken", tmp_path).load()


def test_batch_keys_tell_beams_apart_and_nothing_else(mini_whisper: WhisperSpec) -> None:
    """Language, task, prompt, temperature and what is asked for may differ within a call."""
    key = mini_whisper.batch_key
    default = DecodeOptions()

    assert key(default) == key(replace(default, language="de", task="translate", prompt="x", words=True))
    assert key(default) == key(replace(default, beam_size=mini_whisper.beam_size, temperature=0.5, seed=3))
    assert key(default) != key(replace(default, beam_size=1))


def test_capabilities_come_from_the_model(engine: WhisperEngine) -> None:
    """The miniature has every language token and alignment heads."""
    can = engine.capabilities

    assert {"en", "de", "es", "yue"} < can.languages
    assert can.detects_language
    assert can.translate
    assert can.words
    assert can.logprobs


@pytest.mark.parametrize("name", SHORT)
def test_transcribes_and_tells_the_language(
    heard: dict[str, Hypothesis], samples: dict[str, Sample], name: str
) -> None:
    """Every short recording in three languages, all decoded in one batch."""
    result = heard[name]

    assert plain(text(result)) == plain(samples[name].text)
    assert result.language == samples[name].language
    assert 0.9 < result.language_probability <= 1.0


@pytest.mark.parametrize("name", SHORT)
def test_says_what_faster_whisper_says(
    heard: dict[str, Hypothesis],
    speech: dict[str, Samples],
    reference: WhisperModel,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the letter and the last digits, although eleven rows were decoded together.

    Its windows are followed by silence as ours are, see `padded`.
    """
    monkeypatch.setattr("faster_whisper.transcribe.pad_or_trim", lambda features: padded(features, 3000))
    segments = list(reference.transcribe(speech[name], language=heard[name].language)[0])

    assert [segment.text for segment in heard[name].segments] == [segment.text for segment in segments]
    assert [segment.avg_logprob for segment in heard[name].segments] == pytest.approx(
        [segment.avg_logprob for segment in segments], abs=1e-3
    )


@pytest.mark.parametrize("name", SHORT)
def test_words_lie_where_they_were_spoken(
    heard: dict[str, Hypothesis], samples: dict[str, Sample], name: str
) -> None:
    """Within 0.3 s, in order, within their segment; together they are its text."""
    result = heard[name]
    truth = [word for utterance in samples[name].utterances for word in utterance["words"]]
    words = [word for segment in result.segments for word in segment.words]

    assert [word.start for word in words] == pytest.approx([word["start"] for word in truth], abs=0.3)
    assert [word.end for word in words] == pytest.approx([word["end"] for word in truth], abs=0.3)
    assert all(0.0 < word.probability <= 1.0 for word in words)
    for segment in result.segments:
        times = [segment.start, *(time for word in segment.words for time in (word.start, word.end))]
        assert sorted([*times, segment.end]) == [*times, segment.end]
        assert "".join(word.text for word in segment.words) == segment.text


@pytest.mark.parametrize("name", SHORT)
def test_log_probabilities_and_bytes(
    heard: dict[str, Hypothesis], speech: dict[str, Samples], name: str
) -> None:
    """Log-probabilities are finite and not positive; bytes join to the text; times stay in the chunk."""
    for segment in heard[name].segments:
        assert all(token.logprob is not None and -100 <= token.logprob <= 0 for token in segment.tokens)
        assert b"".join(token.raw for token in segment.tokens) == segment.text.encode()
        assert 0 <= segment.start < segment.end <= len(speech[name]) / SAMPLE_RATE


def test_nothing_is_aligned_unasked(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Words and log-probabilities cost time, so only who wants them pays."""
    (segment,) = decode(engine, speech["en_hello"]).segments

    assert segment.words == ()
    assert {token.logprob for token in segment.tokens} == {None}


def test_silence_is_empty_and_of_no_language(heard: dict[str, Hypothesis]) -> None:
    """What Whisper detects on silence is arbitrary; it must not decide the language of a request."""
    assert heard["silence_noise"] == Hypothesis((), None, 0.0)


def test_a_given_language_is_kept(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Even on silence, and with certainty."""
    result = decode(engine, speech["silence_noise"], DecodeOptions(language="de"))

    assert result == Hypothesis((), "de", 1.0)


def test_translates(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """German to English beside a German transcript in one batch, with words and log-probabilities."""
    translate = replace(EVERYTHING, task="translate")
    translated, transcribed = engine.transcribe(
        [DecodeRequest(speech["de_zahlen"], translate), DecodeRequest(speech["de_zahlen"], EVERYTHING)]
    )

    assert text(translated).startswith("Good morning world. One two three four")
    assert text(transcribed) == "Guten morgen welt. Eins zwei drei vier fünf. Hund und katze bitte."
    assert hypothesis(translated).language == "de"
    assert all(segment.words for segment in hypothesis(translated).segments)


def test_a_row_does_not_depend_on_its_mates(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Prompts, tasks, languages and beams mixed in one call give what each gives alone."""
    requests = [
        DecodeRequest(speech["en_numbers"], DecodeOptions()),
        DecodeRequest(speech["en_nato_8k"], DecodeOptions(prompt="Hello world.", words=True)),
        DecodeRequest(speech["en_nato_8k"], DecodeOptions(keywords=("tango", "kilo"), logprobs=True)),
        DecodeRequest(speech["en_flite_slt"], DecodeOptions(prompt="Stop. " * 200)),
        DecodeRequest(speech["es_hola"], DecodeOptions(task="translate", words=True, beam_size=1)),
        DecodeRequest(speech["de_zahlen"], EVERYTHING),
        DecodeRequest(speech["en_numbers"], DecodeOptions(beam_size=1), retry=False),
        DecodeRequest(speech["silence_noise"], DecodeOptions()),
    ]
    together = engine.transcribe(requests)
    alone = [engine.transcribe([request])[0] for request in requests]

    assert [text(result) for result in together] == [text(result) for result in alone]
    assert [rounded(result) for result in together] == [rounded(result) for result in alone]


def rounded(result: Hypothesis | RowFailed) -> list[Any]:
    """What must agree whatever kernels a batch size chooses: all but the last digits."""
    return [
        (
            round(segment.start, 2),
            round(segment.end, 2),
            [token.id for token in segment.tokens],
            len(segment.words),
        )
        for segment in hypothesis(result).segments
    ]


def test_prompt_tokens_are_counted(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Usage counts what went in of prompt and keywords: at most 223, nothing for a blank prompt."""
    options = [
        DecodeOptions(language="en"),
        DecodeOptions(language="en", prompt="  ", keywords=("",)),
        DecodeOptions(language="en", prompt="Hello world."),
        DecodeOptions(language="en", keywords=("hello", "world")),
        DecodeOptions(language="en", prompt="Hello world. " * 200, keywords=("hello",) * 200),
    ]
    results = engine.transcribe([DecodeRequest(speech["en_hello"], option) for option in options])
    counts = [hypothesis(result).prompt_tokens for result in results]

    assert counts[:3] == [0, 0, 3]
    assert 0 < counts[3] < 20
    assert counts[4] == 223


def test_special_tokens_in_a_prompt_are_left_out(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """A second start token in one prompt would make CTranslate2 refuse the whole batch."""
    prompt = "Hello<|startoftranscript|><|de|><|notimestamps|><|endoftext|> world."
    hostile, mate = engine.transcribe(
        [
            DecodeRequest(speech["en_hello"], DecodeOptions(language="en", prompt=prompt)),
            DecodeRequest(speech["en_numbers"], DecodeOptions(language="en")),
        ]
    )

    assert text(hostile) == "Hello world."
    assert text(mate) == "Seven two zero nineteen forty three thousand."


BAD_ROWS = {
    "not a number": lambda good: DecodeRequest(
        np.where(np.arange(len(good)) == 99, np.nan, good), DecodeOptions()
    ),
    "infinite": lambda good: DecodeRequest(np.full(8000, np.inf, np.float32), DecodeOptions()),
    "too loud": lambda good: DecodeRequest(good * np.float32(1e30), DecodeOptions()),
    "stereo": lambda good: DecodeRequest(np.stack([good, good]), DecodeOptions()),
    "integers": lambda good: DecodeRequest((good * 32767).astype(np.int16), DecodeOptions()),
    "empty": lambda good: DecodeRequest(good[:0], DecodeOptions()),
    "too long": lambda good: DecodeRequest(np.zeros(MAX_CHUNK_SAMPLES + 1, np.float32), DecodeOptions()),
    "unknown language": lambda good: DecodeRequest(good, DecodeOptions(language="tlh")),
    "unknown candidate": lambda good: DecodeRequest(good, DecodeOptions(languages=("en", "tlh"))),
}


@pytest.mark.parametrize("fault", BAD_ROWS)
def test_a_bad_row_fails_alone(engine: WhisperEngine, speech: dict[str, Samples], fault: str) -> None:
    """Its mates, before and behind it, are decoded."""
    good = speech["en_hello"]
    before, bad, behind = engine.transcribe(
        [
            DecodeRequest(good, DecodeOptions(language="en")),
            BAD_ROWS[fault](good),
            DecodeRequest(good, DecodeOptions(language="en")),
        ]
    )

    assert isinstance(bad, RowFailed)
    assert text(before) == text(behind) == "Hello world."


def test_a_row_at_which_the_backend_breaks_fails_alone(
    engine: WhisperEngine, speech: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a call with the row raises, every row is decoded alone."""
    windows = engine._windows.decode

    def breaking(encoded: Any, rows: Any, *, last: bool) -> Any:
        if any(row.options.prompt == "poison" for row in rows):
            raise RuntimeError("out of luck")
        return windows(encoded, rows, last=last)

    monkeypatch.setattr(engine._windows, "decode", breaking)
    good, bad = engine.transcribe(
        [
            DecodeRequest(speech["en_hello"], DecodeOptions(language="en")),
            DecodeRequest(speech["en_hello"], DecodeOptions(language="en", prompt="poison")),
        ]
    )

    assert text(good) == "Hello world."
    assert bad == RowFailed("RuntimeError: out of luck")


def test_a_broken_gpu_is_not_a_row_that_failed(
    engine: WhisperEngine, speech: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After such an error no call of this process succeeds: the supervisor must replace it."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA failed with error an illegal memory access was encountered")

    monkeypatch.setattr(engine._windows, "decode", broken)

    with pytest.raises(RuntimeError, match="illegal memory access"):
        engine.transcribe([DecodeRequest(speech["en_hello"], DecodeOptions(language="en"))])


@pytest.mark.parametrize("size", [1, 50, 399, 1600])
def test_a_very_short_row_is_decoded(engine: WhisperEngine, size: int) -> None:
    """Shorter than a Fourier window even; there is nothing to hear in it."""
    result = decode(engine, np.zeros(size, np.float32))

    assert all(0 <= segment.start <= segment.end <= size / SAMPLE_RATE for segment in result.segments)


@pytest.mark.parametrize("start", [0, 15, 30, 45])
def test_a_full_window_loses_nothing(
    engine: WhisperEngine, reference: WhisperModel, speech: dict[str, Samples], start: int
) -> None:
    """30 s of several utterances: the same segments as faster-whisper's sequential walk."""
    chunk = speech["en_long"][start * SAMPLE_RATE : (start + 30) * SAMPLE_RATE]
    segments = reference.transcribe(chunk, language="en", condition_on_previous_text=False)[0]
    ours = decode(engine, chunk).segments

    assert [segment.text for segment in ours] == [segment.text for segment in segments]
    assert len(ours) >= 5


def test_a_text_beyond_the_length_limit_goes_on(
    mini_whisper: WhisperSpec, speech: dict[str, Samples], samples: dict[str, Sample]
) -> None:
    """With room for a sentence at a time, then for less, later windows bring the rest, in order."""
    chunk = speech["en_flite_slt"]
    whole = plain(samples["en_flite_slt"].text)
    for limit in (9, 6):
        model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)
        result = decode(WhisperEngine(mini_whisper, model, aligns=True, max_tokens=limit), chunk)
        times = [time for segment in result.segments for time in (segment.start, segment.end)]

        assert plain(text(result)) == whole
        assert times == sorted(times)
        assert len(result.segments) >= 2


@pytest.fixture
def deaf_to_time(tmp_path: Path, mini_whisper: WhisperSpec) -> WhisperEngine:
    """The miniature without alignment heads."""
    return replace(mini_whisper, path=without_alignment_heads(tmp_path)).load()


def test_without_alignment_heads(
    deaf_to_time: WhisperEngine, heard: dict[str, Hypothesis], speech: dict[str, Samples]
) -> None:
    """No words, but log-probabilities: those of the same tokens in the same context as alignment gives."""
    options = replace(EVERYTHING, words=False)
    refused, *rows = deaf_to_time.transcribe(
        [
            DecodeRequest(speech["en_hello"], EVERYTHING),
            *(DecodeRequest(speech[name], options) for name in ("en_nato_8k", "de_zahlen", "silence_noise")),
        ]
    )
    ours, theirs = (
        [token.logprob for result in results for segment in result.segments for token in segment.tokens]
        for results in ([hypothesis(row) for row in rows], [heard["en_nato_8k"], heard["de_zahlen"]])
    )

    assert not deaf_to_time.capabilities.words
    assert isinstance(refused, RowFailed)
    assert ours == pytest.approx(theirs, abs=0.05)
    assert all(logprob is not None and math.isfinite(logprob) and logprob <= 0 for logprob in ours)


def test_an_english_only_model(tmp_path: Path, mini_whisper: WhisperSpec, speech: dict[str, Samples]) -> None:
    """It says 'en', decodes with one task token, and neither detects nor translates."""
    engine = replace(mini_whisper, path=english_only(tmp_path)).load()
    heard, refused, unknown = engine.transcribe(
        [
            DecodeRequest(speech["en_hello"], DecodeOptions()),
            DecodeRequest(speech["en_hello"], DecodeOptions(task="translate")),
            DecodeRequest(speech["en_hello"], DecodeOptions(language="de")),
        ]
    )

    assert engine.capabilities.languages == {"en"}
    assert not engine.capabilities.detects_language
    assert hypothesis(heard).language == "en"
    assert hypothesis(heard).language_probability == 1.0
    assert isinstance(refused, RowFailed)
    assert isinstance(unknown, RowFailed)


SEEDS = (-3, 2**70, *range(12))
"""So many that some differ, however sure the model is of its first text: that depends on the processor."""


def test_a_seed_repeats_and_seeds_differ(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """Same seed, same answer, whatever is decoded beside or before it; other seeds, now and then another."""

    def drawn(result: Hypothesis) -> list[tuple[float, float, str]]:
        return [(segment.start, segment.end, segment.text) for segment in result.segments]

    chunk = speech["en_nato_8k"]
    options = [DecodeOptions(language="en", temperature=4.0, seed=seed) for seed in SEEDS]
    alone = [drawn(decode(engine, chunk, option)) for option in options]
    noise = DecodeRequest(speech["en_numbers"], DecodeOptions(language="en", temperature=1.5))
    together = engine.transcribe(
        [noise, *(DecodeRequest(chunk, option) for option in reversed(options)), noise]
    )

    assert [drawn(hypothesis(result)) for result in together[1:-1]] == alone[::-1]
    assert any(each != alone[0] for each in alone)


def test_a_temperature_without_a_seed(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """It stands in the segment."""
    result = decode(engine, speech["en_hello"], DecodeOptions(language="en", temperature=0.2))

    assert text(result) == "Hello world."
    assert result.segments[0].temperature == pytest.approx(0.2)


def test_where_the_time_went(engine: WhisperEngine, speech: dict[str, Samples]) -> None:
    """By stage, shared out among the rows of a batch; what nobody asked for took none."""
    rows = [DecodeRequest(speech[name], DecodeOptions(language="en")) for name in ("en_hello", "en_numbers")]
    first, second = map(hypothesis, engine.transcribe(rows))
    asked = decode(engine, speech["en_hello"], DecodeOptions(words=True))

    assert first.seconds == second.seconds
    assert set(first.seconds) == {"encode", "search"}
    assert set(asked.seconds) == {"encode", "language", "search", "align"}
    assert all(seconds > 0 for seconds in asked.seconds.values())


def test_lanes_hear_what_one_hears(mini_whisper: WhisperSpec, speech: dict[str, Samples]) -> None:
    """Calls at the same time share the weights and nothing else: neither texts nor seconds get mixed up."""
    engine = replace(mini_whisper, lanes=2).load()
    requests = {
        name: DecodeRequest(speech[name], DecodeOptions(language=name[:2], words=name == SHORT[0]))
        for name in SHORT
    }
    alone = {name: text(hypothesis(engine.transcribe([request])[0])) for name, request in requests.items()}
    with ThreadPoolExecutor(2) as lanes:
        calls = {name: lanes.submit(engine.transcribe, [request]) for name, request in requests.items()}
        together = {name: hypothesis(call.result()[0]) for name, call in calls.items()}

    assert {name: text(result) for name, result in together.items()} == alone
    assert {name for name, result in together.items() if "align" in result.seconds} == {SHORT[0]}


@pytest.mark.parametrize("where", ["encode", "generate"])
def test_what_is_not_finite_fails_alone(
    engine: WhisperEngine, speech: dict[str, Samples], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A row that overflowed has no text; its mates have theirs, without being decoded one by one."""
    model = Overflowing(engine._model, where)
    for owner in (engine, engine._windows._decoder):
        monkeypatch.setattr(owner, "_model", model)
    options = DecodeOptions(language="en")
    rows = [DecodeRequest(speech[name], options) for name in ("en_hello", "en_numbers", "en_hello")]
    first, *rest = engine.transcribe(rows)

    assert isinstance(first, RowFailed)
    assert "finite" in first.reason
    assert [text(result) for result in rest] == [
        "Seven two zero nineteen forty three thousand.",
        "Hello world.",
    ]
    assert model.searched == ([2] if where == "encode" else [3])


class Overflowing:
    """A model whose first row's output is not finite in the first call of ``where``."""

    def __init__(self, model: Any, where: str) -> None:
        self._model = model
        self._where = where
        self.searched: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        """As `ctranslate2.models.Whisper.encode`."""
        encoded = self._model.encode(features, to_cpu=to_cpu)
        if self._where != "encode":
            return encoded
        self._where = ""
        rows = np.array(encoded)
        rows[0, 7, 7] = np.nan
        return ctranslate2.StorageView.from_array(rows)

    def generate(self, features: Any, starts: list[list[int]], **how: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`."""
        self.searched.append(len(starts))
        results = self._model.generate(features, starts, **how)
        if self._where == "generate":
            results[0] = SimpleNamespace(
                sequences_ids=results[0].sequences_ids,
                scores=[math.nan],
                no_speech_prob=results[0].no_speech_prob,
            )
        return list(results)


def test_a_tail_is_left_to_the_next_row(
    exact_engine: WhisperEngine, exact_reference: WhisperModel, speech: dict[str, Samples]
) -> None:
    """Of a sentence cut at 30 s; the row ends where faster-whisper's next window begins."""
    parts = ("en_numbers", "en_flite_slt", "en_nato_8k", "en_long")
    stream = np.concatenate((speech["en_long"][60 * SAMPLE_RATE :], *(speech[part] for part in parts)))
    window = stream[: 30 * SAMPLE_RATE]
    options = DecodeOptions(language="en", words=True)
    rows = [DecodeRequest(window, options), DecodeRequest(window, options, whole=False)]
    whole, left = map(hypothesis, exact_engine.transcribe(rows))
    walk, _ = exact_reference.transcribe(
        stream[: 40 * SAMPLE_RATE], language="en", condition_on_previous_text=False
    )
    seeks = sorted({segment.seek for segment in walk})

    assert left.consumed is not None
    assert left.consumed == seeks[1] / 100
    assert 20 < left.consumed < 30
    assert len(left.segments) < len(whole.segments)
    assert left.segments == whole.segments[: len(left.segments)]
    assert all(word.end <= left.consumed for segment in left.segments for word in segment.words)
    assert whole.consumed is None


@pytest.mark.parametrize("compute_type", ["float16", "int7"])
def test_a_load_that_fails_says_what_to_do(compute_type: str) -> None:
    """CTranslate2's own words, and the setting that mends it."""
    spec = WhisperSpec(name="mini-whisper", path=MODEL, compute_type=compute_type)
    with pytest.raises(RuntimeError, match=rf"{compute_type}.* Set GATEWAY_COMPUTE_TYPE to auto"):
        spec.load()


def test_a_first_decode_that_fails_is_a_load_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without cuBLAS, which is opened only then: the worker must not call itself ready."""

    def transcribe(_: WhisperEngine, batch: Sequence[DecodeRequest]) -> list[Hypothesis | RowFailed]:
        return [
            RowFailed("RuntimeError: Library libcublas.so.12 is not found or cannot be loaded") for _ in batch
        ]

    monkeypatch.setattr(WhisperEngine, "transcribe", transcribe)
    with pytest.raises(RuntimeError, match=r"libcublas.so.12 is not found .* pip install '\.\[cuda\]'"):
        WhisperSpec(name="mini-whisper", path=MODEL, cpu_threads=1).load()


@pytest.mark.parametrize(
    ("most", "wanted", "threads"),
    [("1", 2, 1), ("4", 2, 2), ("", 2, 2), ("many", 2, 2), ("0", 2, 2), ("1", 0, 0)],
)
def test_a_lane_has_no_more_threads_than_its_process(
    monkeypatch: pytest.MonkeyPatch, most: str, wanted: int, threads: int
) -> None:
    """A worker at ease is started with less than the recipe says."""
    given = []

    def whisper_model(*_: object, cpu_threads: int, **__: object) -> WhisperModel:
        given.append(cpu_threads)
        return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)

    monkeypatch.setattr("faster_whisper.WhisperModel", whisper_model)
    monkeypatch.setenv(THREADS_VARIABLE, most)
    WhisperSpec(name="mini-whisper", path=MODEL, cpu_threads=wanted).load()
    assert given == [threads]


class Watched:
    """The real model, told to find some beam searches improbable.

    Attributes:
        encoded: Rows and frames of each call.
        distrusted: The encoder's steps of searches that are called improbable.
    """

    def __init__(self, model: Any, *distrusted: int) -> None:
        self._model = model
        self.encoded: list[tuple[int, int]] = []
        self.distrusted = distrusted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any, *, to_cpu: bool) -> Any:
        """As `ctranslate2.models.Whisper.encode`."""
        self.encoded.append((features.shape[0], features.shape[2]))
        return self._model.encode(features, to_cpu=to_cpu)

    def generate(self, features: Any, *args: Any, **how: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`."""
        bad = features.shape[1] in self.distrusted
        return [
            SimpleNamespace(
                sequences_ids=result.sequences_ids,
                scores=[-3.0] * len(result.scores) if bad else result.scores,
                no_speech_prob=result.no_speech_prob,
            )
            for result in self._model.generate(features, *args, **how)
        ]


def fitted(spec: WhisperSpec, *distrusted: int) -> tuple[WhisperEngine, Watched]:
    """An engine with the fitting context, and its model."""
    model = WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=1)
    watched = model.model = Watched(model.model, *distrusted)
    return WhisperEngine(replace(spec, audio_context="fit"), model, aligns=True), watched


def test_a_fitting_context_says_the_same_for_less(
    mini_whisper: WhisperSpec,
    heard: dict[str, Hypothesis],
    speech: dict[str, Samples],
) -> None:
    """The same texts, languages and word times; rows of about one length share an encoder call.

    Not so where a word is in doubt in any setting, float32 changes it too, nor where it hangs on the
    processor whether a sentence ends: there the words are the same.
    """
    engine, model = fitted(mini_whisper)
    names = [name for name in SHORT if name != "en_nato_8k"]
    results = engine.transcribe([DecodeRequest(speech[name], EVERYTHING) for name in names])
    lengths = [500 if len(speech[name]) <= 4 * SAMPLE_RATE else 1000 for name in names]

    assert model.encoded == [(lengths.count(500), 500), (lengths.count(1000), 1000)]
    for name, result in zip(names, map(hypothesis, results), strict=True):
        words, expected = (
            [word for segment in one.segments for word in segment.words] for one in (result, heard[name])
        )

        assert result.language == heard[name].language
        if name == "en_command_44k_stereo":
            assert plain(text(result)) == plain(text(heard[name]))
            continue
        assert text(result) == text(heard[name])
        assert [word.text for word in words] == [word.text for word in expected]
        assert [word.start for word in words] == pytest.approx([word.start for word in expected], abs=0.1)
        assert [word.end for word in words] == pytest.approx([word.end for word in expected], abs=0.1)


def test_what_looks_bad_is_decoded_again_in_full(
    mini_whisper: WhisperSpec, heard: dict[str, Hypothesis], speech: dict[str, Samples]
) -> None:
    """With those that are too long to be shortened, language and all, and then exactly as without `fit`."""
    names = ("en_hello", "en_numbers", "de_zahlen")
    engine, model = fitted(mini_whisper, 250)
    long = speech["en_long"][: 30 * SAMPLE_RATE]
    given = [*(speech[name] for name in names), long]
    requests = [DecodeRequest(samples, EVERYTHING) for samples in given]
    results = list(map(hypothesis, engine.transcribe(requests)))

    assert model.encoded[:3] == [(2, 500), (1, 1000), (3, 3000)]
    assert [text(result) for result in results[:3]] == [text(heard[name]) for name in names]
    assert [result.language for result in results[:3]] == ["en", "en", "de"]
    for name, result in zip(names[:2], results, strict=False):
        assert rounded(result) == rounded(heard[name])
    assert all(segment.temperature == 0.0 for result in results for segment in result.segments)


def test_silence_is_heard_in_full_before_it_is_believed(
    mini_whisper: WhisperSpec, speech: dict[str, Samples]
) -> None:
    """Whoever decodes a chunk was told that somebody speaks in it."""
    engine, model = fitted(mini_whisper)
    result = decode(engine, speech["silence_noise"], DecodeOptions())

    assert result == Hypothesis((), None, 0.0)
    assert model.encoded[-1] == (1, 3000)
    assert len(model.encoded) == 2


def test_a_seed_with_a_fitting_context(mini_whisper: WhisperSpec, speech: dict[str, Samples]) -> None:
    """It repeats."""
    engine, _ = fitted(mini_whisper)
    options = [DecodeOptions(language="en", temperature=1.5, seed=seed) for seed in (1, 2)]
    rows = [DecodeRequest(speech["en_nato_8k"], option) for option in options]

    assert engine.transcribe(rows) == engine.transcribe(rows[::-1])[::-1]
