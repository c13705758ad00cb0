"""A multipart body in any slices gives the same form; a broken one is a refusal that says what is wrong."""

import base64
from collections.abc import AsyncIterator, Iterable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from gateway.errors import GatewayError, InvalidRequestError, PayloadTooLargeError
from gateway.protocol.dialect import openai
from gateway.server.form_parts import MAX_FIELDS
from gateway.server.spool import Spool
from gateway.server.upload import EarlyRequest, RequestChangedError, Upload

HEADERS = Headers({"content-type": "multipart/form-data; boundary=xx"})


def part(name: str, value: bytes, extra: str = "") -> bytes:
    """One part of a form."""
    return f'--xx\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


END = b"--xx--\r\n"
BASE64 = b"\r\nContent-Transfer-Encoding: Base64\r\n\r\n"
QUOTED = b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
FORM = (
    part("model", b"whisper-1")
    + part("include[]", b"logprobs")
    + part("file", b"\r\n--x\x00audio\r\n" * 50, '; filename="a.wav"')
    + part("language", "für".encode())
    + END
)


async def _read(slices: Iterable[bytes], limit: int = 10_000) -> tuple[Upload, bytes]:
    async def body() -> AsyncIterator[bytes]:
        for piece in slices:
            yield piece

    with Spool() as spool:
        upload = Upload(HEADERS, spool, max_file_bytes=limit)
        await upload.receive(body())
        await upload.complete()
        return upload, spool.reader().read()


@pytest.mark.parametrize("step", [1, 2, 7, 64, len(FORM)])
async def test_any_slices_give_the_same_form(step: int) -> None:
    """Whole, byte by byte and in odd cuts."""
    upload, content = await _read(FORM[start : start + step] for start in range(0, len(FORM), step))

    assert upload.fields == [("model", "whisper-1"), ("include[]", "logprobs"), ("language", "für")]
    assert upload.has_file
    assert content == b"\r\n--x\x00audio\r\n" * 50


@pytest.mark.parametrize(
    "extra", ["", '; filename=""', '; filename="ü.mp3"', "; filename*=UTF-8''%C3%BC.mp3"]
)
async def test_the_file_is_the_part_called_file(extra: str) -> None:
    """Whatever its name, or without one."""
    upload, content = await _read([part("file", b"audio", extra) + END])

    assert upload.has_file
    assert content == b"audio"


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        (part("audio", b"a", '; filename="a.wav"') + END, " The file came as 'audio'."),
        (part("audio", b"a") + END, ""),
    ],
)
async def test_a_file_of_another_name_is_named(form: bytes, hint: str) -> None:
    """Whoever sends the recording under another name learns both."""
    upload, _ = await _read([form])

    assert upload.missing_file().message == f"Missing required parameter: 'file'.{hint}"


async def test_large_text_fields_are_taken() -> None:
    """Speaker references are text of more than a megabyte."""
    upload, _ = await _read([part("known_speaker_references[]", b"a" * 3_000_000) + END])

    assert len(upload.fields[0][1]) == 3_000_000


@pytest.mark.parametrize("step", [1, 3, 64, 10_000])
async def test_base64_parts_are_decoded(step: int) -> None:
    """As mail programs send them, with line breaks, the file and the fields."""
    content = bytes(range(256)) * 3
    body = part("model", base64.encodebytes(b"whisper-1")).replace(b"\r\n\r\n", BASE64, 1)
    body += part("file", base64.encodebytes(content)).replace(b"\r\n\r\n", BASE64, 1) + END
    upload, read = await _read(body[start : start + step] for start in range(0, len(body), step))

    assert upload.fields == [("model", "whisper-1")]
    assert read == content


@pytest.mark.parametrize("step", [1, 5, 10_000])
@pytest.mark.parametrize("preamble", [b"\r\n", b"This is a multi-part message in MIME format. --x\r\n"])
async def test_what_stands_before_the_first_boundary_is_nothing(preamble: bytes, step: int) -> None:
    """RFC 2046 lets a sender write there for those who read no forms."""
    body = preamble + FORM
    upload, content = await _read(body[start : start + step] for start in range(0, len(body), step))

    assert upload.fields == [("model", "whisper-1"), ("include[]", "logprobs"), ("language", "für")]
    assert content == b"\r\n--x\x00audio\r\n" * 50


async def test_the_form_goes_before_the_address() -> None:
    """What an address names holds only where the form does not say otherwise."""

    async def body() -> AsyncIterator[bytes]:
        yield part("model", b"of the form") + part("file", b"") + END

    with Spool() as spool:
        upload = Upload(HEADERS, spool, max_file_bytes=9, given=[("model", "of the address")])
        begun = [*upload.fields]
        await upload.receive(body())

    assert begun == [("model", "of the address")]
    assert dict(upload.fields)["model"] == "of the form"


async def test_a_file_over_the_limit() -> None:
    """The limit and what was read stand in the message, as OpenAI words it."""
    with pytest.raises(PayloadTooLargeError) as caught:
        await _read([part("file", b"a" * 101) + END], limit=100)

    assert caught.value.message == "Maximum content size limit (100) exceeded (101 bytes read)"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FORM[:-30], "ended before"),
        (b"", "ended before"),
        (b"no boundary at all", "does not hold the boundary"),
        (part("file", b"a") + part("file", b"b") + END, "more than one file"),
        (b"".join(part("a", b"b") for _ in range(MAX_FIELDS + 1)) + END, "more than 1000 fields"),
        (FORM.replace(b"\r\n", b"\n"), "end with LF alone"),
        (b"a" * 70_000, "does not hold the boundary"),
        (part("file", b"!!!!").replace(b"\r\n\r\n", BASE64, 1) + END, "'file' says that it is base64"),
        (part("file", b"YQ").replace(b"\r\n\r\n", BASE64, 1) + END, "'file' says that it is base64"),
        (part("file", b"=61").replace(b"\r\n\r\n", QUOTED, 1) + END, "'quoted-printable' is not read"),
        (b"--xx\r\nX: " + b"a" * 20_000 + b"\r\n\r\n\r\n" + END, "cannot be parsed"),
    ],
)
async def test_broken_bodies(body: bytes, words: str) -> None:
    """Each is the client's mistake, with its reason."""
    with pytest.raises(InvalidRequestError, match=words):
        await _read([body])


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "application/x-www-form-urlencoded"]
)
async def test_other_content_types(content_type: str) -> None:
    """What is no multipart form is told to be one."""
    with Spool() as spool, pytest.raises(InvalidRequestError, match="multipart/form-data"):
        Upload(Headers({"content-type": content_type}), spool, max_file_bytes=1)


async def test_the_beginning_can_be_used_before_the_end() -> None:
    """With the file's first bytes the fields before it are there, and the spool can be read."""
    go_on = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield FORM[: FORM.index(b"audio")]
        await go_on.wait()
        yield FORM[FORM.index(b"audio") :]

    with Spool() as spool:
        upload = Upload(HEADERS, spool, max_file_bytes=10_000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload.receive, body())
            await upload.file_begun.wait()
            early = (list(upload.fields), upload.has_file, upload.ended.is_set())
            go_on.set()
            await upload.complete()

    assert early == ([("model", "whisper-1"), ("include[]", "logprobs")], True, False)
    assert upload.fields[-1] == ("language", "für")


async def _early(head: bytes, tail: bytes) -> tuple[EarlyRequest, bool]:
    """The request of a form whose tail comes when nothing else goes on; and whether it was waited for."""
    go_on = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield head
        await go_on.wait()
        yield tail

    requests: list[EarlyRequest] = []

    async def begin() -> None:
        requests.append(await EarlyRequest.begin(upload, openai("transcribe").read))

    with Spool() as spool:
        upload = Upload(HEADERS, spool, max_file_bytes=10_000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload.receive, body())
            await upload.file_begun.wait()
            tasks.start_soon(begin)
            await anyio.wait_all_tasks_blocked()
            waited = not requests
            go_on.set()
        [early] = requests
        await early.confirm()
    return early, waited


MODEL = part("model", b"gpt-4o-transcribe-diarize")
NAME = part("known_speaker_names[]", b"Ann")
REFERENCE = part("known_speaker_references[]", b"data:audio/wav;base64,AAAA")
AUDIO = part("file", b"audio")


async def test_a_request_begins_with_the_file() -> None:
    """Where the fields before it make one, nothing is waited for."""
    early, waited = await _early(MODEL + NAME + REFERENCE + AUDIO, END)

    assert not waited
    assert early.asked.request.known_speaker_names == ("Ann",)


async def test_what_the_fields_before_a_file_lack_may_follow_it() -> None:
    """A name of a speaker without its voice would be refused: that waits for the form's end."""
    early, waited = await _early(MODEL + NAME + AUDIO, REFERENCE + END)

    assert waited
    assert early.asked.request.known_speaker_references == ("data:audio/wav;base64,AAAA",)


@pytest.mark.parametrize(
    ("head", "tail", "words"),
    [
        (MODEL + NAME + AUDIO, END, "known_speaker_references"),
        (MODEL + NAME + AUDIO, b"", "ended before"),
        (MODEL + NAME + AUDIO, part("temperature", b"hot") + REFERENCE + END, "temperature"),
    ],
)
async def test_what_nothing_completes_is_refused(head: bytes, tail: bytes, words: str) -> None:
    """With what all of the form is refused for, or with what broke it off."""
    with pytest.raises(ExceptionGroup) as caught:
        await _early(head, tail)

    [error] = caught.value.exceptions
    assert isinstance(error, InvalidRequestError)
    assert words in f"{error.message} {error.param}"


async def test_fields_that_change_a_request() -> None:
    """It is begun already, and asks for something else in the end."""
    with pytest.raises(RequestChangedError):
        await _early(MODEL + AUDIO, part("language", b"de") + END)


async def test_readers_are_told_what_broke_the_upload() -> None:
    """A reader that waits for the rest of a broken form gets the form's error."""

    async def body() -> AsyncIterator[bytes]:
        yield FORM[:-30]

    with Spool() as spool:
        upload = Upload(HEADERS, spool, max_file_bytes=10_000)
        await upload.receive(body())

        with pytest.raises(InvalidRequestError, match="ended before"):
            spool.reader().read()


@given(st.binary(max_size=300), st.integers(1, 50))
async def test_strangers_bytes(noise: bytes, step: int) -> None:
    """Any bytes behind a good beginning give a form or a refusal."""
    body = FORM[:60] + noise
    try:
        upload, _ = await _read(body[start : start + step] for start in range(0, len(body), step))
    except GatewayError:
        return

    assert isinstance(upload, Upload)


@pytest.mark.parametrize("size", [256, 257, 5_000])
def test_a_boundary_that_is_too_long(size: int) -> None:
    """Up to what the parser takes it works; beyond, the refusal says what is wrong."""
    headers = Headers({"content-type": f"multipart/form-data; boundary={'x' * size}"})
    with Spool() as spool:
        if size <= 256:
            assert not Upload(headers, spool, max_file_bytes=1).has_file
            return
        with pytest.raises(InvalidRequestError, match="boundary in Content-Type is over 256 bytes"):
            Upload(headers, spool, max_file_bytes=1)
