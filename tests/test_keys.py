"""Keys are known by name and hash; a file of them is read strictly, and faults quote no key."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.keys import ClientLimits, add_key, digest, new_key, plain_keys, read_keys

LIMITS = ClientLimits(requests_per_minute=5, sessions=2)


def test_keys_of_the_settings_have_names() -> None:
    """Their own before a colon, else that of their hash; a colon at an end belongs to the key."""
    named = plain_keys(("ann:k1", "k2", "k3:"), LIMITS)

    assert [(key.name, key.digest) for key in named] == [
        ("ann", digest("k1")),
        (f"key-{digest('k2').hex()[:8]}", digest("k2")),
        (f"key-{digest('k3:').hex()[:8]}", digest("k3:")),
    ]
    assert {key.limits for key in named} == {LIMITS}


def test_a_file_made_by_us_is_read(tmp_path: Path) -> None:
    """Two keys, one of them then given limits by hand; the file is its owner's, and holds no key."""
    file = tmp_path / "keys.toml"
    first, second = new_key(), new_key()
    add_key(file, 'Ann "A"', first)
    add_key(file, "Ben", second)
    file.write_text(file.read_text() + "sessions = 0\naudio_minutes = 2.5\n")
    ann, ben = read_keys(file, LIMITS)

    assert (ann.name, ann.digest, ann.limits) == ('Ann "A"', digest(first), LIMITS)
    assert (ben.name, ben.digest) == ("Ben", digest(second))
    assert ben.limits == ClientLimits(requests_per_minute=5, sessions=0, audio_minutes=2.5)
    assert file.stat().st_mode & 0o077 == 0
    assert first not in file.read_text()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[keys]]\nname = 'a'\nsha256 = 'sk-plain'\n", "key 1: sha256: String should match pattern"),
        ("[[keys]]\nsha256 = '" + "0" * 64 + "'\n", "key 1: name: Field required"),
        ("[[keys]]\nname = 'a'\nsha256 = '" + "0" * 64 + "'\nlimit = 1\n", "key 1: limit: Extra inputs"),
        ("keys = 1\n", "must hold"),
        ("port = 1\n", "must hold"),
        ("keys = [sk-plain\n", "is no TOML"),
        (("[[keys]]\nname = 'a'\nsha256 = '" + "0" * 64 + "'\n") * 2, "two keys called a"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    """Where it breaks is said, and what somebody wrote there by mistake is not."""
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=fault) as caught:
        read_keys(file, LIMITS)

    assert "sk-plain" not in str(caught.value)


def test_names_are_given_once(tmp_path: Path) -> None:
    """A second key of one name would count as the same client."""
    file = tmp_path / "keys.toml"
    add_key(file, "ann", new_key())
    with pytest.raises(SettingsError, match="called ann already"):
        add_key(file, "ann", new_key())
    with pytest.raises(SettingsError, match="printable"):
        add_key(file, "a\nb", new_key())
    with pytest.raises(SettingsError, match="cannot write"):
        add_key(tmp_path / "no" / "keys.toml", "ann", new_key())
    with pytest.raises(SettingsError, match="cannot read"):
        read_keys(tmp_path / "missing.toml", LIMITS)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("a" * 101, ""),
        ("ann", f"keys = [{{name = 'ben', sha256 = '{'0' * 64}'}}]\n"),
    ],
)
def test_an_entry_that_would_break_the_file_is_not_added(tmp_path: Path, name: str, before: str) -> None:
    """The server would not start with it, and a running one would take no later change."""
    file = tmp_path / "keys.toml"
    file.write_text(before)
    with pytest.raises(SettingsError, match="cannot be added"):
        add_key(file, name, new_key())

    assert file.read_text() == before
