"""Reads what happens in rooms, each room's events in their order, and hands on what it means.

Events come from the sync and, where some were missed, from the room's history; the same event may come from both.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine
from logging import Logger
from typing import Any

from mautrix.types import (
    BaseRoomEvent,
    EncryptedEvent,
    Event,
    Membership,
    MemberStateEventContent,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
    StateEvent,
)

from ..commands.draw import DrawCommands
from ..commands.easel import EaselCommands
from ..commands.reactions import ReactionCommands
from ..jobs.store import Store
from ..language import DrawCommand, read_command
from ..policy.permissions import Permissions
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent
from .history import RoomHistory
from .messages import Message, SeenEncrypted, edited_event, read_message
from .reactions import CANCEL, SLOW, SOON, read_reaction

# What is said now comes a little later, more so from another homeserver or after a hiccup of one's own.
COMES_WITHIN_S = 60

Start = Callable[[Coroutine[Any, Any, None], str], object]


class Routing:
    """One for the whole bot."""

    def __init__(
        self,
        *,
        own_id: str,
        homeserver: Homeserver,
        history: RoomHistory,
        store: Store,
        start: Start,
        log: Logger,
    ) -> None:
        """``start`` runs something in the background until it ends or the bot stops."""
        self._own_id, self._homeserver, self._history = own_id, homeserver, history
        self._store, self._start, self._log = store, start, log
        self._rooms: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._behind: set[str] = set()
        self._waiting_for_keys: Counter[str] = Counter()
        self._all_behind = True
        self._joined_ms: dict[str, int] = {}
        self.seen_encrypted = SeenEncrypted()
        self.draw_commands: DrawCommands
        self.reaction_commands: ReactionCommands
        self.answers: EaselCommands
        self.permissions: Permissions
        self.reactions: Collection[str]
        self.max_age_s: float

    async def take(self, event: Event) -> None:
        """See to one event of the sync. Rooms that have events missing are not marked as read up to it."""
        async with self._rooms[event.room_id]:
            await self._see_to(event)
            is_behind = self._all_behind or event.room_id in self._behind
            if isinstance(event, MessageEvent) and not is_behind:
                await self._was_read(event.room_id, event.event_id)

    async def catch_up_with_all(self, rooms: list[str]) -> None:
        """See to what was missed while the bot was down. Until then no room is marked as read."""
        await self.catch_up(rooms)
        self._all_behind = False

    async def catch_up(self, rooms: list[str]) -> None:
        """See to what these rooms have had since they were last read."""
        self._behind.update(rooms)
        for room_id in rooms:
            try:
                await self._catch_up(room_id)
            except NotSent as error:
                self._log.warning(f"What was missed in {room_id} could not be read: {error}")
            self._behind.discard(room_id)

    async def _catch_up(self, room_id: str) -> None:
        last = await self._store.last_handled(room_id)
        if last is None:
            return
        for event in await self._history.after(room_id, last):
            if isinstance(event, EncryptedEvent):
                self.seen_encrypted.note(event.event_id)
                decrypted = await self._history.decrypted(event)
                if decrypted is None:
                    self._wait_for_key(event)
                    continue
                event = decrypted
            async with self._rooms[room_id]:
                await self._see_to(event)
                await self._was_read(room_id, event.event_id)

    async def take_encrypted(self, event: EncryptedEvent) -> None:
        """Note how an event came. mautrix decrypts it and brings it again, where the key is there by now."""
        self.seen_encrypted.note(event.event_id)
        if not await self._history.has_key(event):
            self._wait_for_key(event)

    async def _was_read(self, room_id: str, event_id: str) -> None:
        """The next process begins after this event, or before the first that still waits for its key."""
        if not self._waiting_for_keys[room_id]:
            await self._store.handled(room_id, event_id)

    def _wait_for_key(self, event: EncryptedEvent) -> None:
        self._waiting_for_keys[event.room_id] += 1
        self._start(self._take_late(event), f"key of {event.event_id}")

    async def _take_late(self, event: EncryptedEvent) -> None:
        decrypted = await self._history.decrypted_late(event)
        self._waiting_for_keys[event.room_id] -= 1
        if decrypted is not None:
            # Of the many that wait for keys after a long absence, the first notes are gone by now.
            self.seen_encrypted.note(event.event_id)
            await self.take(decrypted)
        elif not self._is_old(event):
            await self.answers.could_not_read(event.room_id, event.event_id)

    async def _see_to(self, event: Event) -> None:
        if isinstance(event, MessageEvent):
            await self._read(event)
        elif isinstance(event, ReactionEvent) and event.sender != self._own_id:
            await self._react(event)
        elif isinstance(event, RedactionEvent):
            await self.reaction_commands.deleted(event.room_id, event.redacts, by=event.sender)
        elif isinstance(event, StateEvent) and isinstance(event.content, MemberStateEventContent):
            await self._see_who_moved(event, event.content.membership)

    async def _react(self, event: ReactionEvent) -> None:
        """A reaction, on one of our events or on a command."""
        reaction = read_reaction(event)
        if reaction is None or reaction.key not in (CANCEL, *self.reactions):
            return
        if reaction.key in SOON and self._is_old(event):
            return
        work = self.reaction_commands.react(reaction)
        if reaction.key in SLOW:
            self._start(work, f"reaction {reaction.event_id}")
        else:
            await work

    async def _see_who_moved(self, event: StateEvent, membership: Membership) -> None:
        user_id = str(event.state_key)
        self._homeserver.somebody_moved(event.room_id)
        if membership in (Membership.LEAVE, Membership.BAN):
            await self.draw_commands.left(event.room_id, None if user_id == self._own_id else user_id)
        elif membership is Membership.JOIN and user_id == self._own_id and not _was_joined(event):
            self._joined_ms[event.room_id] = event.timestamp
            await self._store.handled(event.room_id, event.event_id)
            if not self._is_old(event):
                self._start(self.answers.hello(event.room_id, event.event_id), f"hello in {event.room_id}")
        elif membership is Membership.INVITE and user_id == self._own_id:
            if self.permissions.may_join(event.room_id, invited_by=event.sender):
                self._start(self._homeserver.join(event.room_id), f"joining {event.room_id}")
            else:
                self._log.info(f"Did not follow {event.sender} into {event.room_id}: the settings do not allow it")

    async def _read(self, event: MessageEvent) -> None:
        message = read_message(event, own_id=self._own_id)
        if message is None:
            return
        command, edited, is_old = read_command(message.body), edited_event(event), self._is_old(event)
        if edited is None and (command is None or is_old):
            return
        if not await self._came_as_it_should(message) or await self._came_before_us(event):
            return
        if edited is not None:
            await self.draw_commands.edit(message, command, edited, is_old=is_old)
        elif isinstance(command, DrawCommand) and command.text:
            await self.draw_commands.draw(message, command.text, asked_by=message.event_id)
        elif command is not None:
            self._start(self.answers.answer(message, command), f"command {message.event_id}")
        if command is not None:
            self._start(self._homeserver.mark_read(message.room_id, message.event_id), f"receipt {message.event_id}")

    async def _came_as_it_should(self, message: Message) -> bool:
        """Whether it was encrypted if the room is: what came in plain text there, anyone on the way could have said."""
        if message.event_id in self.seen_encrypted:
            return True
        try:
            if not await self._homeserver.is_encrypted(message.room_id):
                return True
            reason = f"not encrypted, in the encrypted room {message.room_id}"
        except NotSent as error:
            reason = f"whether {message.room_id} is encrypted is unknown: {error}"
        self._log.warning(f"Left out {message.event_id}: {reason}")
        return False

    def _is_old(self, event: BaseRoomEvent) -> bool:
        """Whether it came so long ago that nobody waits for an answer any more."""
        return bool(time.time() - event.timestamp / 1000 > max(self.max_age_s, COMES_WITHIN_S))

    async def _came_before_us(self, event: MessageEvent) -> bool:
        """Whether it was said before the bot joined: the first sync of a room brings some of its past."""
        room_id = event.room_id
        if room_id not in self._joined_ms:
            is_known = await self._store.last_handled(room_id) is not None
            try:
                self._joined_ms[room_id] = 0 if is_known else await self._homeserver.joined_ms(room_id)
            except NotSent:
                return True
        return bool(event.timestamp < self._joined_ms[room_id])


def _was_joined(event: StateEvent) -> bool:
    before = event.prev_content
    return isinstance(before, MemberStateEventContent) and before.membership is Membership.JOIN
