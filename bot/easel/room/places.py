"""Keeps the place of each event in its room until it is handled. Knows neither what an event means nor the database.

One person's events are handled in their order, but for those whose keys come late, and nobody's message waits for
another person's: it may reply to a file on a server that does not answer. Anything but a message may be about somebody
else's, such as the deletion of a command or a ban, and so waits for all that came before. An event whose answer alone
is left lets the others go on. A room counts as handled up to the last event before the first that still has its place:
what stops in between is read again after a restart.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile

from mautrix.types import BaseRoomEvent


@dataclass(eq=False, kw_only=True)
class Place:
    """An event's place in its room. ``counts``: the room may be marked as handled up to it."""

    room_id: str
    event_id: str
    sender: str
    is_missed: bool
    counts: bool
    has_begun: bool = False
    lets_others_go: asyncio.Event = field(default_factory=asyncio.Event)
    is_left: bool = False


class Places:
    """The places in all rooms, in the order in which events came."""

    def __init__(self) -> None:
        self._rooms: dict[str, deque[Place]] = {}

    def take(self, event: BaseRoomEvent, *, is_missed: bool, counts: bool) -> Place:
        """Give an event the last place of its room."""
        place = Place(
            room_id=event.room_id, event_id=event.event_id, sender=event.sender, is_missed=is_missed, counts=counts
        )
        self._rooms.setdefault(place.room_id, deque()).append(place)
        return place

    async def turn(self, place: Place, *, after_all: bool, about: str | None = None) -> None:
        """Return when the earlier events of its sender let it go on, or with ``after_all`` those of the whole room.

        ``about`` is an earlier event that it waits for in any case, such as the message that it edits.
        """
        before = takewhile(lambda other: other is not place, self._rooms[place.room_id])
        for other in [other for other in before if other.event_id == about]:
            await other.lets_others_go.wait()
        earlier = [
            other
            for other in self._rooms[place.room_id]
            if other.has_begun and (after_all or other.sender == place.sender)
        ]
        place.has_begun = True
        for other in earlier:
            await other.lets_others_go.wait()

    def let_others_go(self, place: Place) -> None:
        """Let the events behind this one go on, though it keeps its place."""
        place.lets_others_go.set()

    def leave(self, place: Place) -> str | None:
        """Give up the place of a handled event; return up to which event the room is handled now, if that is news."""
        self.let_others_go(place)
        place.is_left = True
        places, handled = self._rooms[place.room_id], None
        while places and places[0].is_left:
            first = places.popleft()
            handled = first.event_id if first.counts else handled
        if not places:
            del self._rooms[place.room_id]
        return handled
