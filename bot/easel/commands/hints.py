"""One hint for what is said to the bot but is no command, at most once in a while in a room. Sends nothing itself."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from ..room.messages import Message
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent

# A hint more often would be a nuisance, and two bots that answer each other would not end.
AGAIN_AFTER_S = 3600
# A room of many people rarely becomes a direct chat.
ASKED_AGAIN_AFTER_S = 600
ASKED_WITHIN_S = 10
MAX_ROOMS = 1000

# The bot and one person.
DIRECT_MEMBERS = 2

HINT = "I draw what you type after !draw, such as: !draw otter, cowboy hat\n!easel help shows what else I can do."


class Hints:
    """Knows when each room had its last hint."""

    def __init__(self, homeserver: Homeserver, clock: Callable[[], float] = time.monotonic) -> None:
        self._homeserver, self._clock = homeserver, clock
        self._last: OrderedDict[str, float] = OrderedDict()
        self._not_direct: OrderedDict[str, float] = OrderedDict()

    async def hint_for(self, message: Message) -> str | None:
        """The hint for a message that is no command: where it mentions the bot, and in a direct chat."""
        is_direct = message.is_mention or await self._is_direct(message.room_id)
        last = self._last.get(message.room_id)
        if not is_direct or (last is not None and self._clock() - last < AGAIN_AFTER_S):
            return None
        self._note(self._last, message.room_id)
        return HINT

    async def _is_direct(self, room_id: str) -> bool:
        for times, while_s in ((self._not_direct, ASKED_AGAIN_AFTER_S), (self._last, AGAIN_AFTER_S)):
            if room_id in times and self._clock() - times[room_id] < while_s:
                # There is nothing to ask: no hint is due.
                return False
        is_direct = False
        with suppress(NotSent, TimeoutError):
            async with asyncio.timeout(ASKED_WITHIN_S):
                is_direct = len(await self._homeserver.members(room_id)) == DIRECT_MEMBERS
        if not is_direct:
            self._note(self._not_direct, room_id)
        return is_direct

    def _note(self, times: "OrderedDict[str, float]", room_id: str) -> None:
        times[room_id] = self._clock()
        times.move_to_end(room_id)
        while len(times) > MAX_ROOMS:
            times.popitem(last=False)
