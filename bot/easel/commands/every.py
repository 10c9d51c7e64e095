"""``!easel every``: a picture that a room gets every day, or on one day of the week."""

import re

from ..jobs.schedule import EVERY_DAY, WEEKDAYS, Schedule
from ..jobs.schedule_table import Scheduled
from ..jobs.store import Store
from ..language import brief
from ..policy.ownership import Ownership
from ..room.messages import Message
from ..room.names import shown_name
from ..sending.homeserver import Homeserver
from ..sending.rich import Text, blocks, bold, numbered, written
from .draw import DrawCommands

# A room wants a few; each is a picture a day, whether anybody looks or not.
MAX_IN_ROOM = 5
MAX_A_PERSON = 2

HOW = """A picture for this room at its time:

• `!easel every day at 7: otter in the morning sun`
• `!easel every friday at 18:30: owl, party hat`

`!easel every` lists them, `!easel every stop 1` ends the first. Deleting the message ends it too."""
ROOM_IS_FULL = f"This room has {MAX_IN_ROOM} of these, and that's the limit. End one with !easel every stop 1."
YOURS_ARE_FULL = f"You have {MAX_A_PERSON} of these here, and that's the limit. End one with !easel every stop 1."
NO_SUCH = "There's no such number. !easel every lists them."
NOT_YOURS = "That one is somebody else's. Only they or an admin can end it."

_DAYS = (EVERY_DAY, *WEEKDAYS)
_SCHEDULED = re.compile(
    rf"(?:(?P<day>{'|'.join(_DAYS)})\s+)?at\s+(?P<hour>\d{{1,2}})(?:[:.](?P<minute>\d{{2}}))?\s*(?P<half>[ap]m)?"
    r"\s*(?::\s*|\s+)(?P<typed>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_STOP = re.compile(r"(?:stop|cancel|remove)\s+(\d{1,3})", re.IGNORECASE)


def read_time(hour: str, minute: str | None, half: str | None) -> int | None:
    """The minute of the day, or None for a time that there is not."""
    hours, minutes = int(hour), int(minute or 0)
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    return hours * 60 + minutes if hours < 24 and minutes < 60 else None


class EveryDay:
    """Lists, adds and ends the scheduled pictures of rooms. Returns the answer's text."""

    def __init__(
        self, store: Store, homeserver: Homeserver, schedule: Schedule, draw: DrawCommands, ownership: Ownership
    ) -> None:
        self._store, self._homeserver, self._schedule = store, homeserver, schedule
        self._draw_commands, self._ownership = draw, ownership

    async def answer(self, message: Message, typed: str) -> Text:
        """Do what was typed behind the word. Raises ParseError."""
        here = await self._store.scheduled_in(message.room_id)
        if not typed:
            return _listed(here, await self._homeserver.display_names(message.room_id)) if here else written(HOW)
        if stop := _STOP.fullmatch(typed):
            return await self._stop(message, here, int(stop[1]))
        wanted = _SCHEDULED.fullmatch(typed)
        minute = read_time(wanted["hour"], wanted["minute"], wanted["half"]) if wanted else None
        if wanted is None or minute is None:
            return written(HOW)
        if len(here) >= MAX_IN_ROOM:
            return ROOM_IS_FULL
        if sum(one.sender == message.sender for one in here) >= MAX_A_PERSON:
            return YOURS_ARE_FULL
        return await self._add(message, (wanted["day"] or EVERY_DAY).lower(), minute, wanted["typed"])

    async def _add(self, message: Message, day: str, minute: int, typed: str) -> str:
        await self._draw_commands.check(message, typed)
        scheduled = Scheduled(
            event_id=message.event_id,
            room_id=message.room_id,
            sender=message.sender,
            thread=message.thread,
            typed=typed,
            day=day,
            minute=minute,
            next_ms=self._schedule.next_time_ms(day, minute),
        )
        answer = f"Every {_when(scheduled)}: {brief(typed)}"
        await self._store.keep_scheduled(scheduled, by=message.asked_by, answer=answer)
        self._schedule.changed()
        return answer

    async def _stop(self, message: Message, here: list[Scheduled], number: int) -> str:
        if not 1 <= number <= len(here):
            return NO_SUCH
        one = here[number - 1]
        if not await self._ownership.may_change(message.room_id, one.sender, message.sender):
            return NOT_YOURS
        answer = f"Ended: every {_when(one)}: {brief(one.typed)}"
        await self._store.end_scheduled(one, by=message.asked_by, answer=answer)
        return answer


def _listed(here: list[Scheduled], names: dict[str, str]) -> Text:
    items = (bold(f"Every {_when(one)}") + f": {brief(one.typed)} ({shown_name(one.sender, names)})" for one in here)
    return blocks(numbered(items), "!easel every stop 1 ends the first.")


def _when(scheduled: Scheduled) -> str:
    day = scheduled.day if scheduled.day == EVERY_DAY else scheduled.day.capitalize()
    return f"{day} at {scheduled.minute // 60}:{scheduled.minute % 60:02}"
