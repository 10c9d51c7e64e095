from maubot import MessageEvent, Plugin
from maubot.handlers import command

from .desk import greeting


class Neighbour(Plugin):
    @command.new("neighbour")
    async def greet(self, evt: MessageEvent) -> None:
        await evt.reply(greeting())
