"""Photos as phones and cameras send them: cut by some bytes, in wide colour spaces, with large profiles and texts."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from generator.errors import Refused
from generator.pictures.image_files import image_size, read_image

SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1, (1 - x - y) / y])


def to_pcs(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The matrix from linear RGB to XYZ as seen under D50, which profiles use."""
    columns = np.array([xyz(*primary) for primary in primaries]).T
    columns = columns * np.linalg.solve(columns, xyz(*D65))
    scale = np.diag((BRADFORD @ xyz(*D50)) / (BRADFORD @ xyz(*D65)))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ columns


def profile(primaries: tuple[tuple[float, float], ...], *, gamma: float = 2.2, padding: int = 0) -> bytes:
    """A colour profile of version 2, as the ICC specifies it: a matrix and a gamma."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = b"made for a test"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67)
    columns = to_pcs(primaries).T
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text\0\0\0\0none\0\0\0\0" + np.random.default_rng(0).bytes(padding),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*xyz(*D50)),
        **{
            name: b"XYZ \0\0\0\0" + fixed(*column)
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        },
        **{name: b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256)) for name in (b"rTRC", b"gTRC", b"bTRC")},
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x", at + len(body), b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    return (head + fixed(*xyz(*D50))).ljust(128, b"\0") + table + body


def in_space(image: np.ndarray, primaries: tuple[tuple[float, float], ...], gamma: float = 2.2) -> Image.Image:
    """An sRGB image as a camera writes it in another space, computed without a colour library."""
    encoded = image / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    other = linear @ to_pcs(SRGB_PRIMARIES).T @ np.linalg.inv(to_pcs(primaries)).T
    return Image.fromarray((np.clip(other, 0, 1) ** (1 / gamma) * 255).round().astype(np.uint8))


def photo(height: int = 384, width: int = 512) -> np.ndarray:
    """A smooth picture with some noise, as photos have it."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([80 + 60 * np.sin(x / 90), 110 + 50 * np.cos(y / 70), 120 + 60 * np.sin((x + y) / 120)], axis=2)
    return (colours + np.random.default_rng(1).normal(0, 3, colours.shape)).clip(0, 255).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **more)
    return out.getvalue()


def difference(data: bytes, image: np.ndarray) -> float:
    return float(np.abs(np.asarray(read_image(data)).astype(float) - image).mean())


KINDS = [
    *(("JPEG", {"quality": 92}), ("JPEG", {"quality": 92, "progressive": True}), ("PNG", {})),
    *(("WEBP", {"quality": 92}), ("WEBP", {"lossless": True})),
]


@pytest.mark.parametrize(("kind", "how"), KINDS)
@pytest.mark.parametrize("cut", [*range(1, 21)])
def test_a_photo_that_lacks_its_last_bytes_is_drawn_from(kind, how, cut):
    data = encoded(photo(), kind, **how)
    assert difference(data[:-cut], np.asarray(read_image(data))) < 4
    assert image_size(data[:-cut]) == (512, 384)


@pytest.mark.parametrize(("kind", "how"), [kind for kind in KINDS if not kind[1].get("progressive")])
def test_a_photo_that_lacks_a_half_is_called_damaged(kind, how):
    data = encoded(photo(), kind, **how)
    with pytest.raises(Refused, match=r"^That picture is damaged\. Please send it again\.$"):
        read_image(data[: len(data) // 2])


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_in_a_wide_colour_space_keeps_its_colours(primaries, kind):
    how = {"quality": 100} if kind != "PNG" else {}
    data = encoded(in_space(photo(), primaries), kind, icc_profile=profile(primaries), **how)
    untagged = encoded(in_space(photo(), primaries), kind, **how)
    assert difference(data, photo()) < 2.5 < difference(untagged, photo())


def exif(*, space: int, rules: str = "", gamma: float | None = None) -> bytes:
    """The EXIF of a camera that says so in tags alone."""
    written = Image.Exif()
    written.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = space
    if gamma is not None:
        written.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.Gamma] = gamma
    if rules:
        written.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: rules}
    return written.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tags", [{"space": 65535, "rules": "R03"}, {"space": 65535, "gamma": 2.2}])
def test_a_photo_whose_exif_alone_names_adobe_rgb_keeps_its_colours(kind, tags):
    how = {"quality": 100} if kind != "PNG" else {}
    data = encoded(in_space(photo(), ADOBE_RGB), kind, exif=exif(**tags), **how)
    assert difference(data, photo()) < 2.5


@pytest.mark.parametrize(
    "tags", [{"space": 1, "rules": "R98"}, {"space": 65535}, {"space": 65535, "gamma": 1.0}, {"space": 1, "gamma": 2.2}]
)
def test_other_exif_leaves_colours_as_they_are(tags):
    assert difference(encoded(photo(), exif=exif(**tags)), photo()) == 0


def test_a_profile_counts_before_exif():
    data = encoded(in_space(photo(), DISPLAY_P3), icc_profile=profile(DISPLAY_P3), exif=exif(space=65535, rules="R03"))
    assert difference(data, photo()) < 2.5


@pytest.mark.parametrize("broken", [b"Exif\0\0no tags", bytes(500)])
def test_broken_exif_is_no_reason_to_refuse_a_photo(broken):
    assert read_image(encoded(photo(), "JPEG", exif=broken)).size == (512, 384)


def test_a_photo_in_srgb_keeps_its_bytes():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(encoded(photo(), icc_profile=srgb), photo()) == 0


def test_a_transparent_and_a_grey_picture_with_a_profile_are_read():
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert read_image(encoded(clear, icc_profile=profile(DISPLAY_P3))).getpixel((0, 0)) == (255, 255, 255)
    assert read_image(encoded(Image.new("L", (8, 8), 128), icc_profile=profile(DISPLAY_P3))).mode == "RGB"


@pytest.mark.parametrize("broken", [b"no profile", profile(DISPLAY_P3)[:200], bytes(500)])
def test_a_broken_profile_is_no_reason_to_refuse_a_photo(broken):
    for kind in ("JPEG", "PNG"):
        assert read_image(encoded(photo(), kind, icc_profile=broken)).size == (512, 384)


def test_a_png_with_a_large_profile_is_drawn_from_in_its_colours():
    large = profile(DISPLAY_P3, padding=1_500_000)
    data = encoded(in_space(photo(), DISPLAY_P3), icc_profile=large)
    assert difference(data, photo()) < 2.5
    assert image_size(data) == (512, 384)


def test_a_profile_of_gigabytes_is_not_unpacked():
    bomb = zlib.compress(bytes(64 * 1024 * 1024))
    data = encoded(photo())
    chunk = b"iCCP" + b"bomb\0\0" + bomb
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert read_image(data[:33] + framed + data[33:]).size == (512, 384)


@pytest.mark.parametrize("zip_text", [True, False])
def test_a_png_with_large_texts_is_drawn_from(zip_text):
    texts = PngInfo()
    for n in range(4):
        texts.add_itxt(f"workflow {n}", "x" * 3_000_000, zip=zip_text)
        texts.add_text(f"prompt {n}", "x" * 3_000_000, zip=zip_text)
    assert read_image(encoded(photo(64, 64), pnginfo=texts)).size == (64, 64)


def test_a_jpeg_with_large_texts_and_profiles_is_drawn_from():
    data = encoded(photo(), "JPEG", icc_profile=profile(DISPLAY_P3, padding=900_000), comment="x" * 60_000)
    assert read_image(data).size == (512, 384)


@pytest.mark.parametrize("kind", ["scan", "EXIF", "comment"])
def test_a_jpeg_of_countless_parts_is_refused_before_they_are_read(kind):
    """A scan of 75 bytes goes through 50 million pixels: 20 MB of them take hours."""
    data = encoded(photo(), "JPEG", progressive=True)
    parts = {
        "scan": data[data.rindex(b"\xff\xda") : -2],
        "EXIF": b"\xff\xe1\0\x12Exif\0\0" + bytes(10),
        "comment": b"\xff\xfe\0\2",
    }
    at = -2 if kind == "scan" else 2
    assert read_image(data[:at] + 50 * parts[kind] + data[at:]).size == (512, 384)
    with pytest.raises(Refused, match=r"^That picture is damaged\. Please send it again\.$"):
        image_size(data[:at] + 2000 * parts[kind] + data[at:])


@pytest.mark.parametrize("hidden", ["behind an end", "behind a mark without a length"])
def test_the_parts_of_a_jpeg_are_counted_as_pillow_reads_them(hidden):
    data, exif = encoded(photo(), "JPEG"), b"\xff\xe1\0\x12Exif\0\0" + bytes(10)
    before = {"behind an end": b"\xff\xd9", "behind a mark without a length": b"\xff\xf0"}[hidden]
    with pytest.raises(Refused, match="is damaged"):
        image_size(data[:2] + before + 3000 * exif + data[2:])


@pytest.mark.parametrize("kind", [b"zzZz", b"IDAT"])
def test_a_png_of_countless_chunks_is_refused_before_they_are_read(kind):
    data, chunk = encoded(photo()), bytes(4) + kind + struct.pack(">I", zlib.crc32(kind))
    at = data.index(b"IEND") - 4
    assert read_image(data[:at] + 10_000 * chunk + data[at:]).size == (512, 384)
    with pytest.raises(Refused, match=r"^That picture is damaged\. Please send it again\.$"):
        image_size(data[:at] + 20_000 * chunk + data[at:])


def test_a_png_with_zeros_behind_its_end_is_drawn_from():
    assert read_image(encoded(photo()) + bytes(500_000)).size == (512, 384)
