"""Whose a job or a name is, and who else may change it."""

from logging import Logger

from ..jobs.job import Job
from ..sending.homeserver import Homeserver
from ..sending.send_queue import NotSent
from .permissions import Permissions


class Ownership:
    """The permissions, and the power levels that rooms give."""

    def __init__(self, permissions: Permissions, homeserver: Homeserver, log: Logger) -> None:
        self._permissions, self._homeserver, self._log = permissions, homeserver, log

    async def may_change_job(self, job: Job, user_id: str) -> bool:
        return await self.may_change(job.message.room_id, job.message.sender, user_id)

    async def may_change(self, room_id: str, owner: str, user_id: str) -> bool:
        """Whether what ``owner`` asked for or made is somebody's own, or they are an admin."""
        if user_id == owner or self._permissions.is_admin(user_id):
            return True
        try:
            level = await self._homeserver.power_level(room_id, user_id)
        except NotSent as error:
            self._log.warning(f"The power level of {user_id} in {room_id} is unknown: {error}")
            return False
        return self._permissions.is_admin(user_id, power_level=level)
