"""What is retried, for how long, and what a failure means for the row; against a real server."""

from collections.abc import Iterator
from email.utils import formatdate

import pytest

from gateway.engine.upstream.client import FIRST_PAUSE, LONGEST_RETRY_AFTER, Client, RefusedError
from gateway.engine.upstream.forms import Fields
from gateway.errors import EngineFailedError, UnavailableError, WorkerLostError
from tests.upstream_server import TEXT, Reply, UpstreamServer, refuse, upstream_server, whisper_1

KEY = "sk-secret"
PATH = "audio/transcriptions"
FIELDS: Fields = {"model": "m", "response_format": "json", "include[]": ["a", "b"]}
FILE = bytes(44 + 3200)


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """One that lets in who has the key."""
    with upstream_server(whisper_1, key=KEY) as server:
        yield server


def client(upstream: UpstreamServer, key: str = KEY, timeout: float = 30.0) -> Client:
    """A client of it."""
    return Client(upstream.url, key, timeout=timeout, connections=2)


async def test_one_connection(upstream: UpstreamServer) -> None:
    """Forms arrive as they were given, with the key, and over the connection that is there."""
    async with client(upstream) as asking:
        answers = [await asking.post(PATH, FIELDS, FILE) for _ in range(3)]

    assert [answer.body["text"] for answer in answers] == [TEXT] * 3
    assert upstream.asked[0].fields == {"model": ["m"], "response_format": ["json"], "include[]": ["a", "b"]}
    assert upstream.asked[0].key == f"Bearer {KEY}"
    assert len({asked.client for asked in upstream.asked}) == 1


@pytest.mark.parametrize(
    "faults",
    [
        [refuse(500, "oops")],
        [refuse(502, "oops"), refuse(504, "oops")],
        [None],
        [refuse(429, "slow down")] * 3,
        [(503, {"error": "loading"}, {})],
    ],
)
async def test_retried(
    upstream: UpstreamServer, faults: list[Reply | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be mended by the next try; the time it took is told apart."""
    monkeypatch.setattr("gateway.engine.upstream.client.FIRST_PAUSE", 0.01)
    upstream.faults.extend(faults)
    async with client(upstream) as asking:
        answer = await asking.post(PATH, FIELDS, FILE)

    assert answer.body["text"] == TEXT
    assert len(upstream.asked) == len(faults) + 1
    assert answer.seconds > 0
    assert answer.lost > 0


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "0.01"}, 0.01, FIRST_PAUSE),
        ({"retry-after-ms": "10"}, 0.01, FIRST_PAUSE),
        ({"retry-after": formatdate(0)}, 0.0, FIRST_PAUSE),
        ({"retry-after": "soon"}, FIRST_PAUSE, 30.0),
        ({"retry-after": "inf"}, FIRST_PAUSE, 30.0),
        ({"retry-after-ms": "nan"}, FIRST_PAUSE, 30.0),
    ],
)
async def test_retry_after(
    upstream: UpstreamServer, headers: dict[str, str], least: float, most: float
) -> None:
    """The upstream says when, in any of the ways; a word that is none is not listened to."""
    upstream.faults.append((429, {"error": {"message": "slow down"}}, headers))
    async with client(upstream) as asking:
        answer = await asking.post(PATH, FIELDS, FILE)

    assert least <= answer.lost < most


@pytest.mark.parametrize("value", ["0", "-5", formatdate(0)])
async def test_retry_at_once(upstream: UpstreamServer, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says so again and again is not asked as fast as he answers: the pauses double nevertheless."""
    monkeypatch.setattr("gateway.engine.upstream.client.FIRST_PAUSE", 0.05)
    upstream.faults.extend([(429, {}, {"retry-after": value})] * 4)
    async with client(upstream) as asking:
        answer = await asking.post(PATH, FIELDS, FILE)

    # The second, third and fourth.
    assert answer.lost >= 0.1 + 0.2 + 0.4


async def test_retry_in_eternity(upstream: UpstreamServer) -> None:
    """A client is told no more than it can wait for."""
    upstream.faults.append((429, {}, {"retry-after": "1e300"}))
    async with client(upstream) as asking:
        with pytest.raises(RefusedError) as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert isinstance(caught.value.error, UnavailableError)
    assert caught.value.error.retry_after == LONGEST_RETRY_AFTER


@pytest.mark.parametrize("body", [b"[" * 100_000, b"", b"\xff", b"<html>"])
async def test_no_json(upstream: UpstreamServer, body: bytes) -> None:
    """It is an answer, but nothing can be read in it."""
    upstream.faults.append((200, body, {}))
    async with client(upstream) as asking:
        answer = await asking.post(PATH, FIELDS, FILE)

    assert answer.body is None


@pytest.mark.parametrize(
    ("reply", "status", "kind", "tries"),
    [
        (refuse(400, "no"), 400, EngineFailedError, 1),
        (refuse(413, "too large"), 413, EngineFailedError, 1),
        (refuse(403, "no"), 403, UnavailableError, 1),
        (refuse(429, "no credits", code="insufficient_quota"), 429, UnavailableError, 1),
        (refuse(500, "oops"), 500, UnavailableError, 3),
        ((429, {}, {"retry-after": "99"}), 429, UnavailableError, 1),
        ((418, {"detail": "teapot"}, {}), 418, EngineFailedError, 1),
        ((400, {"error": {"message": ["no"], "code": {"a": 1}, "type": [1]}}, {}), 400, EngineFailedError, 1),
        ((400, b"[" * 100_000, {}), 400, EngineFailedError, 1),
    ],
)
async def test_refused(
    upstream: UpstreamServer,
    reply: Reply,
    status: int,
    kind: type[Exception],
    tries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no try mends is not tried again; the caller is told what it means to him."""
    monkeypatch.setattr("gateway.engine.upstream.client.FIRST_PAUSE", 0.01)
    upstream.faults.extend([reply] * 5)
    async with client(upstream) as asking:
        with pytest.raises(RefusedError) as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert caught.value.status == status
    assert type(caught.value.error) is kind
    assert len(upstream.asked) == tries
    if status == 429 and reply[2]:
        assert isinstance(caught.value.error, UnavailableError)
        assert caught.value.error.retry_after == 99


async def test_the_key_is_not_shown(upstream: UpstreamServer) -> None:
    """Not even where the upstream repeats it."""
    async with client(upstream, key="sk-wrong-one") as asking:
        with pytest.raises(RefusedError, match=r"HTTP 401: Incorrect .*\*\*\*") as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert "sk-wrong" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirected(upstream: UpstreamServer, status: int) -> None:
    """The operator is told where to; nothing is sent there, where the key may be nobody's business."""
    where = {"location": f"{upstream.url}/{PATH}?token=sk-other"}
    upstream.faults.append((status, b"<html>Moved</html>", where))
    async with client(upstream) as asking:
        with pytest.raises(RefusedError) as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert str(caught.value) == f"HTTP {status}: it is at {upstream.url}/{PATH}"
    assert len(upstream.asked) == 1


async def test_messages_are_text(upstream: UpstreamServer) -> None:
    """In one line, without what a terminal obeys."""
    upstream.faults.append((400, b"<h1>\x1b[2J\r\n\x9b31m</h1>\0 no", {}))
    async with client(upstream) as asking:
        with pytest.raises(RefusedError) as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert str(caught.value).isprintable()
    assert str(caught.value).endswith("no")


@pytest.mark.parametrize("before", [280, 295, 400])
async def test_no_part_of_the_key_is_shown(upstream: UpstreamServer, before: int) -> None:
    """Where a long message is cut in the middle of it."""
    upstream.faults.append(refuse(400, f"{'x' * before}{KEY} is what you sent"))
    async with client(upstream) as asking:
        with pytest.raises(RefusedError, match="HTTP 400: xxx") as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert KEY[:3] not in str(caught.value)


async def test_no_answer_in_time(upstream: UpstreamServer) -> None:
    """Half of the time for a try; then another; then the row is given up, and may come again."""
    upstream.gate.clear()
    async with client(upstream, timeout=1.0) as asking:
        with pytest.raises(RefusedError, match="in time") as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert isinstance(caught.value.error, UnavailableError)
    assert caught.value.error.retry_after
    assert len(upstream.asked) == 2


async def test_nobody_is_there() -> None:
    """That is an outage, which no row is to blame for."""
    with upstream_server(whisper_1) as gone:
        pass
    async with client(gone) as asking:
        with pytest.raises(WorkerLostError, match="cannot be reached") as caught:
            await asking.post(PATH, FIELDS, FILE)
        with pytest.raises(WorkerLostError):
            await asking.get("models")

    assert caught.value.is_outage


async def test_broken_off_each_time(upstream: UpstreamServer) -> None:
    """The row may be what ends it."""
    upstream.faults.extend([None] * 3)
    async with client(upstream) as asking:
        with pytest.raises(WorkerLostError, match="broke off") as caught:
            await asking.post(PATH, FIELDS, FILE)

    assert not caught.value.is_outage


async def test_not_as_it_is_packed(upstream: UpstreamServer) -> None:
    """What says that it is compressed and is not counts as broken off: another try may be better."""
    upstream.faults.append((200, b"no gzip", {"content-encoding": "gzip"}))
    async with client(upstream) as asking:
        answer = await asking.post(PATH, FIELDS, FILE)

    assert answer.body["text"] == TEXT
    assert len(upstream.asked) == 2


async def test_get(upstream: UpstreamServer) -> None:
    """JSON, or nothing."""
    async with client(upstream) as asking:
        found = await asking.get("models")
        assert await asking.get("nothing") is None
    async with client(upstream, key="other") as asking:
        assert await asking.get("models") is None

    assert found is not None
    assert found.body["data"][0]["id"] == "model"
