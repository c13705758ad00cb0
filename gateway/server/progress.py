"""How far a live session is: its ids, in their order, and the audio that its client need not send again."""

from dataclasses import replace

from gateway.protocol.realtime.resume import Place
from gateway.transcript.commands import Append, Command
from gateway.transcript.events import BufferCommitted, ItemCompleted, ItemFailed, LiveEvent


class Progress:
    """Of one session, also of one that another process began.

    Args:
        session_id: Part of each id.
        start: Where it goes on; None: it is new.

    Attributes:
        start_ms: Audio that was settled before.
        first_number: Of the first event.
        events: Frames that came from the client, on whichever connection.
        audio_bytes: That they appended.
    """

    def __init__(self, session_id: str, start: Place | None) -> None:
        self._session_id = session_id
        self._place = start or Place()
        self._items = self._place.items
        self._ends: dict[str, float] = {}
        """Seconds at which items end that are not settled yet."""
        self.start_ms = self._place.settled_ms
        self.first_number = self._place.number + 1
        self.events = 0
        self.audio_bytes = 0

    @property
    def last_item_id(self) -> str | None:
        """Of the item before the next one."""
        return self._item_id(self._items) if self._items else None

    @property
    def next_item_id(self) -> str:
        """Of the item to come."""
        return self._item_id(self._items + 1)

    def new_item_id(self) -> str:
        """Takes the next one."""
        self._items += 1
        return self._item_id(self._items)

    def new_event_id(self) -> str:
        """Takes the next one: it says the place that its receiver has reached."""
        self._place = replace(self._place, number=self._place.number + 1)
        return self._place.event_id(self._session_id)

    def event_id(self, after: Place, seen: int) -> str:
        """Of the event that somebody saw last who has seen so many since `start`."""
        return replace(after, number=seen + self.first_number).event_id(self._session_id)

    def received(self, command: Command | None) -> None:
        """A frame came; None: it could not be understood."""
        self.events += 1
        if isinstance(command, Append):
            self.audio_bytes += len(command.audio)

    def emitted(self, event: LiveEvent) -> None:
        """With the end of an item all audio until there is told."""
        match event:
            case BufferCommitted(item_id, end):
                self._ends[item_id] = end
            case ItemCompleted(item_id) | ItemFailed(item_id) if not event.interrupted:
                if item_id in self._ends:
                    settled = self.start_ms + round(self._ends.pop(item_id) * 1000)
                    self._place = Place(self._place.number, settled, int(item_id[-8:], 16))

    def _item_id(self, number: int) -> str:
        return f"item_{self._session_id[:16]}{number:08x}"
