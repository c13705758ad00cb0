"""A transcription gateway that speaks OpenAI's audio API."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("transcription-gateway")
except PackageNotFoundError:  # a source tree on the path without an installation
    __version__ = "0+unknown"
