"""Passes on the events of each room in order: from the sync, from its history, or when a key comes late.

The same event may come from the sync and from the history. One that cannot be handled stops no other. Knows nothing of
what an event means.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from logging import Logger
from typing import Any, Protocol

from mautrix.types import EncryptedEvent, Event, MessageEvent

from ..bug_log import log_bug
from ..jobs.store import Store
from ..sending.send_queue import NotSent
from .envelope import check_envelope, outline, read_event
from .history import RoomHistory
from .messages import SeenEncrypted

# Runs something in the background until it ends or the bot stops.
Start = Callable[[Coroutine[Any, Any, None], str], object]


class Reader(Protocol):
    async def read(self, event: Event) -> None:
        """Do what the event asks for. The room's next event waits meanwhile."""

    async def could_not_decrypt(self, event: EncryptedEvent) -> None:
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
        seen_encrypted: SeenEncrypted,
        start: Start,
        log: Logger,
    ) -> None:
        self._reader, self._history, self._store = reader, history, store
        self._seen_encrypted, self._start, self._log = seen_encrypted, start, log
        self._rooms: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._behind: set[str] = set()
        self._all_behind = True
        self._waiting_for_keys: Counter[str] = Counter()

    async def take(self, event: Event) -> None:
        """Read one event of the sync. A room with missed events is not marked as read up to it."""
        async with self._alone(event):
            check_envelope(event)
            async with self._rooms[event.room_id]:
                async with self._alone(event):
                    await self._reader.read(event)
                is_behind = self._all_behind or event.room_id in self._behind
                if isinstance(event, MessageEvent) and not is_behind:
                    await self._was_read(event.room_id, event.event_id)

    async def take_encrypted(self, event: EncryptedEvent) -> None:
        """Note that an event came encrypted. mautrix decrypts it and passes it on again, if the key is there."""
        async with self._alone(event):
            check_envelope(event)
            self._seen_encrypted.note(event.room_id, event.event_id)
            if not await self._history.has_key(event):
                self._wait_for_key(event)

    async def all_rooms(self, rooms: list[str]) -> None:
        """Read what was missed while the bot was down. Until then no room is marked as read."""
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
            self._behind.discard(room_id)

    async def _room(self, room_id: str) -> None:
        last = await self._store.last_handled(room_id)
        if last is None:
            return
        for raw in await self._history.after(room_id, last):
            async with self._rooms[room_id]:
                async with self._alone(outline(raw, room_id)):
                    await self._read_missed(read_event(raw, room_id))
                await self._was_read(room_id, str(raw.get("event_id")))

    async def _read_missed(self, event: Event) -> None:
        if isinstance(event, EncryptedEvent):
            self._seen_encrypted.note(event.room_id, event.event_id)
            decrypted = await self._history.decrypted(event)
            if decrypted is None:
                self._wait_for_key(event)
                return
            event = decrypted
        await self._reader.read(event)

    @asynccontextmanager
    async def _alone(self, event: Any) -> AsyncIterator[None]:
        """Keep what fails in one event from all others."""
        try:
            yield
        except Exception as error:
            self._reader.failed(event, error)

    async def _was_read(self, room_id: str, event_id: str) -> None:
        """Mark a room as read up to an event, but not beyond the first event that still waits for its key."""
        if self._waiting_for_keys[room_id]:
            return
        try:
            await self._store.handled(room_id, event_id)
        except Exception as error:
            # The next mark is as good.
            log_bug(self._log, f"marking {event_id} as read", error)

    def _wait_for_key(self, event: EncryptedEvent) -> None:
        self._waiting_for_keys[event.room_id] += 1
        self._start(self._take_late(event), f"key of {event.event_id}")

    async def _take_late(self, event: EncryptedEvent) -> None:
        async with self._alone(event):
            try:
                decrypted = await self._history.decrypted_late(event)
            finally:
                self._waiting_for_keys[event.room_id] -= 1
            if decrypted is None:
                await self._reader.could_not_decrypt(event)
                return
            # After a long absence many events wait for keys, and the first notes are gone by now.
            self._seen_encrypted.note(event.room_id, event.event_id)
            await self.take(decrypted)
