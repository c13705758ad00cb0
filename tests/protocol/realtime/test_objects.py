"""Strangers' JSON is an object or a refusal; validation names the whole path of what is wrong."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.errors import InvalidRequestError
from gateway.protocol.realtime.objects import as_object, invalid_value, read_object, validated


class Inner(BaseModel):
    """One field."""

    size: int


class Outer(BaseModel):
    """A field with a field."""

    inner: Inner
    name: str = "none"


@pytest.mark.parametrize("data", ['{"a": "ü"}', '{"a": "ü"}'.encode(), '{"a": "\\u00fc"}'])
def test_read(data: str | bytes) -> None:
    """Text, or bytes of UTF-8."""
    assert read_object(data) == {"a": "ü"}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "no",
        "[]",
        "5",
        "null",
        b"\xff\xfe",
        '{"a": 1}'.encode("utf-16"),
        "{" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000,
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": "\\ud83d"}',
        '{"\\uDE00": 1}',
        '{"a": "\ud83d"}',
        b'{"a": "\xed\xa0\xbd"}',
    ],
)
def test_what_is_no_object(data: str | bytes) -> None:
    """Broken, too deep, too long a number, JavaScript's constants, half a character, another encoding."""
    with pytest.raises(InvalidRequestError) as caught:
        read_object(data)

    assert caught.value.code == "invalid_json"


@given(st.one_of(st.text(), st.binary()))
def test_garbage(data: str | bytes) -> None:
    """Anything at all is an object or refused."""
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(read_object(data), dict)


def test_whole_pairs() -> None:
    """Clients that write ASCII only send an emoji as two escapes."""
    assert read_object('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_as_object() -> None:
    """Null is an empty object, all else is none."""
    assert as_object({"a": 1}, "x") == {"a": 1}
    assert as_object(None, "x") == {}
    wrong: list[object] = [[], "a", 5, False]
    for value in wrong:
        with pytest.raises(InvalidRequestError, match=r"'x\.y': It is an object") as caught:
            as_object(value, "x.y")
        assert caught.value.param == "x.y"


def test_validated() -> None:
    """A null is as good as no field."""
    assert validated(Outer, {"inner": {"size": 1}, "name": None}, "o") == Outer(inner=Inner(size=1))


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "a.b.inner", "missing_required_parameter"),
        ({"inner": {}}, "a.b.inner.size", "missing_required_parameter"),
        ({"inner": {"size": "x"}}, "a.b.inner.size", "invalid_value"),
        ({"inner": {"size": 1}, "name": 5}, "a.b.name", "invalid_value"),
    ],
)
def test_the_whole_path(fields: dict[str, Any], param: str, code: str) -> None:
    """The parameter counts from the body, and the message names it, too."""
    with pytest.raises(InvalidRequestError) as caught:
        validated(Outer, fields, "a.b")

    assert (caught.value.param, caught.value.code) == (param, code)
    assert f"'{param}'" in caught.value.message


def test_invalid_value() -> None:
    """Message, parameter and code as all other refusals have them."""
    error = invalid_value("a.b", "It is 5")

    assert (error.message, error.param, error.code) == (
        "Invalid value for 'a.b': It is 5.",
        "a.b",
        "invalid_value",
    )
