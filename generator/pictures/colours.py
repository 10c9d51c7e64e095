"""Convert a picture from its own colour space to sRGB, in which models see and screens show. Knows no files."""

import io
import logging
from functools import cache
from typing import Any

from PIL import Image, ImageCms

log = logging.getLogger(__name__)

# The modes that a profile of each colour space describes.
_MODES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L"}


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB image. Without a profile, or with one that cannot be used, colours are taken as sRGB."""
    if profile:
        try:
            return _converted(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            log.info("A picture's colour profile is not used: %s", error)
    return image.convert("RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if "srgb" in ImageCms.getProfileDescription(source).lower():
        return image.convert("RGB")
    mode = _MODES.get(space)
    if mode is None:
        raise ValueError(f"it is for {space}")
    described = image if image.mode == mode else image.convert(mode)
    converted = ImageCms.profileToProfile(described, source, _srgb(), outputMode="RGB")
    assert converted is not None
    return converted


@cache
def _srgb() -> Any:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
