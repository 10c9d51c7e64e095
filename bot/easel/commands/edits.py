"""Follows the edits of messages: a wrong command becomes a right one, and what was said about the wrong one goes."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from ..language import Command, DrawCommand, EaselCommand, has_signs
from ..room.history import RoomHistory
from ..room.messages import Message
from .draw import DrawCommands
from .easel import EaselCommands

# People correct what they have just written.
MAX_REMEMBERED = 1000


@dataclass
class _Written:
    """A message that asked for no picture, with the events that its answers in the room are for."""

    sender: str
    asked_by: list[str]


class Edits:
    """Knows the last messages that asked for no picture, and asks the room for older ones, as after a restart.

    Only their senders can correct them.
    """

    def __init__(self, *, draw_commands: DrawCommands, easel_commands: EaselCommands, history: RoomHistory) -> None:
        self._draw_commands, self._easel_commands, self._history = draw_commands, easel_commands, history
        self._written: OrderedDict[tuple[str, str], _Written] = OrderedDict()

    def remember(self, message: Message) -> None:
        self._written[(message.room_id, message.event_id)] = _Written(message.sender, [message.event_id])
        while len(self._written) > MAX_REMEMBERED:
            self._written.popitem(last=False)

    async def follow(self, message: Message, command: Command | None, edited: str, *, is_old: bool) -> None:
        """Do what the new text of a message asks for. ``message`` has the text, the room and the edit's event id."""
        if command is None and message.reply_to and has_signs(message.body):
            command = DrawCommand(message.body.strip())
        if await self._draw_commands.edit(message, command, edited, is_old=is_old):
            return
        if command is None or is_old:
            return
        written = self._written.get((message.room_id, edited)) or await self._looked_up(message.room_id, edited)
        if written is None or written.sender != message.sender:
            # Not the sender's own, or from before the bot came.
            return
        original = replace(message, event_id=edited)
        await self._easel_commands.take_back(original, written.asked_by)
        written.asked_by = []
        if isinstance(command, DrawCommand) and command.text:
            await self._draw_commands.draw(original, command.text, asked_by=message.event_id)
        elif isinstance(command, DrawCommand | EaselCommand):
            written.asked_by.append(message.event_id)
            await self._easel_commands.answer(original, command, asked_by=message.event_id)

    async def _looked_up(self, room_id: str, event_id: str) -> _Written | None:
        sender = await self._history.sender_of(room_id, event_id)
        if sender is None:
            return None
        return self._written.setdefault((room_id, event_id), _Written(sender, [event_id]))
