"""The server's end reaches what is under way, and nothing else."""

import anyio

from gateway.server.exchanges import Exchanges


class _Exchange:
    def __init__(self, *, is_answered: bool) -> None:
        self.scope = anyio.CancelScope()
        self.is_answered = is_answered


async def test_who_is_ended() -> None:
    """First those who got nothing yet, then all; never those that have ended."""
    exchanges = Exchanges()
    early, late, gone = (_Exchange(is_answered=answered) for answered in (False, True, False))
    with exchanges.place(gone):
        pass
    with exchanges.place(early), exchanges.place(late):
        exchanges.end(unanswered=True)
        first = [each.scope.cancel_called for each in (early, late, gone)]
        exchanges.end(unanswered=False)

    assert first == [True, False, False]
    assert [each.scope.cancel_called for each in (early, late, gone)] == [True, True, False]
