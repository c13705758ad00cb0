"""The clients that are tried, each in an environment of its own.

``python tests/clients/environments.py [NAME…]`` installs them, all or some, below `ROOT`: Python's with pip,
Node's with npm. Tests of what is not installed skip.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(os.environ.get("CLIENT_ENVIRONMENTS") or Path(__file__).with_name("installed"))

PYTHON = {
    "openai1": ("openai<2", "websockets"),
    "openai2": ("openai[realtime]<3",),
    "langchain": ("langchain-community", "openai", "pydub", "imageio-ffmpeg"),
    "litellm": ("litellm[proxy]",),
    "livekit": ("livekit-agents", "livekit-plugins-openai"),
    "pipecat": ("pipecat-ai[openai]",),
    "groq": ("groq",),
    "wyoming": ("wyoming-openai",),
}
NODE = {
    "node4": ("openai@4",),
    "node6": ("openai@6", "ws"),
    "vercel": ("ai", "@ai-sdk/openai", "@ai-sdk/groq"),
}


def install(name: str) -> None:
    """Makes the environment anew, or brings it up to date."""
    folder = ROOT / name
    if name in PYTHON:
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-qU", *PYTHON[name]], check=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", *NODE[name]],
            cwd=folder,
            check=True,
        )


def version_of(name: str, package: str) -> str | None:
    """The package's version in an environment; None where it is not installed."""
    if name in NODE:
        manifest = ROOT / name / "node_modules" / package / "package.json"
        return str(json.loads(manifest.read_text("utf-8"))["version"]) if manifest.is_file() else None
    found = sorted((ROOT / name).glob(f"lib/python3*/site-packages/{package.replace('-', '_')}-*.dist-info"))
    return found[0].name.split("-")[1].removesuffix(".dist") if found else None


if __name__ == "__main__":
    for each in sys.argv[1:] or [*PYTHON, *NODE]:
        install(each)
