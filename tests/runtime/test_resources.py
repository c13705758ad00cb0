"""What tells speakers apart is loaded, or there is one line that says why not."""

from pathlib import Path

import pytest

from gateway.audio.speaker_model import CAMPPLUS_FILE, SEGMENTATION_FILE
from gateway.errors import ModelUnavailableError
from gateway.runtime.resources import load_speakers
from gateway.settings import Settings


def test_networks_that_are_none(tmp_path: Path) -> None:
    """Files of the right names in a folder of the operator's are named, and what is wrong with them."""
    for name in (CAMPPLUS_FILE, SEGMENTATION_FILE):
        (tmp_path / name).write_bytes(b"no network")

    with pytest.raises(ModelUnavailableError, match="cannot be loaded") as caught:
        load_speakers(Settings(speakers=str(tmp_path)))

    assert str(tmp_path) in str(caught.value)
