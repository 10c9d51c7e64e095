"""Which rooms a person sees in the gallery: those that the homeserver says they are in now. Keeps nothing for later."""

import asyncio
from itertools import count
from weakref import WeakValueDictionary

from ..jobs.gallery_table import GalleryPicture
from ..jobs.store import Store
from ..policy.permissions import Permissions
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent

# A person waits for a page meanwhile; a homeserver answers this in milliseconds.
ASKED_WITHIN_S = 10.0

# A page asks about all rooms with pictures; a homeserver has other work as well.
MAX_ASKED_AT_ONCE = 8

# The members of a room by user id, with their display names or "".
Members = dict[str, str]


class Sight:
    """Asks who is in a room for every request. Requests that wait for an answer share the next one."""

    def __init__(self, store: Store, homeserver: Homeserver, permissions: Permissions) -> None:
        self._store, self._homeserver, self._permissions = store, homeserver, permissions
        self._turns, self._at_once = count(), asyncio.Semaphore(MAX_ASKED_AT_ONCE)
        # A lock is kept while somebody holds it or waits for it, and with it the last answer.
        self._rooms: WeakValueDictionary[str, _Asked] = WeakValueDictionary()

    async def members(self, person: str, room_id: str) -> Members | None:
        """Who is in a room, if that person and the bot are in it now. Raises TimeoutError."""
        if self._permissions.refusal(person, room_id):
            return None
        async with asyncio.timeout(ASKED_WITHIN_S):
            members = await self._members(room_id)
        return members if person in members else None

    async def rooms(self, person: str, only: str = "") -> dict[str, Members]:
        """The rooms with pictures that a person is in now, or ``only`` that one. Raises TimeoutError."""
        rooms = [only] if only else sorted(await self._store.rooms_with_pictures())
        found = await asyncio.gather(*(self.members(person, room_id) for room_id in rooms))
        return {room_id: members for room_id, members in zip(rooms, found, strict=True) if members is not None}

    async def sees(self, person: str, picture: GalleryPicture, only: str = "") -> bool:
        """Whether a person may see a picture now. Raises TimeoutError."""
        return only in ("", picture.room_id) and await self.members(person, picture.room_id) is not None

    async def _members(self, room_id: str) -> Members:
        """Who is in a room, by an answer that was asked for after this call."""
        called = next(self._turns)
        asked = self._rooms.setdefault(room_id, _Asked())
        async with asked.lock, self._at_once:
            if asked.at < called:
                asked.at = next(self._turns)
                try:
                    asked.members = await self._homeserver.members(room_id)
                except NotSent:
                    # The bot is not in it any more.
                    asked.members = {}
        return asked.members


class _Asked:
    """The last answer about a room, and when it was asked for."""

    def __init__(self) -> None:
        self.lock, self.at = asyncio.Lock(), -1
        self.members: Members = {}
