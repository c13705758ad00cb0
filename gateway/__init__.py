"""A transcription gateway that speaks OpenAI's audio API."""

import os

# Read when ONNX Runtime is imported: its wheel (1.32) sends a device id and events to its makers otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Read when Ray is imported, where it is used at all: it reports that to its makers otherwise.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

__version__: str


def __getattr__(name: str) -> str:
    """The version, when somebody asks: reading the metadata takes 45 ms, of each command and each worker."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

    try:
        return version("transcription-gateway")
    except PackageNotFoundError:  # a source tree on the path without an installation
        return "0+unknown"
