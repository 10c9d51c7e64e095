"""PNG encoded in strips: Pillow reads back the same pixels and texts."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from generator.pictures import png

SIDES = st.integers(1, 300)
TEXTS = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    max_size=3,
)


def read_back(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    image.load()
    return image


@given(width=SIDES, height=SIDES, seed=st.integers(0, 99), smooth=st.booleans(), texts=TEXTS)
def test_an_encoded_picture_reads_back_the_same(width, height, seed, smooth, texts):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3) if smooth else (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)

    back = read_back(png.encode(image, texts))

    assert (back.mode, back.size) == ("RGB", image.size)
    assert back.tobytes() == image.tobytes()
    assert back.text == texts


def test_the_picture_does_not_depend_on_the_number_of_cores(monkeypatch):
    """Only the strips differ."""
    image = Image.effect_mandelbrot((400, 300), (-2, -1, 1, 1), 50).convert("RGB")
    assert png.encode(image, {}) == png.encode(image, {})
    monkeypatch.setattr(png.os, "cpu_count", lambda: 1)
    assert read_back(png.encode(image, {})).tobytes() == image.tobytes()


def test_a_smooth_picture_is_no_larger_than_with_pillow(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((768, 768), Image.Resampling.BICUBIC)
    image.save(tmp_path / "pillow.png", compress_level=1)
    assert len(png.encode(image, {})) < (tmp_path / "pillow.png").stat().st_size
