"""What rooms are called in the gallery. A name may be some minutes old; who may see it is asked elsewhere."""

import asyncio
import time
from collections.abc import Mapping

from ..room.names import shown_name
from ..sending.homeserver import Homeserver
from .sight import ASKED_WITHIN_S

# People rename a room once a year.
KEPT_S = 300.0

# Longer ones fill a phone's screen.
MAX_NAME_CHARS = 80

# A chat without a name is called after its people, so many of them.
MAX_PEOPLE = 3


class RoomNames:
    """Asks the homeserver for names."""

    def __init__(self, homeserver: Homeserver, own_id: str) -> None:
        self._homeserver, self._own_id = homeserver, own_id
        self._known: dict[str, tuple[float, str]] = {}

    async def of(self, room_id: str, members: Mapping[str, str], person: str) -> str:
        """The room's name, or the names of its other people. Raises TimeoutError."""
        asked_at, name = self._known.get(room_id, (float("-inf"), ""))
        if time.monotonic() - asked_at > KEPT_S:
            async with asyncio.timeout(ASKED_WITHIN_S):
                name = (await self._homeserver.state_text(room_id, "m.room.name", "name"))[:MAX_NAME_CHARS]
            self._known[room_id] = time.monotonic(), name
        return name or self._people(members, person)

    def _people(self, members: Mapping[str, str], person: str) -> str:
        others = sorted(shown_name(one, members) for one in members if one not in (person, self._own_id))
        if not others:
            return "Just you and Easel"
        more = f" and {len(others) - MAX_PEOPLE} more" if len(others) > MAX_PEOPLE else ""
        return ", ".join(others[:MAX_PEOPLE]) + more
