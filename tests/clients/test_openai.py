"""OpenAI's own clients of earlier versions, Python and Node; the current ones are tested in `tests/e2e`."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Run
from tests.e2e.speaker import speech
from tests.support import LiveServer, Sample

pytestmark = pytest.mark.slow

WHAT = "file, verbose_json with words, stream, refusal"
TEXT = "Alpha zulu november six. Quebec tango kilo nine."
WORDS = TEXT.replace(".", "").split()


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("openai_file.py", marks=pytest.mark.client("openai1", "openai", WHAT)),
        pytest.param("openai_file.py", marks=pytest.mark.client("openai2", "openai", WHAT)),
        pytest.param("openai_node.mjs", marks=pytest.mark.client("node4", "openai", f"npm: {WHAT}")),
        pytest.param("openai_node.mjs", marks=pytest.mark.client("node6", "openai", f"npm: {WHAT}")),
    ],
)
def test_files(server: LiveServer, samples: dict[str, Sample], run: Run, program: str) -> None:
    """Each reads what it is answered."""
    answer = run(program, server.url, str(samples["en_nato_8k"].path))

    assert answer == {"text": TEXT, "words": WORDS, "streamed": TEXT, "refusal": "model_not_found"}


@pytest.mark.client("openai2", "openai", "Realtime transcription session")
def test_realtime(server: LiveServer, samples: dict[str, Sample], run: Run, tmp_path: Path) -> None:
    """Two turns, each with its text."""
    (tmp_path / "speech.pcm").write_bytes(speech(samples["en_nato_8k"].path))
    texts = run("openai_realtime.py", server.url, str(tmp_path / "speech.pcm"))

    assert " ".join(texts).strip() == TEXT, json.dumps(texts)
