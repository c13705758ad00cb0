"""Names of Whisper are read however other servers write them, and nothing else is taken for one."""

import pytest

from gateway.protocol.contracts import ALIASES
from gateway.protocol.whisper_names import meant_size, whisper_size


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("base", "base"),
        ("Base", "base"),
        ("base.en", "base.en"),
        ("tiny-en", "tiny.en"),
        ("small", "small"),
        ("large", "large-v3"),
        ("turbo", "large-v3-turbo"),
        ("large-v3-turbo", "large-v3-turbo"),
        ("whisper-large-v3-turbo", "large-v3-turbo"),
        ("openai/whisper-large-v2", "large-v2"),
        ("Systran/faster-whisper-large-v3", "large-v3"),
        ("Systran/faster-distil-whisper-large-v3", "distil-large-v3"),
        ("distil-whisper-large-v3-en", "distil-large-v3.en"),
        ("distil-whisper/distil-large-v3.5-ct2", "distil-large-v3.5"),
        ("deepdml/faster-whisper-large-v3-turbo-ct2", "large-v3-turbo"),
        ("mlx-community/whisper-large-v3-mlx-8bit", "large-v3"),
        ("ggml-base.en.bin", "base.en"),
        ("ggml-large-v3-turbo-q5_0.bin", "large-v3-turbo"),
        ("whisper_small", "small"),
        ("whisper-v3", "large-v3"),
        ("whisper-v3-turbo", "large-v3-turbo"),
        ("large-v3-turbo-bf16", "large-v3-turbo"),
    ],
)
def test_names_of_whisper(name: str, size: str) -> None:
    """Owner, wrapper, precision and suffix are left out; the size is not."""
    assert whisper_size(name) == size


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        "basement",
        "my-base",
        "a/b/base",
        "gpt-4o",
        "whisper",
        "../base",
        "large-v9",
        "base/",
        "v3",
    ],
)
def test_other_names(name: str) -> None:
    """What only looks like one is not found, so that a slip of the pen is told."""
    assert whisper_size(name) is None


@pytest.mark.parametrize("name", ["whisper", "Whisper", "azure/whisper", "gpt-4o-mini-transcribe-2025-03-20"])
def test_names_without_a_size(name: str) -> None:
    """Azure's deployments of Whisper are mostly called like the model there."""
    assert meant_size(name) == ""
    assert meant_size("whisper-small") == "small"
    assert meant_size("whispr") is None


def test_names_of_other_providers_are_no_sizes() -> None:
    """Names that everybody's clients use are aliases, not sizes, but for the one that is both."""
    assert [name for name in ALIASES if whisper_size(name)] == ["whisper-large-v3", "openai/whisper-large-v3"]
