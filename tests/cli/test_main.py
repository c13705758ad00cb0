"""The command itself: there at once, whatever its commands need when they run."""

import json
import subprocess
import sys

HEAVY = set("anyio av ctranslate2 huggingface_hub numpy onnxruntime pydantic rich uvicorn".split())


def test_help_loads_nothing_that_is_heavy() -> None:
    """Importing all commands costs no library but typer."""
    code = "import json, sys, gateway.cli; print(json.dumps([*sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert HEAVY.isdisjoint(json.loads(run.stdout))
