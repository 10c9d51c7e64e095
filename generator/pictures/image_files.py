"""Read the pictures that people send to draw from, with suspicion. Knows neither where they are kept nor who asks."""

import io
import re
from itertools import islice
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from generator.errors import Refused
from generator.pictures.colours import in_srgb, profile_of_exif
from generator.pictures.mending import ends_of_webp, png_chunks, with_end_of_jpeg, without_texts

# The largest files that phones send; a homeserver's own limit is usually higher.
MAX_IMAGE_BYTES = 20 * 1024 * 1024

# Phones' cameras take this many. Read from the file's head, so that nothing larger is ever decoded: that takes up to
# 1 GB.
MAX_IMAGE_PIXELS = 50_000_000

# While WebP is decoded, a pixel takes 24 bytes, and no camera writes it.
MAX_WEBP_PIXELS = 25_000_000

# Programs write a JPEG in some hundred parts and ten scans; each scan goes through all of the picture.
MAX_JPEG_PARTS, MAX_JPEG_SCANS = 1000, 100

# Programs write a PNG in chunks of 4 KB or more, and Pillow reads a hundred thousand chunks a second.
MAX_PNG_CHUNKS = 20_000

FORMATS = ("PNG", "JPEG", "WEBP")

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")

_SCAN, _END = 0xDA, 0xD9
# Pillow reads no length behind these.
_WITHOUT_LENGTH = {0xC8, _END, *range(0xF0, 0xFE)}

# The start of a JPEG's part, or its end; other marks stand within a scan.
_JPEG_PART = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")

# What Pillow raises for damaged files and for files of another kind.
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError)

# The EXIF orientations that turn a picture by a quarter.
_ORIENTATION = 0x0112
_QUARTER_TURNS = range(5, 9)


def image_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the file's head, turned upright. Raises Refused."""
    with _opened(ends_of_webp(without_texts(data)[0])[0]) as image:
        width, height = image.size
        return (height, width) if _orientation(image) in _QUARTER_TURNS else (width, height)


def read_image(data: bytes) -> Image.Image:
    """Decode to sRGB: upright, and white where it was transparent. Completes a cut end. Raises Refused."""
    data, profile = without_texts(data)
    with _loaded(data) as image:
        profile = profile or image.info.get("icc_profile") or profile_of_exif(image)
        upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        if upright.mode.startswith("I"):
            # 16 bits of grey: convert() would clip instead of scale.
            upright = upright.point(lambda value: value / 256).convert("L")
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return in_srgb(upright, profile)


def _loaded(data: bytes) -> Image.Image:
    """Open and decode a picture, with its end guessed if a few bytes are missing. Raises Refused."""
    for whole in ends_of_webp(data):
        image = _opened(whole)
        try:
            image.load()
        except UNREADABLE as error:
            problem = error
        else:
            return image
    return _with_guessed_end(data, problem)


def _with_guessed_end(data: bytes, error: Exception) -> Image.Image:
    try:
        whole = with_end_of_jpeg(data)
        if whole is not None:
            image = _opened(whole)
            image.load()
            return image
    except UNREADABLE as still:
        error = still
    raise _damaged() from error


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale to that size, and crop two opposite sides evenly where the shapes differ."""
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def read_file(path: Path) -> bytes:
    """Read the bytes of a picture to draw from. Raises Refused if it is too large or cannot be read."""
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise too_many_bytes()
        return path.read_bytes()
    except OSError as error:
        raise Refused("image_missing", f"{path} cannot be read: {error.strerror}.") from error


def too_many_bytes() -> Refused:
    limit = MAX_IMAGE_BYTES
    return Refused("image_too_large", f"A photo takes up to {limit // 1024**2} MB.", limit=limit)


def _opened(data: bytes) -> Image.Image:
    """Read the file's head and check its format and size. Raises Refused."""
    if _is_endless_jpeg(data) or _is_endless_png(data):
        raise _damaged()
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (UnidentifiedImageError, *UNREADABLE) as error:
        raise _not_an_image(data) from error
    limit = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_IMAGE_PIXELS
    if image.width * image.height > limit:
        raise _too_many_pixels(image.width * image.height, limit)
    return image


def _is_endless_jpeg(data: bytes) -> bool:
    """Whether a JPEG is made to be read for hours: a scan takes a few bytes, and Pillow joins EXIF again and again."""
    if not data.startswith(b"\xff\xd8"):
        return False
    at = parts = scans = 0
    while part := _JPEG_PART.search(data, at):
        kind, at = part[1][0], part.end()
        # Before the first scan, Pillow reads on behind an end.
        if kind == _END and scans:
            return False
        parts, scans = parts + 1, scans + (kind == _SCAN)
        if parts > MAX_JPEG_PARTS or scans > MAX_JPEG_SCANS:
            return True
        if kind not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2])
    return False


def _is_endless_png(data: bytes) -> bool:
    return next(islice(png_chunks(data), MAX_PNG_CHUNKS, None), None) is not None


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1, upright, if the EXIF cannot be read, since only the picture matters."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
        # Turning the picture rewrites the rest of the EXIF, so that must work, too.
        image.getexif().tobytes()
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _not_an_image(data: bytes) -> Refused:
    if data.startswith(_SIGNATURES) or data[8:12] == b"WEBP":
        return _damaged()
    return Refused("not_an_image", "I can't read that picture. I take PNG, JPEG and WebP.")


def _damaged() -> Refused:
    return Refused("not_an_image", "That picture is damaged. Please send it again.")


def _too_many_pixels(pixels: int | None = None, limit: int = MAX_IMAGE_PIXELS) -> Refused:
    has = "; that one has more" if pixels is None else f"; that one has {pixels / 1_000_000:.0f} million"
    message = f"A photo takes up to {limit // 1_000_000} million pixels{has}."
    return Refused("too_many_pixels", message, value=pixels, limit=limit)
