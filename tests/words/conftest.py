"""What listening needs: a real Whisper, recordings with references, and what counts wrong words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.words.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Whisper base and the recordings; without them the tests are skipped, and say how to get them."""
    for package in ("jiwer", "whisper_normalizer"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[bench]'")
    from bench.hearing import MODEL_VARIABLE, find_base  # noqa: PLC0415 - they import jiwer
    from bench.speech import SPEECH_VARIABLE, find_speech  # noqa: PLC0415 - the same
    from tests.words.judge import Judge  # noqa: PLC0415 - the same

    model, speech = find_base(), find_speech()
    if model is None:
        pytest.skip(f"no Whisper base: `gateway models pull base`, or name its folder in {MODEL_VARIABLE}")
    if not (speech / "recordings.json").is_file():
        pytest.skip(f"no recordings in {speech}; another folder can be named in {SPEECH_VARIABLE}")
    return Judge(model, speech)
