"""Complete picture files that lack a few bytes, and take out of PNGs what nobody looks at.

An upload that broke off just before its end is shown whole by every viewer. Knows neither colours nor limits.
"""

import io
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

# The end of a file may lack this many bytes, or this share of them; a WebP says in its head how long it is.
MAX_MISSING_BYTES = 64
MAX_MISSING_SHARE = 0.01

# JPEG is decoded in rows of blocks; the last ones of a cut file are guessed.
MAX_GUESSED_ROWS = 32
MAX_GUESSED_SHARE = 0.05

# By its third scan a progressive JPEG shows the whole picture.
SCANS_THAT_SHOW_ALL = 3

# The largest profiles of printers have some megabytes; texts are not read at all.
MAX_PROFILE_BYTES = 8 * 1024 * 1024

# Bits that mean something in any JPEG, and something else than an end.
_ANY_OTHER_END = bytes.fromhex("55aa5a3cc3") * 20

_PNG, _END_OF_JPEG, _START_OF_SCAN = b"\x89PNG\r\n\x1a\n", b"\xff\xd9", b"\xff\xda"
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}


def ends_of_webp(data: bytes) -> tuple[bytes, ...]:
    """Return a WebP that lacks a little of its end filled up in several ways, of which most can be decoded.

    Returns any other file as it is.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return (data,)
    missing = int.from_bytes(data[4:8], "little") + 8 - len(data)
    if not 0 < missing <= max(MAX_MISSING_BYTES, len(data) * MAX_MISSING_SHARE):
        return (data,)
    return tuple(data + filler * missing for filler in (b"\x00", b"\xff", b"\x55"))


def with_end_of_jpeg(data: bytes) -> bytes | None:
    """Return a JPEG that cannot be decoded with an end, or None if it is no JPEG or lacks more than a little."""
    if data[:2] != b"\xff\xd8":
        return None
    # Half of the end's mark may be there.
    data = data.rstrip(b"\xff")
    whole = data + _END_OF_JPEG
    return whole if _guessed_rows_are_few(data, whole) else None


def _guessed_rows_are_few(data: bytes, whole: bytes) -> bool:
    """Decode a cut JPEG with two ends: the rows in which they differ are guessed."""
    with Image.open(io.BytesIO(whole), formats=("JPEG",)) as image:
        if image.info.get("progressive"):
            return data.count(_START_OF_SCAN) >= SCANS_THAT_SHOW_ALL
        guessed = np.asarray(image)
    with Image.open(io.BytesIO(data + _ANY_OTHER_END + _END_OF_JPEG), formats=("JPEG",)) as image:
        other = np.asarray(image)
    rows = len(guessed)
    first = next((row for row in range(rows) if not np.array_equal(guessed[row], other[row])), rows)
    return rows - first <= max(MAX_GUESSED_ROWS, rows * MAX_GUESSED_SHARE)


def without_texts(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG without texts and colour profile, which may be too large for Pillow, and the profile apart.

    Returns any other file as it is.
    """
    if data[: len(_PNG)] != _PNG:
        return data, None
    kept, profile = [_PNG], None
    for kind, start, end in png_chunks(data):
        if kind == b"iCCP":
            profile = _profile(data[start + 8 : end - 4])
        elif kind not in _TEXTS:
            kept.append(data[start:end])
    return b"".join(kept), profile


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk of a PNG, none of any other file; the last one may be cut."""
    if data[: len(_PNG)] != _PNG:
        return
    start = len(_PNG)
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        kind = data[start + 4 : start + 8]
        yield kind, start, min(end, len(data))
        if kind == b"IEND":
            return
        start = end


def _profile(chunk: bytes) -> bytes | None:
    """Unpack a colour profile behind its name; None if it is broken or too large."""
    packed = chunk.partition(b"\0")[2][1:]
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacking.eof else None
