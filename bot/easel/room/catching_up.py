"""Passes on the events of each room in their order: from the sync, from its history, or when a key comes late.

The same event may come from the sync and from the history. One that cannot be handled stops no other. Knows nothing of
what an event means.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging import Logger
from typing import Any, Protocol

from mautrix.types import EncryptedEvent, Event, MessageEvent

from ..background import Start
from ..bug_log import log_bug
from ..jobs.store import Store
from ..sending.send_queue import NotSent
from .envelope import Malformed, check_envelope, is_id, is_message, outline, read_event
from .history import RoomHistory
from .messages import SeenEncrypted, edited_event
from .origins import Origin, Origins
from .places import Place, Places


class Reader(Protocol):
    async def read(self, event: Event, *, is_missed: bool) -> asyncio.Task[None] | None:
        """Do what the event asks for; return what is left to do in the background.

        ``is_missed``: it came while the bot was away.
        """

    async def could_not_decrypt(self, event: EncryptedEvent, *, is_missed: bool) -> None:
        """Handle an event whose key did not come."""

    def failed(self, event: Any, error: Exception) -> None:
        """Log an event that could not be handled, and answer it if it is a command. ``event`` may be an outline."""


class CatchingUp:
    """Gives a reader each room's events, and remembers up to which event a room was read."""

    def __init__(
        self,
        reader: Reader,
        *,
        history: RoomHistory,
        store: Store,
        origins: Origins,
        seen_encrypted: SeenEncrypted,
        start: Start,
        log: Logger,
    ) -> None:
        self._reader, self._history, self._store, self._origins = reader, history, store, origins
        self._seen_encrypted, self._start, self._log = seen_encrypted, start, log
        self._places = Places()
        # One mark at a time: the database may finish two in any order.
        self._marking = asyncio.Lock()
        # How many gaps of each room are being read.
        self._behind: Counter[str] = Counter()
        self._all_behind = True

    def note(self, sync: dict[str, Any]) -> None:
        """Note where the events of a sync come from, and read what it left out: of many in a room it has the newest."""
        if rooms := self._origins.note(sync):
            self._start(self.rooms(rooms), "catching up")

    async def take(self, event: Event) -> None:
        """Read one event of the sync. A room with missed events is not marked as read up to it."""
        try:
            check_envelope(event)
        except Malformed as error:
            await self.take_unreadable(event, error)
            return
        if place := self._place_of(event, counts=isinstance(event, MessageEvent)):
            await self._handle(place, event)

    async def take_unreadable(self, event: Any, error: Malformed) -> None:
        """Pass over an event of the sync that nothing can read, or its outline."""
        self._reader.failed(event, error)
        is_read = is_message(event) and is_id(event.room_id) and is_id(event.event_id)
        if is_read and (place := self._place_of(event)):
            await self._leave(place)

    async def take_encrypted(self, event: EncryptedEvent) -> None:
        """Note that an event came encrypted. mautrix decrypts it and passes it on again, if the key is there."""
        async with self._alone(event):
            check_envelope(event)
            self._seen_encrypted.note(event.room_id, event.event_id)
            if await self._history.has_key(event):
                return
            if place := self._place_of(event, counts=False):
                self._start(self._handle_late(place, event), f"key of {event.event_id}")

    def take_failed(self, event: EncryptedEvent) -> None:
        """Read an encrypted event that mautrix could not read or pass on."""
        self._start(self._read_failed(event), f"event {event.event_id}")

    async def all_rooms(self, rooms: list[str]) -> None:
        """Read what was missed while the bot was down. Until every missed event has its place, no room is marked."""
        await self.rooms(rooms)
        self._all_behind = False

    async def rooms(self, rooms: list[str]) -> None:
        """Read the events of these rooms since they were last read."""
        self._behind.update(rooms)
        for room_id in rooms:
            try:
                await self._room(room_id)
            except NotSent as error:
                self._log.warning(f"What was missed in {room_id} could not be read: {error}")
            except Exception as error:
                log_bug(self._log, f"catching up in {room_id}", error)
            self._behind -= Counter([room_id])

    def _place_of(self, event: Any, *, counts: bool = True) -> Place | None:
        """A place for an event of the sync; None if it is from before the bot joined its room.

        It counts only where every missed event of the room has its place.
        """
        origin = self._origins.of(event.event_id)
        if origin is Origin.BEFORE_US:
            return None
        counts = counts and not self._all_behind and event.room_id not in self._behind
        return self._places.take(event, is_missed=origin is Origin.MISSED, counts=counts)

    async def _room(self, room_id: str) -> None:
        last = await self._store.last_handled(room_id)
        if last is None:
            return
        raw_events = await self._history.after(room_id, last)
        places = [self._places.take(outline(raw, room_id), is_missed=True, counts=True) for raw in raw_events]
        for place, raw in zip(places, raw_events, strict=True):
            try:
                event = read_event(raw, room_id)
                is_waiting = isinstance(event, EncryptedEvent) and not await self._history.has_key(event)
            except Exception as error:
                self._reader.failed(outline(raw, room_id), error)
                await self._leave(place)
                continue
            work = self._handle_late if is_waiting else self._handle
            self._start(work(place, event), f"event {place.event_id}")
            # Each begins in its order, and thousands do not keep the loop.
            await asyncio.sleep(0)

    async def _read_failed(self, event: EncryptedEvent) -> None:
        async with self._alone(event):
            check_envelope(event)
            if place := self._place_of(event):
                await self._handle(place, event)

    async def _handle_late(self, place: Place, event: EncryptedEvent) -> None:
        """Handle an event once its key has come, or does not come any more. The room's others do not wait for it."""
        async with self._alone(event):
            await self._history.until_key(event)
        await self._handle(place, event)

    async def _handle(self, place: Place, event: Event | EncryptedEvent) -> None:
        """Handle an event in its turn. If the bot stops meanwhile, the event keeps its place: no mark goes past it."""
        after_all = not isinstance(event, MessageEvent | EncryptedEvent)
        # The key of a message may come later than that of its edit.
        await self._places.turn(place, after_all=after_all, about=edited_event(event))
        rest: asyncio.Task[None] | None = None
        async with self._alone(event):
            rest = await self._read(place, event)
        if rest is None:
            await self._leave(place)
        else:
            self._places.let_others_go(place)
            self._start(self._leave_after(rest, place), f"event {place.event_id}, to its end")

    async def _leave_after(self, rest: asyncio.Task[None], place: Place) -> None:
        await asyncio.wait({rest})
        await self._leave(place)

    async def _leave(self, place: Place) -> None:
        """Give up an event's place, and mark the room as read as far as it is."""
        handled = self._places.leave(place)
        if handled is None:
            return
        try:
            async with self._marking:
                await self._store.handled(place.room_id, handled)
        except Exception as error:
            # The next mark is as good.
            log_bug(self._log, f"marking {handled} as read", error)

    @asynccontextmanager
    async def _alone(self, event: Any) -> AsyncIterator[None]:
        """Keep what fails in one event from all others."""
        try:
            yield
        except Exception as error:
            self._reader.failed(event, error)

    async def _read(self, place: Place, event: Event | EncryptedEvent) -> asyncio.Task[None] | None:
        if isinstance(event, EncryptedEvent):
            decrypted = await self._history.decrypted(event)
            if decrypted is None:
                await self._reader.could_not_decrypt(event, is_missed=place.is_missed)
                return None
            # After a long absence there are many such events, and the first notes are gone by now.
            self._seen_encrypted.note(place.room_id, place.event_id)
            event = decrypted
        return await self._reader.read(event, is_missed=place.is_missed)
