"""Settings come from flags and environment, are checked, frozen, and all stand in the README."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.cli.settings import load_settings
from gateway.errors import SettingsError
from gateway.settings import Settings

README = Path(__file__).resolve().parents[1] / "README.md"


def settings_table() -> str:
    """The README's table of all settings."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = " ".join(field.default) if isinstance(field.default, tuple) else field.default
        rows.append(f"| `GATEWAY_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_readme_lists_every_setting() -> None:
    """The table in the README is this one, to the letter."""
    assert settings_table() in README.read_text()


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field is a variable; lists are separated by commas."""
    monkeypatch.setenv("GATEWAY_PORT", "9000")
    monkeypatch.setenv("GATEWAY_MODEL", "small, ./folder,")
    monkeypatch.setenv("GATEWAY_API_KEYS", "a,b")
    settings = Settings()

    assert (settings.port, settings.model, settings.api_keys) == (9000, ("small", "./folder"), ("a", "b"))


def test_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given on the command line beats the environment."""
    monkeypatch.setenv("GATEWAY_PORT", "9000")

    assert Settings(port=9001).port == 9001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("DEVICE", "tpu"),
        ("WORKERS", "0"),
        ("MAX_UPLOAD_BYTES", "none"),
        ("MAX_SESSION_SECONDS", "inf"),
        ("RESUME_SECONDS", "nan"),
        ("TRUSTED_PROXIES", "nginx"),
        ("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.1/8"),
        ("ALLOWED_ORIGINS", "captions.example"),
        ("ALLOWED_ORIGINS", "https://captions.example/page"),
        ("ALLOWED_ORIGINS", "https://*.example"),
        ("ALLOWED_HOSTS", "captions.example:8000"),
        ("ALLOWED_HOSTS", "https://captions.example"),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A wrong value stops the start instead of serving something else."""
    monkeypatch.setenv(f"GATEWAY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_origins_are_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """People copy them from the address bar; what can match nothing is refused."""
    monkeypatch.setenv("GATEWAY_ALLOWED_ORIGINS", "https://Captions.example/, app://obsidian.md,null,*")

    assert Settings().allowed_origins == ("https://captions.example", "app://obsidian.md", "null", "*")
    for wrong in ("captions.example", "https://captions.example/page"):
        with pytest.raises(ValidationError, match="is no origin"):
            Settings(allowed_origins=(wrong,))


def test_who_is_let_in() -> None:
    """Origins in the case that browsers send; any proxy is any, whatever stands beside it."""
    settings = Settings(
        allowed_origins=("https://Captions.Example", "app://obsidian.md", "null", "http://[::1]:3000"),
        allowed_hosts=("captions.example", "*"),
        trusted_proxies=("10.0.0.0/8", "*"),
    )

    assert settings.allowed_origins[0] == "https://captions.example"
    assert settings.trusted_proxies == ("*",)
    assert Settings(trusted_proxies=("10.0.0.0/8", "::1")).trusted_proxies == ("10.0.0.0/8", "::1")


def test_settings_are_frozen() -> None:
    """Nobody changes them behind anybody's back."""
    with pytest.raises(ValidationError):
        setattr(Settings(), "port", 1)  # noqa: B010 - mypy knows that it is frozen


def test_a_file_with_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    """A misspelt setting must not be taken for one that is obeyed."""
    file = tmp_path / "gateway.toml"
    file.write_text("prot = 9000\n")
    with pytest.raises(SettingsError, match="prot"):
        load_settings({"config": file})


def test_flags_before_environment_before_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The nearer one wins; the file may be named in the environment."""
    file = tmp_path / "gateway.toml"
    file.write_text('port = 1\nworkers = 2\nlog_level = "error"\n')
    monkeypatch.setenv("GATEWAY_CONFIG", str(file))
    monkeypatch.setenv("GATEWAY_WORKERS", "3")
    settings = load_settings({"log_level": "debug"}).settings

    assert (settings.port, settings.workers, settings.log_level) == (1, 3, "debug")
