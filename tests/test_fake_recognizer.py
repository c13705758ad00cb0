"""The fake recognizer does what its page says."""

from typing import Any

import anyio
import numpy as np
import pytest

from gateway.engine.api import DecodeOptions, DecodeRequest, Model, Priority
from gateway.errors import EngineFailedError, UnavailableError
from tests.fake_recognizer import FakeRecognizer, by_number, in_turn, say


def row(seconds: float = 1.0) -> DecodeRequest:
    """So much silence."""
    return DecodeRequest(np.zeros(round(seconds * 16_000), dtype=np.float32), DecodeOptions())


async def ask(fake: FakeRecognizer, texts: list[str], **given: Any) -> None:
    """Asks one row; its text joins the others as it comes."""
    hypothesis = await fake.transcribe(row(), stream="s", **given)
    texts.append("".join(segment.text for segment in hypothesis.segments).strip())


async def test_answers() -> None:
    """By length, by number, in turn, and with an error."""
    texts: list[str] = []
    await ask(FakeRecognizer(), texts)
    numbered = FakeRecognizer(by_number)
    await ask(numbered, texts)
    await ask(numbered, texts)
    scripted = FakeRecognizer(in_turn(say("one"), EngineFailedError("two")))
    await ask(scripted, texts, priority=Priority.LIVE_FINAL)
    with pytest.raises(EngineFailedError, match="two"):
        await ask(scripted, texts, priority=Priority.LIVE_PARTIAL)

    assert texts == ["w0 w1", "w0", "w1", "one"]
    assert [call.priority for call in scripted.finals] == [Priority.LIVE_FINAL]
    assert [call.number for call in scripted.partials] == [1]
    assert scripted.most_waiting == 1


async def test_rows_wait() -> None:
    """Until they are answered, one by one or all; who gives up is told."""
    fake, texts = FakeRecognizer(by_number), list[str]()
    fake.hold()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(ask, fake, texts)
            await fake.until(number + 1)
        with anyio.move_on_after(0):
            await ask(fake, texts)
        fake.calls[1].answer()
        await anyio.wait_all_tasks_blocked()

        assert texts == ["w1"]
        assert fake.calls[3].cancelled
        assert [call.number for call in fake.waiting] == [0, 2]
        fake.calls[2].answer(say("two"))
        fake.release()

    assert texts == ["w1", "two", "w0"]
    assert fake.most_waiting == 4


async def test_last_first() -> None:
    """Of rows that wait at the same time the last is answered first."""
    fake, texts = FakeRecognizer(by_number, last_first=True), list[str]()
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(ask, fake, texts)
            await fake.until(number + 1)

    assert texts == ["w2", "w1", "w0"]


async def test_as_a_model() -> None:
    """It counts its leases, or cannot be leased."""
    fake = FakeRecognizer(loading=UnavailableError("not yet"))
    model: Model = fake
    with pytest.raises(UnavailableError):
        async with model.lease():
            pass
    fake.loading = None
    async with model.lease() as recognizer:
        assert recognizer.name == "fake"
        assert fake.leases == 1

    assert fake.leases == 0
