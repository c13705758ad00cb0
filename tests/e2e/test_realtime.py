"""From real audio to `completed` in every turn mode; each frame is what OpenAI's types and order demand.

The audio comes faster than people speak: what is told in the end depends on the samples alone.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from gateway.audio.frontend import FrontEnd
from gateway.audio.pcm import PcmDecoder
from gateway.audio.segmenter import Segmenter
from gateway.audio.silero import SileroModel
from gateway.audio.turns import ChunkReady, SegmenterEvent, TurnMode, TurnOptions, UtteranceEnded
from gateway.audio.types import SAMPLE_RATE
from gateway.engine.api import DecodeOptions, DecodeRequest
from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.transcript import Hypothesis
from tests.audio.sound import int16, load
from tests.e2e.speaker import (
    COMMITTED,
    COMPLETED,
    DELTA,
    STARTED,
    STOPPED,
    speaker,
    speech,
)
from tests.support import LiveServer, Sample

SERVER_VAD = {"type": "server_vad"}
EAGERNESS = ("low", "medium", "high", "auto")
NAMES = ("en_hello", "en_nato_8k", "en_flite_rms", "de_zahlen", "es_hola", "en_dialogue")


def utterances(sample: Sample) -> list[str]:
    """What is said, between its pauses."""
    return [utterance["text"] for utterance in sample.utterances]


@pytest.mark.parametrize("name", ["en_hello", "en_nato_8k", "en_flite_rms", "de_zahlen", "es_hola"])
def test_server_vad(live: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """Each utterance becomes an item, told in order, with times that are those of the recording."""
    sample = samples[name]
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(transcription={"language": sample.language})
        session.say(speech(sample.path))

        assert session.texts(len(sample.utterances)) == utterances(sample)
    starts = [event["audio_start_ms"] for event in session.all(STARTED)]
    ends = [event["audio_end_ms"] for event in session.all(STOPPED)]
    for start, end, utterance in zip(starts, ends, sample.utterances, strict=True):
        assert -450 < start - utterance["start"] * 1000 < 0
        assert 400 < end - utterance["end"] * 1000 < 800


@pytest.mark.parametrize("eagerness", EAGERNESS)
def test_semantic_vad(live: LiveServer, samples: dict[str, Sample], eagerness: str) -> None:
    """Sentences end items, behind a pause as long as the eagerness wants; the patient hear both as one."""
    sample = samples["en_nato_8k"]
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
        session.say(speech(sample.path, silence=2.0))
        texts = [sample.text] if eagerness == "low" else utterances(sample)

        assert session.texts(len(texts)) == texts
    patience = {"low": 1_500, "high": 500}.get(eagerness, 800)
    last = sample.utterances[-1]["end"] * 1000

    assert patience - 100 < session.all(STOPPED)[-1]["audio_end_ms"] - last < patience + 300


def test_semantic_vad_waits_for_the_end_of_a_sentence(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Noise and silence without a sentence never make an item."""
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection={"type": "semantic_vad", "eagerness": "high"})
        session.say(speech(samples["silence_noise"].path))
        session.flush()

        assert not session.all(STARTED)


@pytest.mark.parametrize("name", ["en_hello", "de_zahlen"])
def test_commit(live: LiveServer, samples: dict[str, Sample], name: str) -> None:
    """Without turn detection the client's commit makes the item, and nobody tells of speech."""
    sample = samples[name]
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection=None, transcription={"language": sample.language})
        session.say(speech(sample.path))
        session.commit()

        assert session.texts(1) == [sample.text]
        assert not session.all(STARTED) + session.all(STOPPED)


@pytest.mark.parametrize("model", ["gpt-live-transcribe", "gpt-realtime-whisper"])
@pytest.mark.parametrize("delay", ["minimal", "xhigh", None])
def test_continuous(live: LiveServer, samples: dict[str, Sample], model: str, delay: str | None) -> None:
    """Deltas flow before any commit, under the item that the commit then uses."""
    sample = samples["en_nato_8k"]
    with speaker(live, model=model) as session:
        assert session.receive()["session"]["audio"]["input"]["turn_detection"] is None
        session.update(transcription={"delay": delay} if delay else {})
        session.say(speech(sample.path))
        while "".join(event["delta"] for event in session.all(DELTA)) != sample.text:
            session.until(DELTA)

        assert not session.all(COMMITTED)
        session.commit()
        item = session.until(COMMITTED)["item_id"]

        assert session.texts(1) == [sample.text]
        assert {event["item_id"] for event in session.all(DELTA)} == {item}
        session.say(speech(samples["en_hello"].path))
        session.commit()

        assert session.texts(2)[1] == "Hello world."


def test_words_come_while_somebody_speaks(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Within the utterance that goes on, before any pause: who never breathes is read all the same."""
    spoken = np.concatenate([
        load(samples[name].path)[round(part["start"] * SAMPLE_RATE) : round(part["end"] * SAMPLE_RATE)]
        for name in ("en_numbers", "en_command_44k_stereo", "en_noisy", "en_heldout_voice")
        for part in samples[name].utterances
    ])  # fmt: skip
    data = int16(np.tile(spoken, 3)).tobytes()
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(format={"type": "audio/pcm", "rate": SAMPLE_RATE})
        for start in range(0, len(data), 3_200):
            session.say(data[start : start + 3_200])
            # As long as the piece lasts: the pace of speech.
            while session.hears(0.1):
                pass
            if session.all(DELTA):
                break
        [started] = session.all(STARTED)

        assert not session.all(STOPPED)
        assert {event["item_id"] for event in session.all(DELTA)} == {started["item_id"]}
        session.commit()
        [text] = session.texts(1)

        assert text.startswith(session.all(DELTA)[0]["delta"])


@pytest.mark.parametrize("turns", [SERVER_VAD, {"type": "semantic_vad", "eagerness": "high"}, None])
@pytest.mark.parametrize(
    ("law", "name", "sizes"), [("", "en_nato_8k", (17, 960, 1 << 30)), ("u", "en_hello", (1, 7, 1 << 30))]
)
def test_slicing_changes_nothing(
    live: LiveServer,
    samples: dict[str, Sample],
    turns: dict[str, Any] | None,
    law: str,
    name: str,
    sizes: tuple[int, ...],
) -> None:
    """The same items, texts and times, whether the audio comes byte by byte or all at once."""
    told = []
    for size in sizes:
        with speaker(live, model="gpt-4o-transcribe") as session:
            session.update(turn_detection=turns, format={"type": "audio/pcmu" if law else "audio/pcm"})
            session.say(speech(samples[name].path, law=law), size)
            if turns is None:
                session.commit()
            session.flush()
            session.texts(len(session.all(COMMITTED)))
        told.append(session.told())

    assert told[0]
    assert told.count(told[0]) == len(told)


MODES = {
    "server": (SERVER_VAD, TurnOptions()),
    "manual": (None, TurnOptions(TurnMode.MANUAL)),
}


@pytest.fixture(scope="module")
def engine(quick_whisper: WhisperSpec) -> WhisperEngine:
    """The miniature itself, without a server."""
    return quick_whisper.load()


@pytest.fixture(scope="module")
def vad() -> SileroModel:
    """Loaded once."""
    return SileroModel.load()


@pytest.mark.parametrize("name", [*NAMES, "en_noisy", "en_heldout_voice", "en_numbers"])
@pytest.mark.parametrize("mode", MODES)
def test_live_is_what_the_model_makes_of_the_same_samples(
    live: LiveServer,
    samples: dict[str, Sample],
    engine: WhisperEngine,
    vad: SileroModel,
    mode: str,
    name: str,
) -> None:
    """Each item's text is the decode of its chunk, as if nothing had been decoded before it was complete."""
    turns, options = MODES[mode]
    language = samples[name].language
    data = speech(samples[name].path)
    expected = _decoded(data, engine, vad, options, language)
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection=turns, transcription={"language": language})
        session.say(data, 4_801)
        if turns is None:
            session.commit()

        assert session.texts(len(expected)) == expected


def _decoded(
    data: bytes, engine: WhisperEngine, vad: SileroModel, options: TurnOptions, language: str
) -> list[str]:
    segmenter = Segmenter(FrontEnd(vad), options)
    events: list[SegmenterEvent] = segmenter.feed(PcmDecoder("pcm16", 24_000).feed(data))
    if options.mode is TurnMode.MANUAL:
        events += segmenter.commit()
    texts, parts = [], []
    for event in events:
        match event:
            case ChunkReady(chunk):
                request = DecodeRequest(chunk.samples, DecodeOptions(language=language))
                [hypothesis] = engine.transcribe([request])
                assert isinstance(hypothesis, Hypothesis)
                parts += [segment.text.strip() for segment in hypothesis.segments]
            case UtteranceEnded():
                texts.append(" ".join(parts))
                parts = []
    return texts


def test_a_commit_in_mid_speech(live: LiveServer, samples: dict[str, Sample]) -> None:
    """The item ends there, the rest is the next one; no word is lost."""
    data = speech(samples["en_nato_8k"].path)
    middle = round(2.6 * 24_000) * 2  # between the sentences, before the pause is long enough for an end
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.say(data[:middle])
        session.commit()
        session.say(data[middle:])

        assert session.texts(2) == utterances(samples["en_nato_8k"])
        assert session.all(COMMITTED)[1]["previous_item_id"] == session.all(COMMITTED)[0]["item_id"]


def test_a_commit_within_a_word(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Both halves become items, and the session goes on as before."""
    data = speech(samples["en_hello"].path)
    middle = round(0.8 * 24_000) * 2
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.say(data[:middle])
        session.commit()
        session.say(data[middle:])
        session.texts(2)
        session.say(data)

        assert session.texts(3)[2] == "Hello world."


def test_an_empty_commit(live: LiveServer, samples: dict[str, Sample]) -> None:
    """OpenAI's words, for this client alone, whose session goes on; so do two commits in a row."""
    sample = samples["en_hello"]
    with speaker(live, model="gpt-4o-transcribe") as session, speaker(live) as other:
        session.update(turn_detection=None)
        other.say(speech(sample.path))
        session.commit(event_id="mine")
        error = session.until("error", skip=True)["error"]

        assert error == {
            "type": "invalid_request_error",
            "code": "input_audio_buffer_commit_empty",
            "message": "Error committing input audio buffer: buffer too small. Expected at least 100ms "
            "of audio, but buffer only has 0.00ms of audio.",
            "param": None,
            "event_id": "mine",
        }
        session.say(speech(sample.path))
        session.commit()
        session.commit(event_id="again")

        assert session.until("error", skip=True)["error"]["event_id"] == "again"
        assert session.texts(1) == other.texts(1) == ["Hello world."]


def test_silence_is_an_item_without_words(live: LiveServer) -> None:
    """A commit of silence is no mistake, and no hallucination."""
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection=None)
        session.say(bytes(48_000))
        session.commit()

        assert session.texts(1) == [""]
        assert not session.all(DELTA)


def test_clear(live: LiveServer, samples: dict[str, Sample]) -> None:
    """What was said and not committed is forgotten, also in mid-utterance; what follows is heard."""
    numbers, hello = speech(samples["en_numbers"].path), speech(samples["en_hello"].path)
    for turns in (SERVER_VAD, None):
        with speaker(live, model="gpt-4o-transcribe") as session:
            session.update(turn_detection=turns)
            session.say(numbers[:96_000])
            session.send("input_audio_buffer.clear")
            session.until("input_audio_buffer.cleared")
            session.say(hello)
            if turns is None:
                session.commit()

            assert session.texts(1) == ["Hello world."]
            assert len(session.all(COMMITTED)) == 1


def test_updates_in_mid_utterance(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Who speaks is heard to the end by the settings of the beginning; the next utterance has the new."""
    hello, german = samples["en_hello"], samples["de_zahlen"]
    data = speech(hello.path)
    with speaker(live, model="whisper-1") as session:
        session.update(transcription={"language": "en"})
        session.say(data[:40_000])
        session.update(
            turn_detection={"type": "server_vad", "silence_duration_ms": 700},
            transcription={"model": "gpt-4o-transcribe", "language": "de"},
        )
        session.say(data[40_000:])
        session.say(speech(german.path))
        texts = session.texts(1 + len(german.utterances))

        assert texts == ["Hello world.", *utterances(german)]
        assert [event["usage"]["type"] for event in session.all(COMPLETED)] == ["duration"] + ["tokens"] * 3
        assert session.all(COMPLETED)[1]["languages"] == [{"code": "de"}]


def test_a_format_in_mid_utterance(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Half a sentence from a microphone, half from a telephone: one item."""
    sample = samples["en_nato_8k"]
    linear, companded = speech(sample.path), speech(sample.path, law="a")
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.say(linear[: 48_000 * 2])
        session.update(format={"type": "audio/pcma"})
        session.say(companded[8_000 * 2 :])

        assert session.texts(2) == utterances(sample)


def test_turns_in_mid_utterance(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Whoever was told that somebody speaks is told that it ends, and nobody else is."""
    data = speech(samples["en_hello"].path)
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.say(data[:48_000])
        session.update(turn_detection=None)
        session.say(data[48_000:])
        session.commit()
        session.texts(1)
        session.say(data[:48_000])
        session.update(turn_detection=SERVER_VAD)
        session.say(data[48_000:])

        assert session.texts(2) == ["Hello world."] * 2
    assert len(session.all(STARTED)) == len(session.all(STOPPED)) == 1


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "model": (
        {"audio": {"input": {"transcription": {"model": "nope"}}}},
        "session.audio.input.transcription.model",
        "model_not_found",
    ),
    "language": (
        {"audio": {"input": {"transcription": {"language": "klingon"}}}},
        "session.audio.input.transcription.language",
        "unsupported_value",
    ),
    "rate": (
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 96_000}}}},
        "session.audio.input.format.rate",
        "invalid_value",
    ),
    "turns": (
        {"audio": {"input": {"turn_detection": {"type": "telepathy"}}}},
        "session.audio.input.turn_detection.type",
        "invalid_value",
    ),
    "turns of a continuous model": (
        {
            "audio": {
                "input": {"transcription": {"model": "gpt-live-transcribe"}, "turn_detection": SERVER_VAD}
            }
        },
        "session.audio.input.turn_detection",
        "unsupported_value",
    ),
    "kind": ({"type": "speech"}, "session.type", "unsupported_value"),
    "unknown": ({"surprise": 1}, "session.surprise", "unknown_parameter"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_updates_with_a_mistake(live: LiveServer, samples: dict[str, Sample], case: str) -> None:
    """The error names the setting and the client's event; settings and session are as before."""
    update, param, code = MISTAKES[case]
    with speaker(live, model="gpt-4o-transcribe") as session:
        before = session.receive()["session"]
        session.send("session.update", session=update, event_id="my event")
        error = session.until("error", skip=True)["error"]

        assert (error["param"], error["code"], error["event_id"]) == (param, code, "my event")
        assert session.update() == before
        session.say(speech(samples["en_hello"].path))

        assert session.texts(1) == ["Hello world."]


GARBAGE: dict[str, tuple[str | bytes, str | None]] = {
    "no JSON": ("hello", "invalid_json"),
    "audio in a binary frame": (bytes(range(256)), "invalid_json"),
    "a list": ("[]", "invalid_json"),
    "nothing": ("", "invalid_json"),
    "deep": ("[" * 100_000, "invalid_json"),
    "half a character": ('{"type":"\\ud800"}', "invalid_json"),
    "no type": ("{}", "missing_required_parameter"),
    "unknown type": ('{"type":"input_audio_buffer.explode"}', "invalid_value"),
    "a conversation": ('{"type":"response.create","event_id":"e"}', "unsupported_value"),
    "no audio": ('{"type":"input_audio_buffer.append"}', "missing_required_parameter"),
    "bad base64": ('{"type":"input_audio_buffer.append","audio":"?"}', "invalid_value"),
}


def test_garbage(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Each frame is answered with its error, and the session is none the worse."""
    with speaker(live, model="gpt-4o-transcribe") as session:
        for frame, code in GARBAGE.values():
            session.socket.send(frame)

            assert session.until("error", skip=True)["error"]["code"] == code
        session.say(speech(samples["en_hello"].path))

        assert session.texts(1) == ["Hello world."]


def test_the_longest_append(live: LiveServer, samples: dict[str, Sample]) -> None:
    """15 MiB of audio are taken, one byte more is refused."""
    longest = 15 * 1024 * 1024
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.say(bytes(longest + 1), longest + 1)

        assert session.until("error", skip=True)["error"]["code"] == "string_above_max_length"
        session.say(bytes(longest), longest)
        session.say(speech(samples["en_hello"].path))

        assert session.texts(1) == ["Hello world."]
        assert session.all(STARTED)[0]["audio_start_ms"] > longest / 48


@pytest.mark.parametrize(
    ("wire", "rate", "law"),
    [
        ({"type": "audio/pcmu"}, 8_000, "u"),
        ({"type": "audio/pcma"}, 8_000, "a"),
        ({"type": "audio/pcm", "rate": 16_000}, 16_000, ""),
        ({"type": "audio/pcm", "rate": 48_000}, 48_000, ""),
    ],
)
def test_formats(
    live: LiveServer, samples: dict[str, Sample], wire: dict[str, Any], rate: int, law: str
) -> None:
    """Telephones, and microphones at rates that OpenAI does not take."""
    sample = samples["en_nato_8k"]
    with speaker(live, model="gpt-4o-transcribe") as session:
        given = session.update(format=wire)["audio"]["input"]["format"]
        session.say(speech(sample.path, rate, law=law))

        assert wire.items() <= given.items()
        assert session.texts(2) == utterances(sample)


def test_noise_reduction(live: LiveServer, samples: dict[str, Sample]) -> None:
    """On, of another kind, and off again in one session: the words stay, and the clock goes on."""
    sample = samples["en_hello"]
    with speaker(live, model="gpt-4o-transcribe") as session:
        for number, kind in enumerate(["near_field", "far_field", None, "near_field"], 1):
            reduction = session.update(noise_reduction=kind and {"type": kind})["audio"]["input"][
                "noise_reduction"
            ]
            session.say(speech(sample.path))

            assert (reduction and reduction["type"]) == kind
            assert session.texts(number)[-1] == "Hello world."
    starts = [event["audio_start_ms"] for event in session.all(STARTED)]

    assert [round((b - a) / 100) for a, b in pairwise(starts)] == [28] * 3


def test_noise_reduction_before_a_commit(live: LiveServer, samples: dict[str, Sample]) -> None:
    """The filter holds some sound back; what was said right before the commit is in the item."""
    sample = samples["en_hello"]
    end = round(sample.utterances[-1]["end"] * 24_000) * 2
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection=None, noise_reduction={"type": "near_field"})
        session.say(speech(sample.path)[:end])
        session.commit()

        assert session.texts(1) == ["Hello world."]


def test_logprobs_and_usage(live: LiveServer, samples: dict[str, Sample]) -> None:
    """By `include`: tokens whose bytes are the text; usage as the model's name lets clients expect."""
    include = ["item.input_audio_transcription.logprobs"]
    data = speech(samples["de_zahlen"].path)
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(include=include, transcription={"language": "de"})
        session.say(data)
        session.texts(3)
        for done in session.all(COMPLETED):
            deltas = [event for event in session.all(DELTA) if event["item_id"] == done["item_id"]]
            assert _text(done["logprobs"]) == done["transcript"]
            assert _text([token for delta in deltas for token in delta["logprobs"]]) == done["transcript"]
            assert all(token["logprob"] <= 0 for token in done["logprobs"])
            assert done["usage"]["total_tokens"] == (
                done["usage"]["input_tokens"] + done["usage"]["output_tokens"]
            )
            assert 10 <= done["usage"]["input_token_details"]["audio_tokens"] <= 30
        session.update(include=[], transcription={"model": "whisper-1"})
        session.say(speech(samples["en_hello"].path))
        session.texts(4)

        assert "logprobs" not in session.all(COMPLETED)[3]
        assert session.all(COMPLETED)[3]["usage"] == {"type": "duration", "seconds": 2}


def _text(tokens: list[dict[str, Any]]) -> str:
    return bytes(byte for token in tokens for byte in token["bytes"]).decode()


def test_languages(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Of several expected languages, each item has the one that is spoken."""
    with speaker(live, model="gpt-transcribe") as session:
        session.update(turn_detection=None, transcription={"languages": ["es", "de"]})
        for name in ("es_hola", "de_zahlen"):
            session.say(speech(samples[name].path))
            session.commit()

        assert session.texts(2) == [samples["es_hola"].text, samples["de_zahlen"].text]
        assert [event["languages"] for event in session.all(COMPLETED)] == [
            [{"code": "es"}],
            [{"code": "de"}],
        ]


def test_nothing_to_transcribe(live: LiveServer, samples: dict[str, Sample]) -> None:
    """`transcription: null` tells who speaks when, and no words."""
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(transcription=None)
        session.say(speech(samples["en_nato_8k"].path))
        session.flush()

        assert len(session.all(COMMITTED)) == 2
        assert not session.all(DELTA) + session.all(COMPLETED)


def test_idle_timeout(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Nobody speaks for long: the silence becomes an item, with its times."""
    with speaker(live, model="gpt-4o-transcribe") as session:
        session.update(turn_detection={"type": "server_vad", "idle_timeout_ms": 5_000})
        session.say(bytes(48_000 * 6))
        event = session.until("input_audio_buffer.timeout_triggered")
        session.say(speech(samples["en_hello"].path))

        assert (event["audio_start_ms"], round(event["audio_end_ms"] / 100)) == (0, 50)
        assert session.texts(2)[1] == "Hello world."
        assert session.all(COMMITTED)[0]["item_id"] == event["item_id"]


def test_two_at_a_time(live: LiveServer, samples: dict[str, Sample]) -> None:
    """Each client gets its own words."""
    one, other = samples["en_nato_8k"], samples["de_zahlen"]
    with speaker(live, model="gpt-4o-transcribe") as first, speaker(live, model="whisper-1") as second:
        datas = speech(one.path), speech(other.path)
        for start in range(0, max(map(len, datas)), 9_600):
            first.say(datas[0][start : start + 9_600])
            second.say(datas[1][start : start + 9_600])

        assert second.texts(3) == utterances(other)
        assert first.texts(2) == utterances(one)


@pytest.mark.parametrize("model", ["", "gpt-4o-transcribe"])
@pytest.mark.parametrize("intent", ["", "transcription"])
def test_ways_to_connect(live: LiveServer, samples: dict[str, Sample], model: str, intent: str) -> None:
    """With the intent, the model, both or neither, and below a project's prefix."""
    for path in ("", "/my-project"):
        with speaker(live, path=path, model=model, intent=intent) as session:
            created = session.receive()["session"]
            session.say(speech(samples["en_hello"].path))

            assert created["audio"]["input"]["transcription"]["model"] == (model or "mini-whisper")
            assert session.texts(1) == ["Hello world."]


@pytest.mark.parametrize(
    ("intent", "model", "param", "code"),
    [
        ("conversation", "", "intent", None),
        ("transcription", "gpt-5-realtime", "model", "model_not_found"),
    ],
)
def test_refused_sessions(live: LiveServer, intent: str, model: str, param: str, code: str | None) -> None:
    """An `error` event says why, and a code that no client retries."""
    with speaker(live, intent=intent, model=model) as session:
        closed, reason = session.closed()
        [event] = session.events
        session.events.clear()

    assert closed == 1008
    assert (event["error"]["param"], event["error"]["code"]) == (param, code)
    assert event["error"]["message"].startswith(reason)
