"""Convert a picture from its own colour space to sRGB, in which models see and screens show. Knows no files."""

import io
import logging
import struct
from functools import cache
from typing import Any

from PIL import ExifTags, Image, ImageCms

log = logging.getLogger(__name__)

# The modes that a profile of each colour space describes.
_MODES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L"}

# Cameras put no profile beside Adobe RGB, but this name of the file's rules (DCF 2.0), or a gamma of 2.2 beside a space
# other than sRGB (EXIF 2.3).
_ADOBE_RGB_RULES = "R03"
_NOT_SRGB = 0xFFFF
_ADOBE_RGB_GAMMA = 2.2
# Adobe RGB (1998): its primaries under D50, and its gamma.
_D50 = (0.9642, 1.0, 0.8249)
_PRIMARIES = {
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}
_GAMMA = 563 / 256


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB image. Without a profile, or with one that cannot be used, colours are taken as sRGB."""
    if profile:
        try:
            return _converted(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            log.info("A picture's colour profile is not used: %s", error)
    return image.convert("RGB")


def profile_of_exif(image: Image.Image) -> bytes | None:
    """Return Adobe RGB's profile if the picture's EXIF names that space, else None."""
    try:
        exif = image.getexif()
        taken, rules = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.Interop)
        is_adobe = str(rules.get(ExifTags.Interop.InteropIndex, "")).strip("\0 ") == _ADOBE_RGB_RULES or (
            taken.get(ExifTags.Base.ColorSpace) == _NOT_SRGB
            and abs(float(taken.get(ExifTags.Base.Gamma, 0)) - _ADOBE_RGB_GAMMA) < 0.01
        )
    except Exception as error:
        # EXIF holds anything at all; only the picture matters.
        log.info("A picture's EXIF is not used: %s", type(error).__name__)
        return None
    return _adobe_rgb() if is_adobe else None


@cache
def _adobe_rgb() -> bytes:
    """Write the profile, of version 2 of the ICC's format: a matrix and a gamma."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 0x10000)) for value in values)

    name = b"Adobe RGB (1998)\0"
    gamma = b"curv" + struct.pack(">4xIHxx", 1, round(_GAMMA * 256))
    tags = {
        b"desc": b"desc" + struct.pack(">4xI", len(name)) + name.ljust(len(name) + 81, b"\0"),
        b"wtpt": b"XYZ " + bytes(4) + fixed(*_D50),
        **{tag: b"XYZ " + bytes(4) + fixed(*primary) for tag, primary in _PRIMARIES.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (head + fixed(*_D50)).ljust(128, b"\0") + table + body


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
