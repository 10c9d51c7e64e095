"""Follows the edits of messages: a wrong command becomes a right one, and what was said about the wrong one goes."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from ..language import Command, DrawCommand, has_signs
from ..room.history import RoomHistory
from ..room.messages import Message, reply_and_thread
from ..room.replies import Replies
from .draw import DrawCommands
from .easel import EaselCommands

# People correct what they have just written.
MAX_REMEMBERED = 1000


@dataclass
class _Written:
    """A message that asked for no picture, with the events that its answers in the room are for."""

    sender: str
    asked_by: list[str]
    # An edit says neither what its message replies to nor in which thread it is.
    reply_to: str | None = None
    thread: str | None = None


class Edits:
    """Knows the last messages that asked for no picture, and asks the room for older ones, as after a restart.

    Only their senders can correct them.
    """

    def __init__(
        self, *, draw_commands: DrawCommands, easel_commands: EaselCommands, replies: Replies, history: RoomHistory
    ) -> None:
        self._draw_commands, self._easel_commands = draw_commands, easel_commands
        self._replies, self._history = replies, history
        self._written: OrderedDict[tuple[str, str], _Written] = OrderedDict()

    def remember(self, message: Message) -> None:
        written = _Written(message.sender, [message.event_id], message.reply_to, message.thread)
        self._written[(message.room_id, message.event_id)] = written
        while len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)

    async def follow(self, message: Message, command: Command | None, edited: str, *, is_old: bool) -> None:
        """Do what the new text of a message asks for. ``message`` has the text, the room and the edit's event id."""
        original = replace(message, event_id=edited)
        had_schedule = await self._easel_commands.end_schedule(message, edited)
        is_done = await self._draw_commands.edit(message, command, edited, is_old=is_old)
        known = self._written.get((message.room_id, edited))
        if known is not None and known.sender == message.sender and (is_done or had_schedule):
            await self._easel_commands.take_back(original, known.asked_by)
            known.asked_by = []
        elif known is None and had_schedule:
            await self._easel_commands.take_back(original, [edited])
        if is_done or is_old or (command is None and not has_signs(message.body)):
            return
        written = known or await self._looked_up(message.room_id, edited, edit=message.event_id)
        if written is None or written.sender != message.sender:
            # Not the sender's own, or from before the bot came.
            return
        original = replace(original, reply_to=written.reply_to, thread=written.thread)
        if command is None and await self._replies.is_about_picture(original):
            command = DrawCommand(message.body.strip())
        if command is None:
            return
        await self._easel_commands.take_back(original, written.asked_by)
        written.asked_by = []
        is_about = original.reply_to is not None or original.is_caption
        if isinstance(command, DrawCommand) and (command.text or is_about):
            await self._draw_commands.draw(original, command.text, asked_by=message.event_id)
        else:
            written.asked_by.append(message.event_id)
            await self._easel_commands.answer(replace(original, edited_by=message.event_id), command)

    async def _looked_up(self, room_id: str, event_id: str, *, edit: str) -> _Written | None:
        sender, content = await self._history.seen(room_id, event_id)
        if sender is None:
            return None
        reply_to, thread = reply_and_thread(content.get("m.relates_to"))
        asked_by = [event_id, *await self._history.edits_before(room_id, event_id, edit)]
        return self._written.setdefault((room_id, event_id), _Written(sender, asked_by, reply_to, thread))
