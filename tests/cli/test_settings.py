"""What is wrong in the settings is said in a line, with its place and the name that was probably meant."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.settings import load_settings
from gateway.errors import SettingsError


def _faults(flags: dict[str, object], environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, environment)
    return caught.value.faults


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    """Named by flag or variable: the server would start open, with all defaults."""
    missing = tmp_path / "missing.toml"
    for flags, environment in (
        ({"config": missing}, {}),
        ({}, {"GATEWAY_CONFIG": str(missing)}),
        ({"config": tmp_path}, {}),
    ):
        (fault,) = _faults(dict(flags), dict(environment))

        assert fault.startswith(f"cannot read the settings file {tmp_path}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("port = \n", " is no TOML: Invalid value (at line 1, column 8)"),
        ("port = 1\nidle_secnds = 3\n", ", line 2: 'idle_secnds' is no setting; did you mean idle_seconds?"),
        ("GATEWAY_PORT = 3\n", ", line 1: 'GATEWAY_PORT' is no setting; did you mean port?"),
        ('port = 1\n[[models]]\nname = "a"\n', ", line 2: models.0.source: Field required"),
        ('allowed_origins = ["a.example"]\n', ", line 1: allowed_origins.0: 'a.example' is no origin"),
        ("\n\nwholly_other = 3\n", ", line 3: 'wholly_other' is no setting"),
        (
            '[[models]]\nsource = "a"\n[[models]]\nsource = "b"\nbeamsize = 1\n',
            ", line 5: 'beamsize' is no setting; did you mean beam_size?",
        ),
        ("host = 'x'\n'port' = 70000\n", ", line 2: port: Input should be less than or equal to 65535"),
        (
            '[[models]]\nsource = "a"\nbeam_size = 1\n[[models]]\nsource = "b"\nbeam_size = 99\n',
            ", line 6: models.1.beam_size: Input should be less than or equal to 16",
        ),
        (
            '[[models]]\nsource = "a"\n[[models]]\nsource = "b"\nlanguage = "Germn"\n',
            ", line 5: models.1.language: Whisper knows no such language",
        ),
        (
            "api_keys = []\n",
            ", line 1: api_keys is there but holds no key, which would let everybody in: ",
        ),
        (
            'api_keys = ["", " "]\n',
            ", line 1: api_keys is there but holds no key, which would let everybody in: ",
        ),
        ("max_session_seconds = inf\n", ", line 1: max_session_seconds: Input should be a finite number"),
        ("x = " + "[" * 10_000, " is no TOML: "),
    ],
)
def test_a_fault_in_a_file_has_its_line(file: Callable[[str], Path], text: str, fault: str) -> None:
    """Broken TOML, misspelt names, wrong values, in single models too."""
    path = file(text)
    (found,) = _faults({"config": path}, {})

    assert found.startswith(f"{path}{fault}")


def test_a_file_is_read_once() -> None:
    """A pipe, as a shell makes one of what decrypts a file, gives its keys a single time."""
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as file:
        file.write('api_keys = ["sk-1"]\n')
        file.close()
        loaded = load_settings({"config": Path(f"/dev/fd/{reader}")}, {})

    assert loaded.settings.api_keys == ("sk-1",)


@pytest.mark.parametrize(("given", "code"), [("German", "de"), ("de-AT", "de"), ("no", "no")])
def test_a_models_language_is_read_as_requests_have_it(
    file: Callable[[str], Path], given: str, code: str
) -> None:
    """The model would refuse it otherwise, with every request."""
    path = file(f'[[models]]\nsource = "a"\nlanguage = "{given}"\n')

    assert load_settings({"config": path}, {}).settings.models[0].language == code


def test_all_misspelt_names_are_told_at_once(file: Callable[[str], Path]) -> None:
    """A line for each."""
    assert len(_faults({"config": file("prot = 1\nhots = 2\n")}, {"GATEWAY_PRT": "1"})) == 3


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Said as what it is."""
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"host = '\xff'")

    assert _faults({"config": path}, {}) == (f"{path} is no text in UTF-8: byte 8",)


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("GATEWAY_PRT", "GATEWAY_PRT is no setting; did you mean GATEWAY_PORT?"),
        ("GATEWAY_API_KEY", "GATEWAY_API_KEY is no setting; did you mean GATEWAY_API_KEYS?"),
        ("gateway_prt", "gateway_prt is no setting; did you mean GATEWAY_PORT?"),
        ("GATEWAY_SECRET", "GATEWAY_SECRET is no setting"),
    ],
)
def test_a_misspelt_variable(variable: str, fault: str) -> None:
    """Whoever set it believes that it holds; what sounds like a key even where nothing is near."""
    assert _faults({}, {variable: "1"}) == (fault,)


def test_variables_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes sets for a service called gateway is passed over, and the rest is mentioned."""
    of_others = {
        "GATEWAY_SERVICE_HOST": "1.2.3.4",
        "GATEWAY_SERVICE_PORT_HTTP": "80",
        "GATEWAY_PORT_80_TCP_ADDR": "1.2.3.4",
        "GATEWAY_INTERFACE": "CGI/1.1",
    }

    assert load_settings({}, of_others).remarks == ["GATEWAY_INTERFACE is no setting, and is ignored"]


def test_kubernetes_overwrites_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets there is no number; the line says where it comes from."""
    monkeypatch.setenv("GATEWAY_PORT", "tcp://10.0.0.1:80")
    (fault,) = _faults({}, {"GATEWAY_PORT": "tcp://10.0.0.1:80"})

    assert fault.startswith("GATEWAY_PORT: Input should be a valid integer")
    assert "enableServiceLinks" in fault


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("GATEWAY_API_KEYS", "", "GATEWAY_API_KEYS is there but holds no key"),
        ("GATEWAY_API_KEYS", " , ", "GATEWAY_API_KEYS is there but holds no key"),
        ("GATEWAY_MODELS", "not json", "GATEWAY_MODELS: is no JSON"),
        ("GATEWAY_WORKERS", "0", "GATEWAY_WORKERS: Input should be greater"),
        ("GATEWAY_TRUSTED_PROXIES", "nginx", "GATEWAY_TRUSTED_PROXIES: 'nginx' does not appear to be"),
    ],
)
def test_a_variable_with_a_wrong_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    """It is named as it was written."""
    monkeypatch.setenv(variable, value)
    (found,) = _faults({}, {variable: value})

    assert found.startswith(fault)


def test_a_flag_is_named_as_one() -> None:
    """Not as a field."""
    (fault,) = _faults({"max_streams": 0}, {})

    assert fault.startswith("--max-streams: ")
