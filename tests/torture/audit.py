"""Read the rooms as a person finds them afterwards: every event, picture and recipe."""

from collections.abc import Iterable

import nio
import yaml

from household.errors import HouseholdError
from household.heard import Heard
from household.person import Person
from tests.torture.reckoning import PICTURE, RECIPE

PNG = b"\x89PNG"


async def read_rooms(person: Person, rooms: Iterable[str]) -> list[Heard]:
    return [event for room_id in rooms for event in await person.read(room_id)]


async def pictures(person: Person, events: Iterable[Heard]) -> list[str | None]:
    """Return, for every readable picture, the command that it answers."""
    return [
        event.reply_to
        for event in events
        if event.mark.get("kind") == PICTURE and (await file_of(person, event)).startswith(PNG)
    ]


async def recipes(person: Person, events: Iterable[Heard]) -> list[tuple[str | None, int]]:
    """Return, for every readable recipe, the command that it answers and its seed."""
    files = [(event.reply_to, await file_of(person, event)) for event in events if event.mark.get("kind") == RECIPE]
    return [(command, yaml.safe_load(file)["seed"]) for command, file in files if file]


async def file_of(person: Person, event: Heard) -> bytes:
    """Fetch the event's file. Empty if it cannot be fetched or decrypted."""
    try:
        return await person.fetch(event.content)
    except (HouseholdError, nio.EncryptionError):
        return b""
