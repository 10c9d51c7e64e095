"""Fetches the gallery's images from the homeserver, as they were posted. Keeps the last thumbnails in memory."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from logging import Logger
from typing import Any

from ..jobs.gallery_table import GalleryPicture
from ..jobs.store import Store
from ..room.history import RoomHistory
from ..room.photos import MAX_PHOTO_BYTES, is_photo
from ..sending.homeserver import Homeserver
from ..sending.media import Media
from ..sending.send_queue import NotSent

# The largest picture or sheet of the generator is below this.
MAX_IMAGE_BYTES = 32 * 1024 * 1024

# So many images are in memory at a time, each once more while it is decrypted.
MAX_FETCHED_AT_ONCE = 4

# A browser waits that long for an image; a homeserver that is away answers none.
FETCHED_WITHIN_S = 30.0

# The thumbnails of some hundred pictures: people look at the newest again and again.
MAX_CACHED_BYTES = 16 * 1024 * 1024

# Anything larger is no thumbnail.
MAX_THUMBNAIL_BYTES = 1024 * 1024

_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True)
class Image:
    """An image's bytes, and what they are by their first ones, whatever the event says."""

    data: bytes
    mimetype: str


class PictureFiles:
    """Fetches thumbnails, images and photos. None stands for what is gone, or no image that a browser shows."""

    def __init__(self, store: Store, history: RoomHistory, homeserver: Homeserver, media: Media, log: Logger) -> None:
        self._store, self._history, self._homeserver, self._media, self._log = store, history, homeserver, media, log
        self._at_once = asyncio.Semaphore(MAX_FETCHED_AT_ONCE)
        self._thumbnails = Cache(MAX_CACHED_BYTES)

    async def thumbnail(self, picture: GalleryPicture) -> Image | None:
        """The small copy of a picture. Raises TimeoutError."""
        if (kept := self._thumbnails.get(picture.id)) is not None:
            return kept
        info = picture.content.get("info", {})
        source = {key: info.get(f"thumbnail_{key}") for key in ("url", "file") if info.get(f"thumbnail_{key}")}
        image = await self._fetched({**source, "info": info.get("thumbnail_info")}, MAX_THUMBNAIL_BYTES)
        if image is not None:
            self._thumbnails.put(picture.id, image)
        return image

    async def image(self, picture: GalleryPicture) -> Image | None:
        """A picture or a sheet in full size. Raises TimeoutError."""
        return await self._fetched(picture.content, MAX_IMAGE_BYTES)

    async def photo(self, picture: GalleryPicture, person: str) -> Image | None:
        """The photo that a picture was drawn from, if it is still in the room. Raises TimeoutError."""
        event_id = await self.photo_for(picture, person)
        if event_id is None:
            return None
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S):
                content = await self._history.content_of(picture.room_id, event_id)
        except NotSent:
            return None
        return await self._fetched(content, MAX_PHOTO_BYTES) if is_photo(content) else None

    async def photo_for(self, picture: GalleryPicture, person: str) -> str | None:
        """The event of the photo that a picture was drawn from, if that member of its room may see it.

        Where newcomers see nothing from before they came, only who drew from a photo is sure to have seen it.
        """
        job = await self._store.job(picture.job)
        if job is None or job.photo is None or await self._store.posted_in(picture.room_id, job.photo) is not None:
            return None
        if person == picture.sender:
            return job.photo
        async with asyncio.timeout(FETCHED_WITHIN_S):
            kind, name = "m.room.history_visibility", "history_visibility"
            visibility = await self._homeserver.state_text(picture.room_id, kind, name)
        return None if visibility in ("joined", "invited") else job.photo

    async def _fetched(self, content: dict[str, Any], max_bytes: int) -> Image | None:
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S), self._at_once:
                data = await self._media.download(content, max_bytes)
        except NotSent as error:
            self._log.info(f"An image of the gallery is not there: {error}")
            return None
        return _image(data) if data is not None else None


class Cache:
    """The images that were asked for last, up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._images: OrderedDict[str, Image] = OrderedDict()

    def get(self, key: str) -> Image | None:
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def put(self, key: str, image: Image) -> None:
        # Two requests may fetch the same image.
        if (before := self._images.pop(key, None)) is not None:
            self._bytes -= len(before.data)
        self._images[key] = image
        self._bytes += len(image.data)
        while self._bytes > self._max_bytes:
            _, oldest = self._images.popitem(last=False)
            self._bytes -= len(oldest.data)


def _image(data: bytes) -> Image | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Image(data, "image/webp")
    return next((Image(data, kind) for start, kind in _SIGNATURES.items() if data.startswith(start)), None)
