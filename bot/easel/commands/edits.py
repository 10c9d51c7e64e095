"""Follows the edits of messages: a wrong command becomes a right one, and what was said about the wrong one goes."""

from collections import OrderedDict
from dataclasses import replace

from ..language import Command, DrawCommand, EaselCommand, has_signs
from ..room.messages import Message
from .draw import DrawCommands
from .easel import EaselCommands

# People correct what they have just written.
MAX_REMEMBERED = 1000


class Edits:
    """Knows who wrote the last messages that asked for no picture: only they can correct them, until a restart."""

    def __init__(self, *, draw_commands: DrawCommands, easel_commands: EaselCommands) -> None:
        self._draw_commands, self._easel_commands = draw_commands, easel_commands
        self._senders: OrderedDict[tuple[str, str], str] = OrderedDict()

    def remember(self, message: Message) -> None:
        self._senders[(message.room_id, message.event_id)] = message.sender
        while len(self._senders) > MAX_REMEMBERED:
            self._senders.popitem(last=False)

    async def follow(self, message: Message, command: Command | None, edited: str, *, is_old: bool) -> None:
        """Do what the new text of a message asks for. ``message`` has the text, the room and the edit's event id."""
        if command is None and message.reply_to and has_signs(message.body):
            command = DrawCommand(message.body.strip())
        if await self._draw_commands.edit(message, command, edited, is_old=is_old):
            return
        if command is None or is_old or self._senders.get((message.room_id, edited)) != message.sender:
            # Not the sender's own, or from before the bot came.
            return
        original = replace(message, event_id=edited)
        await self._easel_commands.take_back(original)
        if isinstance(command, DrawCommand) and command.text:
            await self._draw_commands.draw(original, command.text, asked_by=message.event_id)
        elif isinstance(command, DrawCommand | EaselCommand):
            await self._easel_commands.answer(original, command, asked_by=message.event_id)
