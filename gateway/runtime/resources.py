"""What all transcriptions share, and what those with speakers need besides."""

import os

import anyio

from gateway.audio.silero import SileroModel
from gateway.audio.speaker_model import SpeakerModel
from gateway.errors import ModelUnavailableError
from gateway.flow.options import Resources
from gateway.metrics import Metrics
from gateway.models.hub import Hub
from gateway.models.speakers import weights
from gateway.settings import Settings


def load_speakers(settings: Settings) -> SpeakerModel:
    """The networks that tell speakers apart, fetched where need be.

    Raises:
        ModelUnavailableError: They cannot be had.
    """
    folder = weights.get(settings.speakers, Hub())
    try:
        return SpeakerModel.load(folder)
    except Exception as error:  # ONNX Runtime raises what has no class in common
        raise ModelUnavailableError(f"the networks in {folder} cannot be loaded: {error}") from error


def load_resources(metrics: Metrics) -> Resources:
    """What all transcriptions share; as many threads may cut recordings as there are cores."""
    return Resources(SileroModel.load(), anyio.CapacityLimiter(os.cpu_count() or 2), metrics)
