"""Accepts invitations, a few at a time for each person who invites. Does not know who may invite."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from logging import Logger

from ..jobs.invitation_table import InvitationTable
from ..sending.send_queue import NotSent

# More than Synapse usually lets one person send at once.
MAX_JOINING_A_PERSON = 10

# A homeserver allows a join every 10 s, and a room's own homeserver may be slow. One that is gone never lets us in.
JOINED_WITHIN_S = 600.0


class Invitations:
    """Joins rooms. Nobody's invitations keep another person's waiting.

    A homeserver tells of an invitation once, and may limit joins: so one is kept until the bot is in, or is given up.
    """

    def __init__(self, join: Callable[[str], Awaitable[None]], table: InvitationTable, log: Logger) -> None:
        """``join`` raises NotSent."""
        self._join, self._table, self._log = join, table, log
        self._joining: Counter[str] = Counter()

    async def accept(self, room_id: str, invited_by: str) -> None:
        """Join the room, unless that person invited the bot into too many at once."""
        if self._joining[invited_by] >= MAX_JOINING_A_PERSON:
            self._log.warning(f"Did not follow {invited_by} into {room_id}: still joining their other rooms")
            return
        self._joining[invited_by] += 1
        try:
            await self._table.keep_invitation(room_id, invited_by)
            async with asyncio.timeout(JOINED_WITHIN_S):
                await self._join(room_id)
        except (NotSent, TimeoutError) as error:
            self._log.warning(f"Did not get into {room_id}, where {invited_by} invited us: {str(error) or 'no answer'}")
        finally:
            self._joining[invited_by] -= 1
            if not self._joining[invited_by]:
                del self._joining[invited_by]
        # Not reached if the bot stops before.
        await self._table.forget_invitation(room_id)
