"""API keys: named, known by their SHA-256 alone, each with limits of its own; and the file of them."""

import hashlib
import os
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import SettingsError

KEY_BYTES = 32
"""Of chance in a key that we make: too much to be guessed from its hash, so the hash need not be slow."""


class ClientLimits(BaseModel):
    """What one client may take; 0 is no limit of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests_per_minute: float = Field(0, ge=0)
    audio_minutes: float = Field(0, ge=0, description="Of audio, a minute.")
    streams: int = Field(0, ge=0, description="Recordings at the same time.")
    sessions: int = Field(0, ge=0, description="Realtime sessions at the same time.")
    waiting_bytes: int = Field(0, ge=0, description="Of all its Realtime sessions' audio, not worked on yet.")


class KeyEntry(ClientLimits):
    """One ``[[keys]]`` of the file; limits that are left out are the settings'."""

    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")


@dataclass(frozen=True, slots=True)
class Key:
    """An accepted key.

    Attributes:
        name: Stands in logs and metrics; the key does not.
    """

    name: str
    digest: bytes
    limits: ClientLimits


def digest(key: str) -> bytes:
    """What is known of a key."""
    return hashlib.sha256(key.encode()).digest()


def plain_keys(keys: Sequence[str], limits: ClientLimits) -> list[Key]:
    """Keys of the settings: ``name:key``, or a key alone, named by its hash: on all replicas the same."""
    made = []
    for written in keys:
        name, colon, key = written.partition(":")
        if not (colon and name and key):
            name, key = f"key-{digest(written).hex()[:8]}", written
        made.append(Key(name, digest(key), limits))
    return made


def read_keys(path: Path, limits: ClientLimits) -> list[Key]:
    """The keys of a file.

    Args:
        limits: Those of keys that have none of their own.

    Raises:
        SettingsError: It cannot be read, or is not what it must be; no key stands in the text.
    """
    return _parse(_text(path), path, limits)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read the key file {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text in UTF-8: byte {error.start}") from None


def _parse(text: str, path: Path, limits: ClientLimits) -> list[Key]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The text of a broken file may hold a key; where it breaks does not.
        raise SettingsError(f"{path} is no TOML: {str(error) or 'nested too deeply'}") from None
    entries = content.get("keys", [])
    if set(content) - {"keys"} or not isinstance(entries, list):
        raise SettingsError(f"{path} must hold [[keys]] and nothing else")
    keys: list[Key] = []
    for number, entry in enumerate(entries, 1):
        try:
            read = KeyEntry.model_validate(entry)
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise SettingsError(f"{path}, key {number}: {where}: {fault['msg']}") from None
        if any(read.name == key.name for key in keys):
            raise SettingsError(f"{path} has two keys called {read.name}")
        own = read.model_dump(exclude_unset=True, exclude={"name", "sha256"})
        keys.append(Key(read.name, bytes.fromhex(read.sha256), limits.model_copy(update=own)))
    return keys


def new_key() -> str:
    """A key as OpenAI's begin."""
    return f"sk-{secrets.token_urlsafe(KEY_BYTES)}"


def add_key(path: Path, name: str, key: str) -> None:
    """Appends a key's entry to a file, which is made for its owner alone where it is not there.

    Raises:
        SettingsError: There is one of that name, or the file cannot be read or written, or could not be read
            with this entry.
    """
    text = _text(path) if path.exists() else ""
    if any(known.name == name for known in _parse(text, path, ClientLimits())):
        raise SettingsError(f"{path} has a key called {name} already")
    # A basic string of TOML is quoted as JSON is, for names without control characters.
    if not name.isprintable() or not name:
        raise SettingsError("a key's name must be printable")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    entry = f'\n[[keys]]\nname = "{quoted}"\nsha256 = "{digest(key).hex()}"\n'
    try:
        _parse(text + entry, path, ClientLimits())
    except SettingsError as error:
        # A name that is too long, or keys in brackets, behind which TOML takes no more of them.
        raise SettingsError(f"the entry cannot be added: with it {error}") from None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(entry)
    except OSError as error:
        raise SettingsError(f"cannot write the key file {path}: {error.strerror}") from None
