"""Libraries that speak OpenAI's API for their users."""

import pytest

from tests.clients.conftest import Run
from tests.support import LiveServer, Sample

pytestmark = pytest.mark.slow

TEXT = "Alpha zulu november six. Quebec tango kilo nine."


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.client(
                "langchain", "langchain-community", f"{parser}, recording in its pieces"
            ),
        )
        for kind, parser in (("openai", "OpenAIWhisperParser"), ("azure", "AzureOpenAIWhisperParser"))
    ],
)
def test_langchain(server: LiveServer, samples: dict[str, Sample], run: Run, kind: str) -> None:
    """A document for each recording."""
    assert run("langchain_parser.py", server.url, str(samples["en_nato_8k"].path), kind) == [TEXT]


@pytest.mark.client("litellm", "litellm", "library: text, verbose_json with words")
def test_litellm(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """Text and words."""
    answer = run("litellm_file.py", server.url, str(samples["en_nato_8k"].path))

    assert answer == {"text": TEXT, "words": TEXT.replace(".", "").split()}


@pytest.mark.client("groq", "groq", "file, verbose_json")
def test_groq(server: LiveServer, samples: dict[str, Sample], run: Run) -> None:
    """Its addresses, its names and its mark."""
    answer = run("groq_file.py", server.url, str(samples["en_nato_8k"].path))

    assert answer["text"] == TEXT
    assert answer["id"].startswith("req_")


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(name, marks=pytest.mark.client("vercel", package, "ai's transcribe: segments, plain"))
        for name, package in (("openai", "@ai-sdk/openai"), ("groq", "@ai-sdk/groq"))
    ],
)
def test_vercel(server: LiveServer, samples: dict[str, Sample], run: Run, provider: str) -> None:
    """Text, segments, duration; Groq's provider takes no answer without `x_groq`."""
    answer = run("vercel.mjs", server.url, str(samples["en_nato_8k"].path), provider)

    assert answer["text"] == answer["plain"] == TEXT
    assert answer["durationInSeconds"] == pytest.approx(5.515, abs=0.01)
    assert "".join(segment["text"] for segment in answer["segments"]).strip() == TEXT
