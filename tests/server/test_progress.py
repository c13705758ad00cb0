"""What a session's client has been told, and what it has sent, is counted once each."""

from gateway.errors import EngineFailedError
from gateway.protocol.realtime.resume import Place
from gateway.server.progress import Progress
from gateway.transcript.commands import Append, Clear
from gateway.transcript.events import BufferCommitted, ItemFailed

SESSION = "0123456789abcdef01234567"


def place(progress: Progress) -> Place:
    """Which the next event's id says."""
    return Place.of(progress.new_event_id(), SESSION)


def failed(item_id: str, *, interrupted: bool = False) -> ItemFailed:
    """An item without words is told as any other."""
    return ItemFailed(item_id, EngineFailedError("gone"), interrupted)


def test_an_item_is_settled_when_it_is_told() -> None:
    """Not when it is committed; several may be on their way."""
    progress = Progress(SESSION, None)
    first, second = progress.new_item_id(), progress.new_item_id()
    progress.emitted(BufferCommitted(first, 1.5))
    progress.emitted(BufferCommitted(second, 4.0))

    assert place(progress) == Place(0, 0, 0)
    progress.emitted(failed(first))
    assert place(progress) == Place(1, 1500, 1)
    progress.emitted(failed(second))
    assert place(progress) == Place(2, 4000, 2)


def test_an_interrupted_item_is_told_again() -> None:
    """So its audio is not settled."""
    progress = Progress(SESSION, None)
    item_id = progress.new_item_id()
    progress.emitted(BufferCommitted(item_id, 1.5))
    progress.emitted(failed(item_id, interrupted=True))

    assert place(progress) == Place(0, 0, 0)


def test_a_session_goes_on_in_another_process() -> None:
    """Ids go on from the place, and times are of the whole session."""
    progress = Progress(SESSION, Place(7, 1500, 2))

    assert (progress.start_ms, progress.first_number) == (1500, 8)
    assert progress.last_item_id == f"item_{SESSION[:16]}00000002"
    assert progress.next_item_id == progress.new_item_id() == f"item_{SESSION[:16]}00000003"
    progress.emitted(BufferCommitted(progress.last_item_id, 0.5))
    progress.emitted(failed(progress.last_item_id))
    assert place(progress) == Place(8, 2000, 3)


def test_what_came() -> None:
    """All frames, also those that could not be understood, and the bytes of audio."""
    progress = Progress(SESSION, None)
    for command in (Append(bytes(3)), None, Clear(), Append(bytes(2))):
        progress.received(command)

    assert (progress.events, progress.audio_bytes) == (4, 5)


def test_nothing_yet() -> None:
    """A new session has no item."""
    assert Progress(SESSION, None).last_item_id is None
