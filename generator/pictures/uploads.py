"""Uploaded pictures to draw from, kept under their hash until they are drawn from.

Everything here blocks: call it in a thread. Knows neither jobs nor HTTP.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

from generator.api.types import SentImage
from generator.errors import Refused
from generator.pictures.image_files import image_size, read_image
from generator.pictures.store import delete_older_than, make_private, write_whole

# Spares people who draw from the same picture again another upload.
KEPT_DAYS = 7


class Uploads:
    """A folder of uploaded pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, sha256: str, data: bytes) -> SentImage:
        """Check an upload and write it. Raises Refused if it is not a picture, is too large, or has another hash."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("wrong_hash", "The image does not have this SHA-256.", field="sha256", value=sha256)
        width, height = read_image(data).size
        try:
            make_private(self._folder)
            write_whole(self._folder / sha256, data)
        except OSError as error:
            message = f"The picture to draw from could not be written to disk: {error.strerror}."
            raise Refused("not_written", message, field="sha256", value=sha256) from error
        return SentImage(sha256=sha256, width=width, height=height)

    def size(self, sha256: str) -> tuple[int, int]:
        """Return width and height of the upload, turned upright. Raises Refused if it is missing."""
        return image_size(self.read(sha256))

    def read(self, sha256: str) -> bytes:
        """Return the upload's bytes. Raises Refused if it is missing."""
        return self.find(sha256).read_bytes()

    def find(self, sha256: str) -> Path:
        """Return the upload's path. Raises Refused if it is missing."""
        path = self._folder / sha256
        if not path.is_file():
            message = "The picture to draw from is not here any more; send it again."
            raise Refused("image_missing", message, field="image", value=sha256)
        return path

    def delete_old(self, *, but: Collection[str]) -> None:
        """Delete uploads after KEPT_DAYS, except ``but``, which are yet to be drawn from.

        Every picture keeps its own copy of the image that it was drawn from (see `generator.pictures.store`).
        """
        if self._folder.is_dir():
            delete_older_than(KEPT_DAYS, (path for path in self._folder.iterdir() if path.name not in but))
