"""Encode PNG on all cores, in strips, each filtered and deflated in its own thread. Pillow uses one core.

Source: Portable Network Graphics specification, third edition; section 9 has the filters, section 10 the zlib stream
over all IDAT chunks. Strips join to one stream as in pigz: all but the last end with a sync flush, at the border of a
byte. Deflate searches runs of equal bytes only: in filtered pixels longer matches take longer and find less.
"""

import io
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo, putchunk

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1
# The header of a zlib stream: deflate, a window of 32 KiB, the fastest level (RFC 1950).
_ZLIB_HEADER = b"\x78\x01"
_CHANNELS = 3

# Below this a thread costs more than it saves.
_LEAST_ROWS = 64

Bytes = NDArray[np.uint8]


def encode(image: Image, texts: Mapping[str, str]) -> bytes:
    """Encode an RGB image with text chunks: iTXt for a text beyond Latin-1, else tEXt."""
    pixels = np.asarray(image)
    height, width, channels = pixels.shape
    assert channels == _CHANNELS, image.mode
    rows = pixels.reshape(height, width * channels)
    strips = max(1, min(os.cpu_count() or 1, height // _LEAST_ROWS))
    edges = [height * n // strips for n in range(strips + 1)]
    with ThreadPoolExecutor(strips) as pool:
        filtered = list(pool.map(lambda n: _filtered(rows, edges[n], edges[n + 1]), range(strips)))
        deflated = list(pool.map(lambda n: _deflated(filtered[n], is_last=n == strips - 1), range(strips)))
    checksum = 1
    for strip in filtered:
        checksum = zlib.adler32(strip, checksum)

    out = io.BytesIO()
    out.write(_SIGNATURE)
    # Eight bits a channel, RGB, deflate, adaptive filters, not interlaced.
    putchunk(out, b"IHDR", width.to_bytes(4), height.to_bytes(4), bytes([8, 2, 0, 0, 0]))
    for kind, data in _text_chunks(texts):
        putchunk(out, kind, data)
    putchunk(out, b"IDAT", _ZLIB_HEADER, *deflated, checksum.to_bytes(4))
    putchunk(out, b"IEND")
    return out.getvalue()


def _filtered(rows: Bytes, first: int, last: int) -> bytes:
    """Filter the rows of one strip, each with the filter that leaves the least; its number precedes the row.

    The least sum of absolute differences is the specification's own heuristic (section 12.7).
    """
    here = rows[first:last]
    above = np.zeros_like(here)
    above[0 if first else 1 :] = rows[first - 1 if first else 0 : last - 1]
    left, above_left = np.zeros_like(here), np.zeros_like(here)
    left[:, _CHANNELS:], above_left[:, _CHANNELS:] = here[:, :-_CHANNELS], above[:, :-_CHANNELS]
    average = (left & above) + ((left ^ above) >> 1)
    filters = np.stack([here - left, here - above, here - average, here - _paeth(left, above, above_left)])
    # As a signed byte, 255 is as near to 0 as 1 is.
    remains = np.abs(filters.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    best = remains.argmin(axis=0)
    chosen = np.empty((len(here), here.shape[1] + 1), np.uint8)
    # Filter 0, which changes nothing, never pays for a picture.
    chosen[:, 0] = best + 1
    chosen[:, 1:] = filters[best, np.arange(len(here))]
    return chosen.tobytes()


def _paeth(left: Bytes, above: Bytes, above_left: Bytes) -> Bytes:
    """Choose the neighbour that is nearest to ``left + above - above_left``, per byte."""
    a, b, c = (side.astype(np.int16) for side in (left, above, above_left))
    to_left, to_above, to_both = np.abs(b - c), np.abs(a - c), np.abs(a + b - c - c)
    return np.where(
        (to_left <= to_above) & (to_left <= to_both), left, np.where(to_above <= to_both, above, above_left)
    )


def _deflated(data: bytes, *, is_last: bool) -> bytes:
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return stream.compress(data) + stream.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)


def _text_chunks(texts: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    for kind, data, *_ in info.chunks:
        yield kind, data
