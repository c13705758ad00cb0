"""Several models on one server: names and defaults of their own, loaded when wanted, gone when not."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.support import MODEL, Sample, until


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Two models of one folder; the second is loaded on first use and goes when it is idle."""
    file = tmp_path / "gateway.toml"
    file.write_text(
        f"""
        port = 0
        idle_seconds = 0.2
        [[models]]
        source = {json.dumps(str(MODEL))}
        name = "first"
        [[models]]
        source = {json.dumps(str(MODEL))}
        name = "german"
        aliases = ["captions", "whisper-1"]
        language = "de"
        beam_size = 1
        """
    )
    return file


def test_models_of_a_settings_file(settings_file: Path, samples: dict[str, Sample]) -> None:
    """Each answers to its names with its defaults; the unpinned one comes and goes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--config", str(settings_file)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = next(line.split("running on ")[1].split()[0] for line in process.stderr if "running on" in line)
        until(lambda: httpx.get(f"{url}/ready").status_code == 200)
        client = OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0)
        names = [model.id for model in client.models.list()]
        before = _state(url)
        file = samples["de_zahlen"].path
        answers = [
            client.audio.transcriptions.create(file=file, model=name, response_format="verbose_json")
            for name in ("german", "captions", "whisper-1")
        ]
        until(lambda: _state(url) == "unloaded")
        again = client.audio.transcriptions.create(file=file, model="german")
        first = client.audio.transcriptions.create(file=samples["en_hello"].path, model="gpt-4o-transcribe")
        client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)

    assert names[:4] == ["first", "german", "captions", "whisper-1"]
    assert before == "unloaded"
    assert {answer.text for answer in answers} == {samples["de_zahlen"].text}
    assert {answer.language for answer in answers} == {"german"}
    assert (again.text, first.text) == (samples["de_zahlen"].text, "Hello world.")


def _state(url: str) -> str:
    state: str = httpx.get(f"{url}/health").json()["models"]["german"]["state"]
    return state
