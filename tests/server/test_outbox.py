"""What was told is kept for who may not have got it, and not for ever."""

from gateway.server.outbox import KEPT_CHARACTERS, KEPT_SECONDS, Outbox


def _outbox(*frames: str, now: float = 0.0) -> Outbox:
    outbox = Outbox()
    for frame in frames:
        outbox.put(frame, now)
    return outbox


def _taken(outbox: Outbox) -> list[str]:
    return [outbox.take() for _ in range(outbox.waiting)]


def test_frames_are_sent_once_and_again_when_asked() -> None:
    """From any number on, and from the end, where nothing was missed."""
    outbox = _outbox("0", "1", "2")
    first = _taken(outbox)
    outbox.put("3", 0.0)

    assert first == ["0", "1", "2"]
    assert _taken(outbox) == ["3"]
    assert outbox.rewind(1)
    assert _taken(outbox) == ["1", "2", "3"]
    assert outbox.rewind(4)
    assert not outbox.waiting
    assert not outbox.rewind(5)
    assert not outbox.rewind(-1)


def test_old_frames_go_when_they_were_sent() -> None:
    """Never those that nobody got yet."""
    outbox = _outbox("0", "1")
    outbox.take()
    outbox.put("2", KEPT_SECONDS + 1)

    assert not outbox.rewind(0)
    assert outbox.rewind(1)
    assert _taken(outbox) == ["1", "2"]


def test_many_frames_go_early() -> None:
    """What a session keeps has a bound in characters, too."""
    frame = "x" * (KEPT_CHARACTERS // 4)
    outbox = Outbox()
    for _ in range(20):
        outbox.put(frame, 0.0)
        outbox.take()

    assert not outbox.rewind(14)
    assert outbox.rewind(16)
