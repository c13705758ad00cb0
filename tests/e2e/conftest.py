"""What the tests of live sessions share: a server that hears fast."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from gateway.engine.whisper.engine import WhisperSpec
from tests.support import LiveServer, live_server


@pytest.fixture(scope="session")
def quick_whisper(mini_whisper: WhisperSpec) -> WhisperSpec:
    """The miniature with no more context than an utterance needs: it decodes several times as fast."""
    return replace(mini_whisper, audio_context="fit")


@pytest.fixture(scope="session")
def live(quick_whisper: WhisperSpec) -> Iterator[LiveServer]:
    """A server for speakers who send faster than they speak: what they make it wait refuses nobody."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gateway.flow.pacing.ADMIT_UNTIL", 60.0)
            patch.setattr("gateway.flow.pacing.ADMIT_UNTIL_BUSY", 60.0)
            running = stack.enter_context(live_server([quick_whisper]))
        yield running
