"""What an operator writes for an upstream is taken apart, or refused without showing what may be a key."""

import pytest

from gateway.engine.upstream.address import Address, is_upstream, parse_address
from gateway.errors import ModelUnavailableError


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("openai:https://host/v1#whisper-1", Address(("https://host/v1",), "whisper-1")),
        ("asr=openai:http://host:8000/v1/", Address(("http://host:8000/v1",), None, "asr")),
        ("a.b-1=openai:https://h/v1#org/model:x", Address(("https://h/v1",), "org/model:x", "a.b-1")),
        ("a=openai: https://host/v1/ # m ", Address(("https://host/v1",), "m", "a")),
        ("openai:http://[::1]:8000/v1#m", Address(("http://[::1]:8000/v1",), "m")),
        ("a=openai:http://a/v1+HTTPS://b/v1#m", Address(("http://a/v1", "HTTPS://b/v1"), "m", "a")),
        (
            "asr=openai:https://a/v1+https://b/x+y/v1#m",
            Address(("https://a/v1", "https://b/x+y/v1"), "m", "asr"),
        ),
    ],
)
def test_address(source: str, expected: Address) -> None:
    """Name, URLs and model."""
    assert is_upstream(source)
    assert parse_address(source) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("openai:host/v1#m", "needs a URL"),
        ("openai:ftp://host/v1", "needs a URL"),
        ("openai:https://", "needs a URL"),
        ("openai:https://host:port/v1", "needs a URL"),
        ("openai:", "needs a URL"),
        ("openai:https://sk-secret@host/v1", "holds a key"),
        ("openai:https://host/v1?key=sk-secret", "holds a key"),
        ("openai:https://a/v1+https://a/v1#m", "twice"),
        ("openai:https://a/v1,https://b/v1#m", r"joined by \+"),
        ("openai:https://host/v1?#m", "holds a key or a query"),
        ("openai:https://ho st/v1#m", "needs a URL"),
        ("openai:https://ho\tst/v1#m", "needs a URL"),
        ("openai:https://ä..b/v1#m", "needs a URL"),
        ("openai:https://\u2603.example/v1#m", "needs a URL"),
        ("openai:http://::1:8000/v1#m", "needs a URL"),
        ("a=b=openai:https://a/v1", "is written"),
    ],
)
def test_refused(source: str, words: str) -> None:
    """A line says what is wrong, and holds no secret."""
    with pytest.raises(ModelUnavailableError, match=words) as caught:
        parse_address(source)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "source", ["base", "org/name", "./openai", "/models/openai", "openai/whisper-large-v3"]
)
def test_others_are_no_upstreams(source: str) -> None:
    """Names, hub ids and folders stay what they are."""
    assert not is_upstream(source)
