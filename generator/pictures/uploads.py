"""Pictures to draw from, kept by their hash until they have been drawn from.

Everything here blocks, so it is called in a thread. Knows neither jobs nor HTTP.
"""

import hashlib
import threading
import time
from collections.abc import Collection
from pathlib import Path

from generator.api.types import SentImage
from generator.errors import Refused
from generator.pictures.image_files import image_size, read_image
from generator.pictures.store import write_whole

# One that is sent again, for the next picture from it, need not be.
KEPT_DAYS = 7


class Images:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A photo of a large camera is half a gigabyte while it is decoded.
        self._one_at_a_time = threading.Lock()

    def keep(self, sha256: str, data: bytes) -> SentImage:
        """Raises Refused for what is no picture, is too large, or has another hash."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("wrong_hash", "The image does not have this SHA-256.", field="sha256", value=sha256)
        with self._one_at_a_time:
            width, height = read_image(data).size
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / sha256, data)
        except OSError as error:
            message = f"The picture to draw from could not be written to disk: {error.strerror}."
            raise Refused("not_written", message, field="sha256", value=sha256) from error
        return SentImage(sha256=sha256, width=width, height=height)

    def size(self, sha256: str) -> tuple[int, int]:
        """Width and height as it is looked at. Raises Refused where it is not here."""
        return image_size(self.read(sha256))

    def read(self, sha256: str) -> bytes:
        """Raises Refused where it is not here."""
        return self.find(sha256).read_bytes()

    def find(self, sha256: str) -> Path:
        """The file. Raises Refused where it is not here."""
        path = self._folder / sha256
        if not path.is_file():
            message = "The picture to draw from is not here any more; send it again."
            raise Refused("image_missing", message, field="image", value=sha256)
        return path

    def delete_old(self, *, but: Collection[str]) -> None:
        """Those that were sent long ago, except ``but``, which are yet to be drawn from. Others are beside pictures."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in but and path.lstat().st_mtime < time.time() - KEPT_DAYS * 24 * 3600:
                    path.unlink()
