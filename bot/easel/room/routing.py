"""Finds what an event in a room means, and calls its handler."""

import asyncio
import time
from logging import Logger
from typing import Any

from mautrix.types import (
    BaseRoomEvent,
    EncryptedEvent,
    Event,
    EventType,
    Membership,
    MemberStateEventContent,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
    StateEvent,
)

from ..background import Start
from ..bug_log import log_bug
from ..commands.draw import DrawCommands
from ..commands.easel import EaselCommands
from ..commands.edits import Edits
from ..commands.gallery import GalleryCommands
from ..commands.reactions import ReactionCommands
from ..jobs.store import Store
from ..language import DrawCommand, has_signs, read_command
from ..policy.permissions import Permissions
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent
from ..settings import CurrentSettings
from .envelope import Malformed, is_encrypted, is_id
from .invitations import Invitations
from .messages import Message, SeenEncrypted, edited_event, read_message
from .reactions import CANCEL, SLOW, SOON, read_reaction
from .replies import Replies


class Routing:
    """Reads events and calls their handlers. What need not keep its place in the room runs in the background."""

    def __init__(
        self,
        *,
        own_id: str,
        draw_commands: DrawCommands,
        edits: Edits,
        replies: Replies,
        reaction_commands: ReactionCommands,
        easel_commands: EaselCommands,
        gallery_commands: GalleryCommands,
        permissions: Permissions,
        homeserver: Homeserver,
        invitations: Invitations,
        store: Store,
        seen_encrypted: SeenEncrypted,
        settings: CurrentSettings,
        start: Start,
        log: Logger,
    ) -> None:
        self._own_id, self._permissions, self._settings = own_id, permissions, settings
        self._draw_commands, self._reaction_commands = draw_commands, reaction_commands
        self._easel_commands, self._invitations = easel_commands, invitations
        self._gallery_commands = gallery_commands
        self._edits, self._replies = edits, replies
        self._homeserver, self._store, self._seen_encrypted = homeserver, store, seen_encrypted
        self._start, self._log = start, log

    async def resume(self) -> None:
        """Follow the invitations that an earlier process had no time for."""
        for room_id, invited_by in await self._store.kept_invitations():
            if not self._follows_invitation(room_id, invited_by):
                # One that the settings forbid by now is not followed at a later start, either.
                await self._store.forget_invitation(room_id)

    async def read(self, event: Event, *, is_missed: bool) -> asyncio.Task[None] | None:
        """Do what the event asks for. If ``is_missed``, what nobody waits for any more is left.

        Return what is left to do in the background, and is done again if the bot stops before. Raises whatever goes
        wrong.
        """
        is_old = is_missed and self._is_old(event)
        if isinstance(event, MessageEvent):
            return await self._read_message(event, is_old)
        if isinstance(event, ReactionEvent) and event.sender != self._own_id:
            return await self._react(event, is_old)
        if isinstance(event, RedactionEvent):
            by = None if event.sender == self._own_id else event.sender
            await self._reaction_commands.deleted(event.room_id, event.redacts, by=by)
        elif isinstance(event, StateEvent) and _is_membership(event):
            await self._follow_member(event, event.content.membership, is_old)
        elif isinstance(event, StateEvent) and event.type == EventType.ROOM_TOMBSTONE and event.state_key == "":
            # The room was upgraded: people are in the next one, and here most homeservers let nobody write any more.
            await self._store.forget_scheduled_of(event.room_id, None)
        return None

    async def could_not_decrypt(self, event: EncryptedEvent, *, is_missed: bool) -> None:
        """Log a message whose key did not come, and mark it while somebody may wait for an answer to it."""
        self._log.warning(f"Could not decrypt {event.event_id} in {event.room_id}")
        if event.sender != self._own_id and not (is_missed and self._is_old(event)):
            await self._easel_commands.could_not_read(event.room_id, event.event_id, event.sender)

    def failed(self, event: Any, error: Exception) -> None:
        """Log an event that could not be handled, without its text, and answer it if it is or may be a command.

        ``event`` may be an outline.
        """
        room_id, event_id, body = event.room_id, event.event_id, getattr(event.content, "body", None)
        name = f"{event_id if is_id(event_id) else 'an event without an id'} in {room_id}"
        if isinstance(error, Malformed):
            self._log.warning(f"Left out {name}: {error}")
        else:
            log_bug(self._log, name, error)
        if event.sender == self._own_id or not all(map(is_id, (room_id, event_id, event.sender))):
            return
        if is_encrypted(event):
            self._start(self._easel_commands.could_not_read(room_id, event_id, event.sender), f"sign on {event_id}")
        elif isinstance(body, str) and read_command(body) is not None:
            message = Message(room_id=room_id, event_id=event_id, sender=event.sender, body=body)
            self._start(self._easel_commands.failed(message), f"answer to {event_id}")

    async def _react(self, event: ReactionEvent, is_old: bool) -> asyncio.Task[None] | None:
        """Handle a reaction to one of our events or to a command."""
        reaction = read_reaction(event)
        if reaction is None or reaction.key not in (CANCEL, *self._settings().reactions):
            return None
        if reaction.key in SOON and is_old:
            return None
        work = self._reaction_commands.react(reaction)
        if reaction.key in SLOW:
            return self._start(work, f"reaction {reaction.event_id}")
        await work
        return None

    async def _follow_member(self, event: StateEvent, membership: Membership, is_old: bool) -> None:
        user_id = str(event.state_key)
        self._homeserver.devices.somebody_moved(event.room_id)
        if membership in (Membership.LEAVE, Membership.BAN):
            if user_id == self._own_id:
                self._homeserver.left(event.room_id)
            await self._draw_commands.left(event.room_id, None if user_id == self._own_id else user_id)
        elif membership is Membership.JOIN and user_id == self._own_id and not _was_joined(event):
            await self._store.handled(event.room_id, event.event_id)
            if not is_old:
                invited_by = (event.unsigned.prev_sender if event.unsigned else None) or event.sender
                hello = self._easel_commands.hello(event.room_id, event.event_id, invited_by)
                self._start(hello, f"hello in {event.room_id}")
        elif membership is Membership.JOIN:
            self._start(self._gallery_commands.joined(event.room_id, user_id), f"link in {event.room_id}")
        elif membership is Membership.INVITE and user_id == self._own_id:
            self._follows_invitation(event.room_id, event.sender)

    def _follows_invitation(self, room_id: str, invited_by: str) -> bool:
        """Follow an invitation, if the settings allow it; return whether they do."""
        if not self._permissions.may_join(room_id, invited_by=invited_by):
            self._log.info(f"Did not follow {invited_by} into {room_id}: the settings do not allow it")
            return False
        self._start(self._invitations.accept(room_id, invited_by), f"joining {room_id}")
        return True

    async def _read_message(self, event: MessageEvent, is_old: bool) -> asyncio.Task[None] | None:
        message = read_message(event, own_id=self._own_id)
        if message is None:
            return None
        command, edited = read_command(message.body, is_mentioned=message.is_mention), edited_event(event)
        if edited is None:
            if is_old:
                return None
            if command is None and has_signs(message.body) and await self._replies.is_about_picture(message):
                command = DrawCommand(message.body.strip())
            if command is None:
                self._start(self._hint(message), f"hint for {message.event_id}")
                return None
        if not await self._is_trusted(message):
            return None
        answer: asyncio.Task[None] | None = None
        if edited is not None:
            await self._edits.follow(message, command, edited, is_old=is_old)
        elif isinstance(command, DrawCommand) and (command.text or _has_something(message)):
            await self._draw_commands.draw(message, command.text, asked_by=message.event_id)
        elif command is not None:
            self._edits.remember(message)
            if self._easel_commands.changes(command):
                text = await self._easel_commands.done(message, command)
                work = self._easel_commands.say_done(message, text)
            else:
                work = self._easel_commands.answer(message, command)
            answer = self._start(work, f"command {message.event_id}")
        if command is not None:
            self._start(self._homeserver.mark_read(message.room_id, message.event_id), f"receipt {message.event_id}")
            self._start(self._easel_commands.report_settings(message), f"settings for {message.event_id}")
        return answer

    async def _hint(self, message: Message) -> None:
        """Answer what is no command, if it is said to the bot."""
        if await self._is_trusted(message):
            self._edits.remember(message)
            await self._easel_commands.hint(message)

    async def _is_trusted(self, message: Message) -> bool:
        """Whether a message was encrypted if its room is: a homeserver could forge plain text."""
        if (message.room_id, message.event_id) in self._seen_encrypted:
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
        """Whether an event is so old that nobody waits for an answer any more."""
        return bool(time.time() - event.timestamp / 1000 > self._settings().catch_up_s)


def _has_something(message: Message) -> bool:
    """Whether a bare ``!draw`` is about something: a picture, a photo or a file."""
    return message.reply_to is not None or message.is_caption or message.is_on_file


def _is_membership(event: StateEvent) -> bool:
    content = event.content
    return isinstance(content, MemberStateEventContent) and is_id(event.state_key)


def _was_joined(event: StateEvent) -> bool:
    before = event.prev_content
    return isinstance(before, MemberStateEventContent) and before.membership is Membership.JOIN
