"""The photos that jobs draw from: events of the job's own room, fetched when the generator is there."""

import asyncio
from typing import Any

from ..jobs.body import CannotAsk
from ..sending.content import EASEL_KEY
from ..sending.media import Media
from ..sending.send_queue import NotSent
from .history import RoomHistory
from .messages import is_picture_file

# As much as the generator takes.
MAX_PHOTO_BYTES = 20 * 1024 * 1024

# A person's other jobs wait meanwhile. Fetching is tried again and again within this time.
FETCHED_WITHIN_S = 300.0

GONE = "That photo isn't in this room any more."
NOT_READ = "I can't read that photo. It's damaged, or larger than 20 MB."
NOT_FETCHED = "I didn't get that photo. Try again in a moment."
NOT_HERE = "That recipe needs a photo that isn't in this room. Reply to the photo with your words instead."


class Gone(CannotAsk):
    """The room does not have that photo any more."""

    def __init__(self) -> None:
        super().__init__(GONE)


def is_photo(content: dict[str, Any]) -> bool:
    """Whether the content of an event is a picture that the bot did not draw, sent as a picture or as a file."""
    return EASEL_KEY not in content and _is_picture(content)


def _is_picture(content: dict[str, Any]) -> bool:
    info = content.get("info")
    mimetype = info.get("mimetype") if isinstance(info, dict) else None
    name = content.get("filename") or content.get("body")
    return is_picture_file(str(content.get("msgtype")), mimetype if isinstance(mimetype, str) else "", str(name or ""))


class Photos:
    """Fetches photos, each from the room of the job that is drawn from it."""

    def __init__(self, history: RoomHistory, media: Media) -> None:
        self._history, self._media = history, media

    async def fetch(self, room_id: str, event_id: str) -> bytes:
        """The bytes of a photo as it was sent. Raises CannotAsk if they cannot be fetched."""
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S):
                content = await self._history.content_of(room_id, event_id)
                if not _is_picture(content):
                    raise Gone
                data = await self._media.download(content, MAX_PHOTO_BYTES)
        except (TimeoutError, NotSent) as error:
            raise CannotAsk(NOT_FETCHED) from error
        if data is None:
            raise CannotAsk(NOT_READ)
        return data
