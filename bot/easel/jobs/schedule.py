"""Draws what rooms asked to get every day, each at its time, over restarts too. Knows no texts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from logging import Logger

from ..bug_log import log_bug
from ..room.messages import Message
from ..settings import CurrentSettings
from .schedule_table import Scheduled, ScheduleTable

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = "day"

# A bot that was down at the time still draws, but nobody wants the morning's picture in the evening.
DRAWN_LATE_S = 3 * 3600.0

# A machine may sleep, and its clock may be set.
LOOK_AGAIN_S = 60.0

# Draws the text of a message, for the event or the time that asks for it.
Draw = Callable[[Message, str, str], Awaitable[object]]


def next_time_ms(day: str, minute: int, after: datetime) -> int:
    """The next time of that day and minute, in milliseconds; a skipped hour of summer time is the hour after."""
    at = after.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    while at <= after or (day != EVERY_DAY and WEEKDAYS[at.weekday()] != day):
        at += timedelta(days=1)
    return int(at.timestamp() * 1000)


class Schedule:
    """Draws each scheduled command once for each of its times."""

    def __init__(
        self,
        table: ScheduleTable,
        draw: Draw,
        settings: CurrentSettings,
        log: Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table, self._draw, self._settings, self._log, self._clock = table, draw, settings, log, clock
        self._changed = asyncio.Event()

    def next_time_ms(self, day: str, minute: int) -> int:
        """The next time of that day and minute, by the clock of the settings' time zone."""
        return next_time_ms(day, minute, datetime.fromtimestamp(self._clock(), self._settings().time_zone))

    def changed(self) -> None:
        """Look again at what comes next."""
        self._changed.set()

    async def run(self) -> None:
        """Draw what is due, until cancelled."""
        while True:
            self._changed.clear()
            try:
                for scheduled in await self._table.due(int(self._clock() * 1000)):
                    await self._draw_one(scheduled)
                due_ms = await self._table.next_due_ms()
            except Exception as error:
                log_bug(self._log, "the schedule", error)
                due_ms = None
            wait_s = LOOK_AGAIN_S if due_ms is None else min(LOOK_AGAIN_S, due_ms / 1000 - self._clock())
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _draw_one(self, scheduled: Scheduled) -> None:
        """Draw it, then note its next time: if the process ends in between, the same job is asked for again."""
        late_s = self._clock() - scheduled.next_ms / 1000
        if late_s <= DRAWN_LATE_S:
            message = Message(
                room_id=scheduled.room_id,
                event_id=scheduled.event_id,
                sender=scheduled.sender,
                body=scheduled.typed,
                thread=scheduled.thread,
            )
            await self._draw(message, scheduled.typed, f"{scheduled.event_id} {scheduled.next_ms}")
        await self._table.schedule_next(scheduled.event_id, self.next_time_ms(scheduled.day, scheduled.minute))
