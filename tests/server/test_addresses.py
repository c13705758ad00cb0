"""Every address that a client builds from some base URL leads to the server's own."""

import pytest

from gateway.server.addresses import canonical


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("//v1///models", "/v1/models"),
        ("/audio/transcriptions", "/v1/audio/transcriptions"),
        ("/models", "/v1/models"),
        ("/realtime", "/v1/realtime"),
        ("/openai/realtime/", "/v1/realtime"),
        ("/openai/v1/models", "/openai/v1/models"),
        ("/modelsx", "/modelsx"),
        ("/audio", "/v1/audio"),
        ("/health/", "/health"),
        ("/", "/"),
        ("", "/"),
        ("///", "/"),
    ],
)
def test_paths(path: str, own: str) -> None:
    """Slashes and a missing version are mended; nothing else is touched."""
    assert canonical(path) == (own, None)


def test_azures_deployments() -> None:
    """The deployment is the model; without what follows it, the address is nobody's."""
    assert canonical("/openai/deployments/my-whisper/audio/translations") == (
        "/v1/audio/translations",
        "my-whisper",
    )
    assert canonical("/openai/deployments/my-whisper")[1] is None


@pytest.mark.parametrize("path", ["//v1//audio/", "/openai/deployments/a/audio/b", "/models/"])
def test_a_canonical_path_stays(path: str) -> None:
    """Once is enough."""
    own, _ = canonical(path)

    assert canonical(own) == (own, None)
