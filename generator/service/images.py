"""Pictures that people send to be drawn from: read with suspicion, kept by their hash until they have been drawn from.

Everything here blocks, so it is called in a thread. Knows neither jobs nor HTTP.
"""

import hashlib
import io
import time
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from generator.api import SentImage
from generator.errors import DrawingFailed, Refused
from generator.service.gallery import write_whole

# The largest files that phones send; a homeserver's own limit is usually above it.
MAX_IMAGE_BYTES = 20 * 1024 * 1024

# What phones' cameras take. Read from the file's head: nothing is decoded that has more.
MAX_IMAGE_PIXELS = 50_000_000

FORMATS = ("PNG", "JPEG", "WEBP")

# Behind the longest time that the bot lets a job wait.
KEPT_DAYS = 7


class Images:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, sha256: str, data: bytes) -> SentImage:
        """Raises Refused for what is no picture, is too large, or has another hash."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("wrong_hash", "The image does not have this SHA-256.", field="sha256", value=sha256)
        width, height = read_image(data).size
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.path(sha256), data)
        return SentImage(sha256=sha256, width=width, height=height)

    def read(self, sha256: str) -> Image.Image:
        """The picture as it is to be looked at. Raises Refused where it is not here."""
        try:
            return read_image(self.path(sha256).read_bytes())
        except FileNotFoundError as error:
            message = "The picture to draw from is not here any more; send it again."
            raise Refused("image_missing", message, field="image", value=sha256) from error

    def path(self, sha256: str) -> Path:
        return self._folder / sha256

    def delete_old(self) -> None:
        """What was sent long ago has been drawn from, and is beside those pictures."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.lstat().st_mtime < time.time() - KEPT_DAYS * 24 * 3600:
                    path.unlink()


def read_image(data: bytes) -> Image.Image:
    """RGB, turned as its EXIF says, on white where it is transparent. Raises Refused."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise _too_many_pixels()
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright)
            return upright.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise Refused("not_an_image", "That is no picture that I can read. I take PNG, JPEG and WebP.") from error


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """At that size; what is over at two sides is cut off evenly."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def read_file(path: Path) -> bytes:
    """A file that is named on the command line. Raises DrawingFailed, and Refused where it is too large."""
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise too_many_bytes()
        return path.read_bytes()
    except OSError as error:
        raise DrawingFailed("not_read", f"{path} cannot be read: {error.strerror}.") from error


def too_many_bytes() -> Refused:
    limit = MAX_IMAGE_BYTES
    return Refused("image_too_large", f"A picture to draw from can have {limit // 1024**2} MB.", limit=limit)


def _too_many_pixels() -> Refused:
    limit = MAX_IMAGE_PIXELS
    message = f"A picture to draw from can have {limit // 1_000_000} million pixels."
    return Refused("too_many_pixels", message, limit=limit)
