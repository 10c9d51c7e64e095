"""What a hostile person sends between the kills: events that no bot expects, and floods. None may cost a picture."""

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import Any

from household.errors import HouseholdError
from household.person import Person
from tests.torture.reckoning import Command

FLOOD = 30

# As long as an encrypted message can be, and as long as a plain one.
LONG, LONGEST = 45_000, 60_000


class Poison(StrEnum):
    """A kind of event that lost other people's commands, or could."""

    NUMBER = "a number that fits no column"
    FILE = "a reply to a recipe file that is none"
    KEY = "a reaction with a number as its key"
    SURROGATES = "half of a character"
    FORMATTED = "a reply whose formatted text is a number"
    BRACES = "deep braces"
    LONG = "a long text"
    LONGEST = "the longest text"
    EDIT = "an edit in another room"
    REDACTION = "a deletion in another room"
    FLOOD = "a flood of commands in another room"


async def send(poison: Poison, command: Command, *, sender: Person, elsewhere: str, stranger: Person) -> None:
    """Send it beside a command of the ``sender``; ``elsewhere`` is another room of the same people and the bot."""
    room_id, message = command.room_id, "m.room.message"
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": command.event_id}}}
    relation: dict[str, Any]
    # The homeserver may refuse it.
    with suppress(HouseholdError):
        match poison:
            case Poison.NUMBER:
                await stranger.say(room_id, "!draw otter -n 99999999999999999999 --seed 99999999999999999999")
            case Poison.FILE:
                file = await stranger.send(room_id, message, {"msgtype": "m.file", "body": "a.yml", "file": "abc"})
                await stranger.say(room_id, "!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": file}}})
            case Poison.KEY:
                relation = {"rel_type": "m.annotation", "event_id": command.event_id, "key": 5}
                await stranger.send(room_id, "m.reaction", {"m.relates_to": relation})
            case Poison.SURROGATES:
                await stranger.say(room_id, "!draw otter, \ud83e hat --theme \udda6")
            case Poison.FORMATTED:
                html = {"format": "org.matrix.custom.html", "formatted_body": 5}
                await stranger.say(room_id, "> otter\n\n!draw +hat", **html, **reply)
            case Poison.BRACES:
                await stranger.say(room_id, "!draw otter " + "{" * 8000)
            case Poison.LONG:
                await stranger.say(room_id, "!draw " + "(" * 100 + "otter, " * (LONG // 7))
            case Poison.LONGEST:
                await stranger.say(room_id, "!draw " + "--no " * (LONGEST // 5))
            case Poison.EDIT:
                await sender.edit(elsewhere, command.event_id, "!draw owl --steps 2")
            case Poison.REDACTION:
                await sender.send(elsewhere, "m.room.redaction", {"redacts": command.event_id})
            case Poison.FLOOD:
                await asyncio.gather(*(stranger.say(elsewhere, "!easel help") for _ in range(FLOOD)))
