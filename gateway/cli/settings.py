"""The settings of a command, or what is wrong with them, where, and which name was probably meant."""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadableError

from gateway.errors import SettingsError, nearest_name
from gateway.protocol.languages import language_code
from gateway.settings import ModelSettings, Settings
from gateway.transcript.languages import LANGUAGES

PREFIX = "GATEWAY_"

_SECRET = re.compile(r"KEY|AUTH|SECRET|TOKEN|PASS")
"""A variable called like this must not be passed over: whoever set it believes that a door is locked."""

_OF_KUBERNETES = re.compile(r"GATEWAY_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
"""What Kubernetes sets in every pod beside a service called ``gateway``."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that can be used.

    Attributes:
        remarks: What the operator should know all the same, a line for each.
    """

    settings: Settings
    remarks: list[str] = field(default_factory=list)


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Loaded:
    """The settings of flags, environment and file; a flag of None is one that was not given.

    Raises:
        SettingsError: Something is wrong; a line for each fault says what and where.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    named = given.get("config") or environment.get(f"{PREFIX}CONFIG")
    file = _File.read(Path(named)) if named else None
    faults, remarks = _check_variables(environment)
    if file is not None:
        faults += file.unknown()
    if faults:
        raise SettingsError(*faults)
    variables = {variable.upper() for variable in environment}
    # Of what was read: a pipe gives it once, and another time it may be another file.
    content = {} if file is None else file.content
    below = {name: content[name] for name in content if f"{PREFIX}{name.upper()}" not in variables}
    try:
        settings = Settings(**{**below, **given})
    except ValidationError as error:
        raise SettingsError(*(_place(fault, given, environment, file) for fault in error.errors())) from None
    except UnreadableError as error:
        raise SettingsError(_unreadable(error, environment)) from None
    if "api_keys" in settings.model_fields_set and not settings.api_keys:
        where = _origin("api_keys", given, environment, file)
        raise SettingsError(
            f"{where} is there but holds no key, which would let everybody in: remove it, or fill it"
        )
    models = tuple(_with_code(model) for model in settings.models)
    if unknown := [at for at, model in enumerate(models) if model.language not in {None, *LANGUAGES}]:
        message = "Whisper knows no such language; unset: it is told from the audio"
        wrong = [{"loc": ("models", at, "language"), "msg": message} for at in unknown]
        raise SettingsError(*(_place(fault, given, environment, file) for fault in wrong))
    return Loaded(settings.model_copy(update={"models": models}), remarks)


def _with_code(model: ModelSettings) -> ModelSettings:
    """The language as requests have it, however it is written here."""
    return model.model_copy(update={"language": language_code(model.language)}) if model.language else model


def _check_variables(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Variables with our prefix that are no settings: faults, and what is only worth a remark."""
    faults, remarks = [], []
    variables = [known.upper() for known in Settings.model_fields]
    for variable in sorted(environment):
        name = variable.upper()
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX).lower() in Settings.model_fields:
            continue
        if _OF_KUBERNETES.fullmatch(name):
            continue
        hint = _did_you_mean(name.removeprefix(PREFIX), variables, f"{PREFIX}{{}}")
        if hint or _SECRET.search(name):
            faults.append(f"{variable} is no setting{hint}")
        else:
            remarks.append(f"{variable} is no setting, and is ignored")
    return faults, remarks


def _bare(name: object) -> str:
    """A setting's name, though it is written as that of its variable."""
    return str(name).lower().removeprefix(PREFIX.lower())


def _did_you_mean(name: str, known: Iterable[str], form: str = "{}") -> str:
    nearest = nearest_name(name, known)
    return f"; did you mean {form.format(nearest)}?" if nearest else ""


@dataclass(frozen=True, slots=True)
class _File:
    """A settings file that could be parsed."""

    path: Path
    lines: list[str]
    content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "_File":
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is no text in UTF-8: byte {error.start}") from None
        try:
            return cls(path, text.splitlines(), tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{path} is no TOML: {str(error) or 'nested too deeply'}") from None

    def unknown(self) -> list[str]:
        return [
            f"{self.where(loc)}: '{loc[-1]}' is no setting{_did_you_mean(_bare(loc[-1]), known)}"
            for loc, known in self._unknown()
        ]

    def _unknown(self) -> Iterator[tuple[tuple[str | int, ...], Iterable[str]]]:
        for name in self.content:
            if name not in Settings.model_fields:
                yield (name,), Settings.model_fields
        models = self.content.get("models")
        for number, table in enumerate(models if isinstance(models, list) else []):
            for name in table if isinstance(table, dict) else []:
                if name not in ModelSettings.model_fields:
                    yield ("models", number, name), ModelSettings.model_fields

    def where(self, loc: tuple[str | int, ...]) -> str:
        """File and line of a key, as far as they can be told."""
        number = self._line(loc)
        return f"{self.path}, line {number}" if number else str(self.path)

    def _line(self, loc: tuple[str | int, ...]) -> int | None:
        name = str(loc[-1] if len(loc) > 2 else loc[0])
        wanted = loc[1] if len(loc) > 1 and isinstance(loc[1], int) and loc[0] == "models" else None
        key = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
        table, begins = -1, None
        for number, line in enumerate(self.lines, 1):
            if re.match(r"\s*\[\[\s*models\s*\]\]", line):
                table += 1
                begins = number if table == wanted else begins
            if key.match(line) and (wanted is None or table == wanted):
                return number
        return begins  # what a table lacks has no line of its own


def _origin(name: str, given: Mapping[str, Any], environment: Mapping[str, str], file: _File | None) -> str:
    """Where a setting has its value from: the nearest of flag, variable and file."""
    if name in given:
        return "--" + name.replace("_", "-")
    for variable in environment:
        if variable.upper() == f"{PREFIX}{name.upper()}":
            return variable
    return f"{file.where((name,))}: {name}" if file is not None and name in file.content else name


def _place(
    fault: Mapping[str, Any], given: Mapping[str, Any], environment: Mapping[str, str], file: _File | None
) -> str:
    """What is wrong with a value, after the place it comes from."""
    loc = fault["loc"] or ("settings",)
    where, rest = _origin(str(loc[0]), given, environment, file), ".".join(map(str, loc[1:]))
    if file is not None and len(loc) > 2 and str(loc[0]) in file.content:
        where = f"{file.where(loc)}: {loc[0]}"
    hint = ""
    if loc == ("port",) and str(fault["input"]).startswith("tcp://"):
        hint = (
            "; Kubernetes sets it for a service called gateway: give the pod enableServiceLinks: false, "
            "or a GATEWAY_PORT of its own"
        )
    return f"{where}{f'.{rest}' if rest else ''}: {fault['msg'].removeprefix('Value error, ')}{hint}"


def _unreadable(error: UnreadableError, environment: Mapping[str, str]) -> str:
    """A variable that must be JSON and is none."""
    found = re.search(r'field "(\w+)"', str(error))
    name = found[1] if found else "models"
    return f"{_origin(name, {}, environment, None)}: is no JSON"
