"""An item's way to its text: pieces in order, partials only where they fit, one end."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.audio.types import SAMPLE_RATE, Chunk, Samples
from gateway.engine.api import DecodeOptions
from gateway.errors import EngineFailedError
from gateway.flow.options import PartialOptions, Recognition
from gateway.flow.utterance import TOKENS_MORE, UNTIL_TEXT, Utterance
from gateway.transcript import Hypothesis
from gateway.transcript.events import ItemCompleted, ItemDelta, ItemFailed, LiveEvent
from tests.fake_recognizer import FakeRecognizer, say

EAGER = PartialOptions()


def utterance(partials: PartialOptions | None = EAGER) -> Utterance:
    """A new one from 1 s on."""
    return Utterance(
        "item", SAMPLE_RATE, Recognition(FakeRecognizer().lease, "fake", DecodeOptions(), partials)
    )


def chunk(start: float = 1.0, seconds: float = 2.0) -> Chunk:
    """Of silence: nobody looks into it here."""
    samples: Samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    return Chunk(round(start * SAMPLE_RATE), samples, ends_utterance=True)


def texts(events: list[LiveEvent]) -> list[str]:
    """Deltas as they are, Completed in brackets."""
    found = []
    for event in events:
        match event:
            case ItemDelta(item_id="item", text=text, tokens=tokens):
                assert b"".join(token.raw for token in tokens).decode() == text
                found.append(text)
            case ItemCompleted(item_id="item", transcript=transcript, model="fake"):
                found.append(f"[{transcript.text}]")
            case ItemFailed(item_id="item"):
                found.append("!")
    return found


def heard(item: Utterance, *hypotheses: str, paused: bool = False) -> list[str]:
    """What partials of the chunk being spoken tell."""
    found: list[str] = []
    for hypothesis in hypotheses:
        item.partial(item.chunks, say(hypothesis), paused=paused)
        found += texts(item.advance())
    return found


def test_partials_then_the_final() -> None:
    """The deltas join to the transcript; the end is told once it is closed and answered, with its length."""
    item = utterance()
    told = heard(item, "a", "a b", "a b c")
    assert told == ["a", " b"]
    assert [token.text for token in item.emitted] == ["a", " b"]
    number = item.add(chunk())
    assert item.advance() == []
    item.settle(number, say("a b c d"))
    told += texts(item.advance())
    item.close(4 * SAMPLE_RATE)
    [done] = item.advance()

    assert told == ["a", " b", " c d"]
    assert isinstance(done, ItemCompleted)
    assert (done.transcript.text, done.transcript.duration) == ("a b c d", 3.0)


def test_how_long_the_next_hypothesis_may_be() -> None:
    """By the last one of this chunk; what it says again does not count, nor is it told."""
    item = utterance()
    assert item.most_tokens == TOKENS_MORE
    heard(item, "a b c")
    assert item.most_tokens == 2 * 3 + TOKENS_MORE
    assert heard(item, *["a b c d" + " a b c d" * 20] * 3) == ["a b c"]
    assert item.most_tokens == 2 * 4 + TOKENS_MORE
    item.settle(item.add(chunk()), say("a b c d"))
    item.advance()
    assert item.most_tokens == TOKENS_MORE


def test_what_is_heard_before_its_turn() -> None:
    """It is told when the turn comes, but what comes too late for it; until then haste ends."""
    item = utterance()
    steps = []
    for hypothesis in ("a b", "a b c", "a b c d", "a b c d e"):
        assert item.partials is not None
        steps.append(item.partials.step / EAGER.step)
        item.partial(0, say(hypothesis), paused=False)
    assert steps == [UNTIL_TEXT] * 3 + [1]
    assert item.most_tokens == 2 * 5 + TOKENS_MORE
    assert "".join(texts(item.advance())) == "a b c d"
    item.partial(0, say("a b c d e f"), paused=False)
    item.settle(item.add(chunk()), say("a b c d e"))

    assert texts(item.advance()) == [" e"]


def test_several_chunks() -> None:
    """Answered in any order, told in theirs, one space between; partials belong to the one being spoken."""
    item = utterance()
    first, second = item.add(chunk()), item.add(chunk(3.0))
    item.settle(second, say("c d"))
    assert texts(item.advance()) == []
    assert heard(item, "x y", "x y") == []
    assert not item.is_caught_up
    item.settle(first, say("a b"))
    assert texts(item.advance()) == ["a b", " c d"]
    assert item.is_caught_up
    assert item.emitted == ()
    assert heard(item, "e", "e f") == [" e"]
    third = item.add(chunk(5.0))
    item.partial(second, say("late"), paused=True)
    assert texts(item.advance()) == []
    item.settle(third, say("e g"))
    item.close(8 * SAMPLE_RATE)

    assert texts(item.advance()) == [" g", "[a b c d e g]"]


def test_speech_that_is_cut_without_a_pause() -> None:
    """What partials heard beyond the cut is not told again when the next chunk has it."""
    item = utterance()
    assert heard(item, "a b c d", "a b c d") == ["a b c"]
    cut = replace(chunk(), ends_utterance=False)
    item.settle(item.add(cut), say("a b"))
    assert texts(item.advance()) == []
    assert heard(item, "c d e", "c d e f") == [" d e"]
    item.settle(item.add(chunk(3.0)), say("c d e"))
    item.close(5 * SAMPLE_RATE)

    assert texts(item.advance()) == ["[a b c d e]"]


@pytest.mark.parametrize(
    ("consistent", "final"), [(True, "[I scream loud now]"), (False, "[Ice cream loud now]")]
)
def test_consistent_finals(*, consistent: bool, final: str) -> None:
    """They begin with what was told, and end as the final hypothesis does; else that is the text."""
    item = utterance(PartialOptions(consistent=consistent))
    told = heard(item, "I scream so", "I scream so")
    assert told == ["I scream"]
    item.settle(item.add(chunk()), say("Ice cream loud now"))
    item.close(4 * SAMPLE_RATE)

    assert texts(item.advance()) == [" loud now", final]


def test_without_partials_text_comes_at_the_end() -> None:
    """Also that of chunks answered long before."""
    item = utterance(None)
    item.settle(item.add(chunk()), say("a b"))
    assert item.advance() == []
    item.settle(item.add(chunk(3.0)), say("c"))
    item.close(5 * SAMPLE_RATE)

    assert texts(item.advance()) == ["a b", " c", "[a b c]"]


@pytest.mark.parametrize("silence", [say(""), say("", language=None)])
def test_nothing_said(silence: Hypothesis) -> None:
    """An item of silence completes with no text, and without a delta."""
    item = utterance()
    item.settle(item.add(chunk()), silence)
    item.close(3 * SAMPLE_RATE)

    assert texts(item.advance()) == ["[]"]


def test_a_failure() -> None:
    """The item fails once, at its end; what its other chunks say is told."""
    item = utterance()
    item.settle(item.add(chunk()), EngineFailedError("broken"))
    item.settle(item.add(chunk(3.0)), say("b"))
    assert texts(item.advance()) == ["b"]
    item.close(5 * SAMPLE_RATE)
    [failed] = item.advance()

    assert isinstance(failed, ItemFailed)
    assert failed.error.message == "broken"


def test_without_a_model() -> None:
    """There is no text, and no end is told of it."""
    item = Utterance("item", 0, None)
    item.close(SAMPLE_RATE)

    assert item.advance() == []


def test_scripts_without_spaces() -> None:
    """Words are characters there; chunks are joined without a space."""
    item = utterance()
    for text in ("你", "你 好", "你 好 吗"):
        unspaced = say(text, language="zh")
        tokens = tuple(
            type(token)(token.id, token.text.strip(), token.raw.strip(), None)
            for token in unspaced.segments[0].tokens
        )
        segment = type(unspaced.segments[0])(0.0, 1.0, text.replace(" ", ""), tokens, (), -0.1, 1.0, 0.0, 0.0)
        last = Hypothesis((segment,), "zh", 0.9)
        item.partial(0, last, paused=False)
        item.advance()
    assert "".join(token.text for token in item.emitted) == "你好"
    item.settle(item.add(chunk()), last)
    item.settle(item.add(chunk(3.0)), last)
    item.close(5 * SAMPLE_RATE)

    assert texts(item.advance()) == ["吗", "你好吗", "[你好吗你好吗]"]
