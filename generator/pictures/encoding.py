"""Make what accompanies a drawn image: a thumbnail, a blurhash, a copy that fits. Knows no files.

Refuses broken pictures: those of a wrong size, and those of one colour from edge to edge.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import blurhash
from PIL import Image
from PIL.Image import Resampling

from generator.api.types import Recipe
from generator.errors import DrawingFailed

THUMBNAIL_MIMETYPE = "image/jpeg"
# Element's width in the timeline, on a screen with two pixels a point.
THUMBNAIL_SIDE = 800
# Below this JPEG's blocks show on flat colours; above it the copy is hardly smaller than the picture.
THUMBNAIL_QUALITY = 85

# Nine large pictures then take less than a megabyte, and small letters stay readable.
SHEET_MIMETYPE = "image/jpeg"
SHEET_QUALITY = 92

# What a copy that must fit is tried at: above the first a JPEG grows without a visible gain, and below the last its
# blocks show, so that a smaller size looks better.
FITTING_QUALITIES = (98, 96, 94, 92, 90, 87, 84, 81, 78)
FITTING_STEP = 0.85

# Four by three is the shape that Matrix clients use; more pixels than these do not change the hash.
BLURHASH_COMPONENTS = (4, 3)
BLURHASH_PIXELS = (32, 32)


def check(image: Image.Image, recipe: Recipe) -> None:
    """Check that the image has the recipe's size and more than one colour. Raises DrawingFailed."""
    if image.mode != "RGB" or image.size != (recipe.width, recipe.height):
        raise DrawingFailed(
            "bad_picture",
            f"That came out as {image.width}×{image.height} {image.mode}, not {recipe.width}×{recipe.height}.",
        )
    if all(low == high for low, high in _extrema(image)):
        raise DrawingFailed("bad_picture", "That came out as one plain colour. Another --seed may work.")


def enlarged(image: Image.Image, times: int) -> Image.Image:
    """Enlarge a picture smoothly. Deterministic: the same picture gives the same pixels."""
    return image if times == 1 else image.resize((image.width * times, image.height * times), Resampling.LANCZOS)


def thumbnail(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """Make a small copy; return its bytes and size. The same image gives the same bytes, so it need not be stored."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Resampling.LANCZOS)
    return _jpeg(small, THUMBNAIL_QUALITY), small.size


def described(image: Image.Image, thumbnail: tuple[bytes, tuple[int, int]]) -> dict[str, Any]:
    """Return the fields of an ``ImageFile`` that do not depend on the file."""
    data, (width, height) = thumbnail
    return {
        "width": image.width,
        "height": image.height,
        "blurhash": blurhash_of(image),
        "thumbnail_width": width,
        "thumbnail_height": height,
        "thumbnail_size": len(data),
        "thumbnail_mimetype": THUMBNAIL_MIMETYPE,
    }


def sheet(image: Image.Image) -> bytes:
    """Encode a contact sheet as JPEG."""
    return _jpeg(image, SHEET_QUALITY)


@dataclass(frozen=True)
class Fitted:
    """A copy of a picture that fits into a number of bytes."""

    data: bytes
    mimetype: str
    width: int
    height: int


def fitted(data: bytes, max_bytes: int) -> Fitted:
    """Encode a picture into so many bytes, as little changed as possible: exact, then by quality, then by size."""
    with Image.open(io.BytesIO(data)) as file:
        image = file.convert("RGB")
    exact = io.BytesIO()
    image.save(exact, "WEBP", lossless=True, quality=20, method=2)
    if exact.tell() <= max_bytes:
        return Fitted(exact.getvalue(), "image/webp", *image.size)
    # Whether a size can fit is asked first, since a picture that must shrink would be encoded many times.
    while len(_jpeg(image, FITTING_QUALITIES[-1], subsampling=0)) > max_bytes:
        width, height = image.size
        image = image.resize((int(width * FITTING_STEP), int(height * FITTING_STEP)), Resampling.LANCZOS)
    encoded = (_jpeg(image, quality, subsampling=0) for quality in FITTING_QUALITIES)
    return Fitted(next(copy for copy in encoded if len(copy) <= max_bytes), "image/jpeg", *image.size)


def preview(image: Image.Image) -> str:
    """Encode a small picture as a data: URL."""
    data = base64.b64encode(_jpeg(image, THUMBNAIL_QUALITY)).decode()
    return f"data:{THUMBNAIL_MIMETYPE};base64,{data}"


def blurhash_of(image: Image.Image) -> str:
    width, height = BLURHASH_PIXELS
    data = image.resize(BLURHASH_PIXELS, Resampling.BILINEAR).tobytes()
    pixels = [[data[3 * (y * width + x) :][:3] for x in range(width)] for y in range(height)]
    return str(blurhash.encode(pixels, *BLURHASH_COMPONENTS))


def _jpeg(image: Image.Image, quality: int, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return image.getextrema()  # type: ignore[return-value]  # of an RGB image: one pair a band
