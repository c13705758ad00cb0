"""Fixtures of the audio room."""

import pytest

from gateway.audio.silero import SileroModel
from gateway.audio.types import Samples
from tests.audio.sound import load
from tests.support import Sample


@pytest.fixture(scope="session")
def model() -> SileroModel:
    """The Silero VAD that is installed."""
    return SileroModel.load()


@pytest.fixture(scope="session")
def hello(samples: dict[str, Sample]) -> Samples:
    """Two words of English, 1.8 s."""
    return load(samples["en_hello"].path)


@pytest.fixture(scope="session")
def long(samples: dict[str, Sample]) -> Samples:
    """75 s, sixteen utterances with pauses of 1 to 7 s."""
    return load(samples["en_long"].path)
