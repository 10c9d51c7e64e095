"""A picture that is larger than a homeserver takes comes as a copy that fits, as little changed as possible."""

import io

import pytest
from PIL import Image, ImageFilter

from generator.api.limits import MIN_FITTING_BYTES
from generator.pictures.encoding import FITTING_QUALITIES, fitted


def png(image: Image.Image, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def noise(side: int) -> Image.Image:
    return Image.effect_noise((side, side), 80).convert("RGB")


def photo(side: int) -> Image.Image:
    """Nearly as hard to encode as a photo: soft shapes with grain."""
    return Image.blend(noise(side).filter(ImageFilter.GaussianBlur(6)), noise(side), 0.05)


def test_what_needs_no_change_keeps_its_pixels():
    image = photo(400)
    data = png(image, compress_level=0)
    copy = fitted(data, len(data) // 2)
    assert (copy.mimetype, copy.width, copy.height) == ("image/webp", 400, 400)
    assert Image.open(io.BytesIO(copy.data)).convert("RGB").tobytes() == image.tobytes()


@pytest.mark.parametrize("of_png", [0.3, 0.5])
def test_quality_goes_first_and_no_more_of_it_than_needed(of_png):
    image = photo(600)
    data = png(image)
    max_bytes = int(len(data) * of_png)
    copy = fitted(data, max_bytes)
    assert (copy.mimetype, copy.width, copy.height) == ("image/jpeg", 600, 600)
    assert len(copy.data) <= max_bytes
    sizes = {}
    for quality in FITTING_QUALITIES:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, subsampling=0)
        sizes[quality] = out.tell()
    assert len(copy.data) == max(size for size in sizes.values() if size <= max_bytes)


def test_then_size_goes_and_the_largest_limit_that_a_homeserver_has_is_kept():
    copy = fitted(png(noise(800)), MIN_FITTING_BYTES)
    assert len(copy.data) <= MIN_FITTING_BYTES
    assert copy.width == copy.height < 800
    assert Image.open(io.BytesIO(copy.data)).size == (copy.width, copy.height)
    # A size larger by one step would not fit.
    assert len(copy.data) > MIN_FITTING_BYTES // 3
