"""What runs on the machines of a cluster before an engine does: each finds the weights by its own means."""

from dataclasses import replace
from pathlib import Path

from gateway.engine.whisper.engine import WhisperEngine, WhisperSpec
from gateway.errors import ModelUnavailableError
from gateway.models.hub import WHISPER_REPOS, Hub
from gateway.models.locate import locate


def load_whisper(source: str, spec: WhisperSpec) -> WhisperEngine:
    """Loads a model of this machine's cache, of a folder that it has, or of where its cache is filled from.

    Args:
        source: As the operator named it: a known name, a hub id or a folder.
        spec: How it is run; its folder is not looked at.

    Raises:
        ModelUnavailableError: This machine cannot get it.
    """
    return replace(spec, path=locate(source, Hub()).fetch()).load()


def name_of(source: str) -> str:
    """What a model is called where nobody gave it a name; it need not be on this machine.

    Raises:
        ModelUnavailableError: It has none.
    """
    if source in WHISPER_REPOS or not (source.startswith((".", "~", "/")) or Path(source).is_dir()):
        return source
    name = Path(source).name
    if name in ("", ".."):
        raise ModelUnavailableError(f"'{source}' gives a model no name: name it in [[models]]")
    return name
