"""Every encoding of form fields that clients use ends in the same dict; strangers get a dict or a refusal."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequestError
from gateway.protocol.form import decode_form


@pytest.mark.parametrize(
    "fields",
    [
        [("include[]", "logprobs")],
        [("include", "logprobs")],
        [("include[0]", "logprobs")],
        [("include", '["logprobs"]')],
    ],
)
def test_lists_in_every_encoding(fields: list[tuple[str, str]]) -> None:
    """Bracketed, plain, indexed and JSON lists are one list."""
    assert decode_form(fields) == {"include": ["logprobs"]}


def test_repeated_list_fields_keep_their_order() -> None:
    """A list grows by one with each part."""
    fields = [("keywords[]", "a"), ("keywords[]", "b"), ("keywords", "c")]

    assert decode_form(fields) == {"keywords": ["a", "b", "c"]}


@pytest.mark.parametrize(
    "fields",
    [
        [("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "0.4")],
        [("chunking_strategy", '{"type": "server_vad", "threshold": "0.4"}')],
    ],
)
def test_objects_in_both_encodings(fields: list[tuple[str, str]]) -> None:
    """The SDK's brackets and curl's JSON string are one object."""
    assert decode_form(fields) == {"chunking_strategy": {"type": "server_vad", "threshold": "0.4"}}


def test_a_prompt_may_look_like_json() -> None:
    """Free text is never parsed."""
    assert decode_form([("prompt", '{"broken')]) == {"prompt": '{"broken'}


def test_bad_json_names_its_parameter() -> None:
    """A broken JSON value is the client's mistake, with its name."""
    with pytest.raises(InvalidRequestError) as caught:
        decode_form([("chunking_strategy", "{bad")])

    assert caught.value.param == "chunking_strategy"


def test_deeply_nested_json_is_refused() -> None:
    """JSON that exhausts the parser's stack is refused like any other."""
    with pytest.raises(InvalidRequestError):
        decode_form([("chunking_strategy", '{"a":' * 100_000)])


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20))))
def test_strangers_get_a_dict_or_a_refusal(fields: list[tuple[str, str]]) -> None:
    """Any list of names and values gives a dict or an InvalidRequestError."""
    with suppress(InvalidRequestError):
        assert isinstance(decode_form(fields), dict)
