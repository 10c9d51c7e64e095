"""Who may change a job or a style: its owner, and admins by settings or by power level in the room."""

from logging import Logger

from ..jobs.job import Job
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent
from .permissions import Permissions


class Ownership:
    """Asks the homeserver for a power level only where owner and settings leave it open."""

    def __init__(self, permissions: Permissions, homeserver: Homeserver, log: Logger) -> None:
        self._permissions, self._homeserver, self._log = permissions, homeserver, log

    async def may_change_job(self, job: Job, user_id: str) -> bool:
        return await self.may_change(job.message.room_id, job.message.sender, user_id)

    async def may_change(self, room_id: str, owner: str, user_id: str) -> bool:
        """Whether ``user_id`` may change something that belongs to ``owner`` in that room."""
        if user_id == owner or self._permissions.is_admin(user_id):
            return True
        try:
            level = await self._homeserver.power_level(room_id, user_id)
        except NotSent as error:
            self._log.warning(f"The power level of {user_id} in {room_id} is unknown: {error}")
            return False
        return self._permissions.is_admin(user_id, power_level=level)
