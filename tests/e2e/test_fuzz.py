"""Whatever a client sends: no 5xx, no hang, in a 4xx the envelope's four keys, and the next one is served.

2,000 generated requests over a kept-alive connection; ``MALFORMED=10000`` sends so many. The engine is the
scripted one, so that those which happen to be right cost little.
"""

import http.client
import io
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.protocol.parse import LIST_FIELDS
from gateway.protocol.request import TranscriptionRequest
from tests.scripted import ScriptedSpec
from tests.support import SAMPLES, LiveServer, live_server

REQUESTS = int(os.environ.get("MALFORMED", "2000"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240 * max(1, REQUESTS // 2_000))]

DEADLINE_SECONDS = 90.0
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
SPEECH = (SAMPLES / "en_hello.flac").read_bytes()
BOUNDARY = b"b0undary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def fuzzed(share: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """That share of the requests, the same in every run: a failure is there for the next one too."""
    return settings(
        max_examples=round(share * REQUESTS),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class Client:
    """One connection, kept alive as long as the server keeps it."""

    def __init__(self, url: str) -> None:
        self.address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._connection = http.client.HTTPConnection(*self.address, timeout=DEADLINE_SECONDS)

    def check(self, method: str, path: str, headers: Sequence[tuple[str, bytes]], body: bytes) -> int:
        """Sends one request and holds the answer against the invariant.

        Returns:
            The answer's status.
        """
        started = time.monotonic()
        connection = self._connection
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()

        assert time.monotonic() - started < DEADLINE_SECONDS
        assert response.status < 500, content
        assert response.headers["x-request-id"]
        if response.status >= 400 and method != "HEAD":
            assert set(json.loads(content)["error"]) == {"message", "type", "param", "code"}
        return response.status

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server whose engine costs nothing."""
    with live_server([ScriptedSpec()], max_upload_bytes=200_000, upload_timeout=3.0) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[Client]:
    """The connection all requests of this file share. At its end a real request is served."""
    client = Client(server.url)
    yield client
    client.close()
    answer = server.post(model="scripted", file=("a.flac", SPEECH))

    assert (answer.status_code, answer.json()["text"][:3]) == (200, "one")


def in_container(container: str, codec: str) -> bytes:
    """The recording as another kind of file."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(SPEECH), "r") as source, av.open(buffer, "w", format=container) as target:
        stream = cast("av.AudioStream", target.add_stream(codec, rate=48_000))
        stream.layout = "mono"
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


CONTAINERS = ("ogg", "libopus"), ("webm", "libopus"), ("mp3", "libmp3lame"), ("mp4", "aac"), ("adts", "aac")
RECORDINGS = [SPEECH, *(in_container(container, codec) for container, codec in CONTAINERS)]

Form = list[tuple[bytes, bytes]]


def multipart(form: Form) -> bytes:
    """The form as clients encode it; a part named file gets a file name."""
    parts = []
    for name, value in form:
        extra = b'; filename="a"' if name == b"file" else b""
        head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (BOUNDARY, name, extra)
        parts.append(head + value + b"\r\n")
    return b"".join(parts) + b"--%b--\r\n" % BOUNDARY


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` with a few of its bytes changed, dropped, doubled or put in, or with its end cut off."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        stop = min(len(data), at + draw(st.integers(0, 200)))
        put = draw(
            st.one_of(
                st.binary(max_size=20),
                st.sampled_from(
                    [b"", b"\0" * 64, b"\xff" * 64, b"\r\n", b"--" + BOUNDARY, data[at:stop] * 3]
                ),
            )
        )
        data = data[:at] if draw(st.integers(0, 9)) == 0 else data[:at] + put + data[stop:]
    return data


PLAIN = [*TranscriptionRequest.model_fields, "file", "unknown", "", "chunking_strategy[threshold]"]
NAMES = [*PLAIN, *(f"{name}[]" for name in PLAIN), *(f"{name}[0]" for name in LIST_FIELDS), "[", "a[b][c]"]
VALUES = """
    scripted whisper-1 openai/gpt-4o-transcribe gpt-4o-transcribe-diarize en english de-AT auto klingon
    json text srt vtt verbose_json diarized_json true false yes word segment logprobs server_vad
    0 1 -1 0.5 2 3 1e309 NaN inf 9223372036854775808 data:audio/wav;base64,AAAA
    null [] {} [[]] ["word"] ["word",{}] [1] {"a":[
    {"type":"server_vad"} {"type":"server_vad","threshold":1e999}
""".split()

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
names = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), st.text(max_size=20))
values = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(VALUES),
    json_values,
    st.text(max_size=40),
    st.sampled_from(["[" * 5_000, "9" * 5_000, "x" * 70_000]),
)
encoded_fields = st.tuples(
    names.map(lambda name: name.encode(errors="surrogatepass")),
    values.map(lambda value: value.encode(errors="surrogatepass")) | st.binary(max_size=40),
)
files = st.one_of(
    st.sampled_from(RECORDINGS),
    st.sampled_from(RECORDINGS).flatmap(mutated),
    st.binary(max_size=300),
)


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A few fields, mostly with a model that exists, mostly with a file, first or last."""
    form = draw(st.lists(encoded_fields, max_size=3))
    if draw(st.integers(0, 9)):
        form.insert(0, (b"model", b"scripted"))
    if draw(st.integers(0, 9)):
        form.insert(draw(st.sampled_from([0, len(form)])), (b"file", draw(files)))
    return form


@fuzzed(0.45)
@given(form=forms(), path=st.sampled_from([TRANSCRIPTIONS, TRANSLATIONS]))
@pytest.mark.promise("whatever stands in a form, the answer is no 500")
def test_forms(client: Client, form: Form, path: str) -> None:
    """Fields of any name and value, beside recordings, broken recordings and noise."""
    client.check("POST", path, [("Content-Type", MULTIPART.encode())], multipart(form))


VALID = multipart([(b"model", b"scripted"), (b"include[]", b"logprobs"), (b"file", SPEECH[:3_000])])


@fuzzed(0.3)
@given(body=mutated(VALID) | mutated(VALID[:400]) | st.binary(max_size=400))
@pytest.mark.promise("whatever a multipart body is, the answer is no 500")
def test_bodies(client: Client, body: bytes) -> None:
    """Multipart bodies with broken boundaries, headers and ends."""
    client.check("POST", TRANSCRIPTIONS, [("Content-Type", MULTIPART.encode())], body)


METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"]
PATHS = [
    TRANSCRIPTIONS,
    TRANSLATIONS,
    "/project" + TRANSCRIPTIONS,
    *("/v1/models", "/v1/models/", "/v1/models/scripted", "/v1/models/%00", "/v1/models/%ff/%F0%9F%8E%A4"),
    *("/health", "/ready", "/metrics", "/openapi.json", "/docs", "/docs/docs.js", "/docs/..%2f..%2fapp.py"),
    *("/", "//", "/v1", "/v1/", "/v1/audio/transcriptions/", "/%2e%2e/%2e%2e/etc/passwd", "*"),
]
CONTENT_TYPES = [
    MULTIPART.encode(),
    *(b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=\xff\xfe"),
    *(
        b"multipart/form-data; boundary=" + b"x" * 300,
        b'multipart/form-data; boundary="b0undary',
        b"multipart/",
    ),
    *(
        b"multipart/mixed; boundary=b0undary",
        b"application/json",
        b"application/x-www-form-urlencoded",
        b";;=",
        b"",
    ),
]
HEADERS = (
    "Authorization Accept Accept-Encoding Range If-None-Match Origin Cookie Forwarded X-Request-Id".split()
)

header_bytes = st.binary(max_size=40).map(
    lambda value: bytes(byte for byte in value if byte in range(33, 255))
)
header = st.tuples(st.sampled_from(HEADERS), header_bytes)
paths = st.one_of(
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=30).map("/{}".format),
)


@fuzzed(0.2)
@given(
    method=st.sampled_from(METHODS),
    path=paths,
    content_type=st.sampled_from(CONTENT_TYPES) | header_bytes,
    headers=st.lists(header, max_size=3),
    body=st.sampled_from([b"", VALID]) | st.binary(max_size=50),
)
@pytest.mark.promise("whatever method, path and headers a request has, the answer is no 500")
def test_heads(
    client: Client,
    method: str,
    path: str,
    content_type: bytes,
    headers: list[tuple[str, bytes]],
    body: bytes,
) -> None:
    """Methods, paths and headers of any kind, as far as they are HTTP."""
    client.check(method, path, [("Content-Type", content_type), *headers], body)


REQUEST = (
    b"POST " + TRANSCRIPTIONS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: " + MULTIPART.encode()
) + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(VALID), VALID)


@fuzzed(0.05)
@given(request=mutated(REQUEST[:300]) | mutated(REQUEST))
@pytest.mark.promise("whatever bytes come over the wire, the server answers the next one")
def test_wire(client: Client, request: bytes) -> None:
    """What is hardly HTTP any more: an answer or none, no 5xx, and the connection ends with the client."""
    with socket.create_connection(client.address, timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer == b"" or answer.split(maxsplit=2)[1] < b"500"
