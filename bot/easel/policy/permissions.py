"""Who may do what, and how much. No I/O: knows the settings in force, ids and numbers."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..settings import CurrentSettings
from .work import Work


class Permissions:
    """Answers from the settings alone. A refusal is a sentence for the person who asked; None means yes."""

    def __init__(self, settings: CurrentSettings) -> None:
        self._settings = settings

    def refusal(self, user: str, room_id: str) -> str | None:
        """Why this person may not use the bot in this room."""
        if not _matches(room_id, self._settings().allowed_rooms):
            return "This room isn't on my list yet. Ask whoever runs me."
        if not _matches(user, (*self._settings().allowed_users, *self._settings().admins)):
            return "You're not on my list yet. Ask whoever runs me."
        return None

    def may_join(self, room_id: str, *, invited_by: str) -> bool:
        return self.refusal(invited_by, room_id) is None

    def is_admin(self, user: str, *, power_level: int | None = None) -> bool:
        """Whether this person may cancel and remove what others asked for; ``power_level`` is theirs in the room."""
        least = self._settings().admin_power_level
        return self._is_named_admin(user) or (power_level is not None and 0 < least <= power_level)

    def too_many(self, user: str, *, pictures: int, open_jobs: int, pictures_in_24_h: int) -> str | None:
        """Why this person may not ask for one more job of ``pictures`` pictures, given what they already asked for."""
        jobs, a_day = self._settings().max_open_jobs, self._settings().max_pictures_a_day
        if self._is_named_admin(user):
            return None
        if jobs and open_jobs >= jobs:
            return f"You have {open_jobs} waiting already, and that's the limit. Ask again when one is here."
        if a_day and pictures_in_24_h + pictures > a_day:
            left = max(0, a_day - pictures_in_24_h)
            return f"The limit is {a_day} a day, and you have {left or 'none'} left."
        return None

    def too_much(self, user: str, works: Iterable[Work]) -> str | None:
        """Why this person may not ask for pictures that take this much work."""
        limit = self._settings().max_megapixel_steps
        most = max(works, key=lambda work: work.megapixel_steps)
        if not limit or most.megapixel_steps <= limit or self._is_named_admin(user):
            return None
        size = f"{most.width}×{most.height}"
        if steps := int(limit / most.megapixels):
            return f"{size} takes up to {steps} --steps here, not {most.steps}. Or ask for a smaller --size."
        return f"{size} takes too long here. Ask for a smaller --size."

    def _is_named_admin(self, user: str) -> bool:
        """Whether the settings name an admin. Power levels lift no limit: anyone has a high one in their own room."""
        return _matches(user, self._settings().admins)


def _matches(matrix_id: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(matrix_id, glob) for glob in globs)
