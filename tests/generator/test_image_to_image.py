"""Drawing from a picture equals diffusers' pipelines. Uploads are checked, and kept beside the result."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline
from PIL import Image

from generator.__main__ import main
from generator.api.limits import DEFAULT_STRENGTH
from generator.api.types import RecipeRequest, Slots
from generator.engine.diffusion import DiffusionEngine
from generator.errors import Refused
from generator.models.cards import SAMPLERS
from generator.models.registry import capabilities
from generator.pictures.image_files import MAX_IMAGE_BYTES, fitted, image_size, read_image
from generator.pictures.uploads import KEPT_DAYS, Uploads
from generator.recipes.validation import resolve
from generator.settings import Settings
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.running_generator import recipe_of
from tests.helpers.stand_in import stand_in_settings
from tests.helpers.stock import SCHEDULERS

HASH = "0" * 64


def photo(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(3).integers(256, size=(height, width, len(mode)), dtype=np.uint8)
    return Image.fromarray(noise, mode).resize((width, height))


def encoded(image: Image.Image, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- the engine


@pytest.fixture(scope="module")
def engine(miniatures) -> DiffusionEngine:
    return engine_of(miniatures)


def from_image(engine: DiffusionEngine, asked, image: Path):
    drawing = engine.start(Draw("drawing", asked, image=image))
    while drawing.step < drawing.steps:
        engine.step([drawing])
    return drawing


@pytest.mark.parametrize("strength", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("name", ["ssd-1b", "sd-2.1"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_drawing_from_an_image_equals_the_stock_pipeline(engine, miniatures, tmp_path, name, sampler, strength):
    kind = StableDiffusionImg2ImgPipeline if name.startswith("sd-") else StableDiffusionXLImg2ImgPipeline
    options = {"safety_checker": None} if name.startswith("sd-") else {"add_watermarker": False}
    pipeline = kind.from_pretrained(miniatures[name]["folder"], use_safetensors=True, **options)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = SCHEDULERS[sampler](pipeline.scheduler.config)
    asked = recipe_of(subject=("otter",)).model_copy(
        update={"model": name, "sampler": sampler, "steps": 6, "image": HASH, "strength": strength}
    )
    image = fitted(photo(), asked.width, asked.height)
    expected = pipeline(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        image=image,
        strength=strength,
        num_inference_steps=asked.steps,
        guidance_scale=asked.guidance_scale,
        generator=torch.Generator().manual_seed(asked.seed),
        output_type="latent",
    ).images
    image.save(tmp_path / "image.png")
    drawing = from_image(engine, asked, tmp_path / "image.png")
    deviation = float((drawing.latents - expected).abs().max() / expected.std())
    assert deviation < 1e-4
    assert drawing.steps == asked.steps_drawn + (sampler == "pndm")


def test_little_strength_keeps_the_picture_and_drawings_from_images_share_calls(engine, tmp_path):
    image = tmp_path / "image.png"
    photo().resize((4, 4)).save(image)
    asked = [
        recipe_of(subject=("otter",)).model_copy(
            update={"model": "ssd-1b", "steps": 10, "width": 64, "height": 96, **change}
        )
        for change in ({"image": HASH, "strength": 0.1}, {"image": HASH, "strength": 0.9}, {})
    ]
    draws = [Draw("one", one, image=image if one.image else None) for one in asked]
    alone = []
    for draw in draws:
        drawing = engine.start(draw)
        start = drawing.latents.clone()
        while drawing.step < drawing.steps:
            engine.step([drawing])
        alone.append(drawing.latents)
        if draw.recipe.strength == 0.1:
            near = (drawing.latents - start).abs().mean()
        elif draw.recipe.strength == 0.9:
            assert (drawing.latents - start).abs().mean() > near
    engine.models.get("ssd-1b").at_once[draws[0].recipe.pixels] = 3
    drawings = [engine.start(draw) for draw in draws]
    while waiting := [drawing for drawing in drawings if drawing.step < drawing.steps]:
        engine.step(waiting)
    assert max(drawing.most_together for drawing in drawings) == 3
    for drawing, latents in zip(drawings, alone, strict=True):
        torch.testing.assert_close(drawing.latents, latents, atol=1e-4, rtol=1e-3)


# ---- requests


def resolved(image_size=(400, 300), **more):
    here = capabilities(Settings(device="cpu"))
    request = RecipeRequest(slots=Slots(subject=("otter",)), **more)
    cards = {card.name: card for card in here.models}
    return resolve(request, cards=cards, default_model="ssd-1b", job_id="job", image_size=image_size)


@pytest.mark.parametrize(
    ("image_size", "size"),
    [
        ((400, 300), (880, 664)),
        ((300, 400), (664, 880)),
        ((1000, 1000), (768, 768)),
        ((9000, 10), (1536, 384)),
        ((10, 9000), (384, 1536)),
    ],
)
def test_a_picture_has_the_shape_of_the_image_and_the_models_own_number_of_pixels(image_size, size):
    recipe = resolved(image_size, image=HASH)
    assert (recipe.width, recipe.height) == size
    assert recipe.strength == DEFAULT_STRENGTH
    assert recipe.pixels <= 768 * 768
    explicit = resolved(image_size, image=HASH, width=512, height=640)
    assert (explicit.width, explicit.height) == (512, 640)


def test_a_picture_from_an_image_may_be_half_larger_than_the_models_own_size():
    assert resolved(image=HASH, width=1152, height=1152).pixels == 1152**2
    assert resolved(image=HASH, width=960, height=1344).height == 1344
    with pytest.raises(Refused, match="1160×1160 is too large: ssd-1b draws up to 1,327,104"):
        resolved(image=HASH, width=1160, height=1160)
    with pytest.raises(Refused, match="draws up to 1,048,576"):
        resolved(None, width=1152, height=1152)
    assert resolved(image=HASH, model="pocket", width=96, height=96).pixels == 96**2
    with pytest.raises(Refused, match="draws sides of 64 to 96 pixels"):
        resolved(image=HASH, model="pocket", width=128)
    with pytest.raises(Refused, match="draws 64×64 only"):
        resolved(None, model="pocket", width=96)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"strength": 0.5}, "--strength needs a photo."),
        ({"image": HASH, "strength": 0.05, "steps": 10}, "--strength goes from 0.1 to 1 with 10 steps."),
        ({"image": HASH, "steps": 1}, "--strength must be 1 with 1 step."),
    ],
)
def test_an_impossible_strength_is_refused(asked, sentence):
    with pytest.raises(Refused) as refused:
        resolved(**asked)
    assert str(refused.value) == sentence


def test_an_image_is_encoded_in_tiles_if_memory_is_short(stand_in_folder, tmp_path):
    file = tmp_path / "image"
    file.write_bytes(encoded(photo()))
    asked = recipe_of(subject=("otter",)).model_copy(
        update={"width": 768, "height": 576, "steps": 2, "image": HASH, "strength": 0.5}
    )
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu")
    whole, tiled = (
        DiffusionEngine(settings.model_copy(update={"vae_tiling": tiling}))
        .start(Draw("one", asked, image=file))
        .latents
        for tiling in ("never", "always")
    )
    assert not torch.equal(whole, tiled)
    assert (whole - tiled).abs().mean() < 0.1 * whole.abs().mean()


# ---- uploads


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_common_formats_are_read(kind):
    assert read_image(encoded(photo(), kind)).size == (96, 64)


def test_a_picture_is_rotated_by_its_exif_and_transparency_becomes_white():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(photo(), "JPEG", exif=exif)
    assert read_image(turned).size == image_size(turned) == (64, 96)
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert read_image(encoded(clear)).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (8, 8))
    assert read_image(encoded(palette, transparency=0)).mode == "RGB"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_16_bit_grey_and_a_broken_exif_are_read():
    grey = Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16))
    assert read_image(encoded(grey)).getpixel((0, 0)) == (128, 128, 128)
    for broken in (b"Exif\x00\x00rubbish", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x09" + bytes(8)):
        data = encoded(photo(), "JPEG", exif=broken)
        assert read_image(data).size == image_size(data) == (96, 64)


def test_the_lowest_strength_named_in_the_refusal_can_be_drawn():
    for steps in range(1, 101):
        with pytest.raises(Refused) as refused:
            resolved(image=HASH, strength=0.001, steps=steps, model="ssd-1b")
        assert resolved(image=HASH, strength=refused.value.error.limit[0], steps=steps).steps_drawn >= 1


@pytest.mark.parametrize(
    "data",
    [b"", b"not a picture", encoded(photo())[:-40], encoded(photo())[:20], b"GIF89a" + bytes(20), b"<svg/>"],
    ids=["empty", "text", "cut", "head", "gif", "svg"],
)
def test_an_unreadable_picture_is_refused_with_a_sentence(data):
    is_png = data.startswith(b"\x89PNG")
    with pytest.raises(Refused, match="That picture is damaged" if is_png else "I can.t read that picture"):
        read_image(data)


def test_gif_is_refused():
    with pytest.raises(Refused, match="I take PNG, JPEG and WebP"):
        read_image(encoded(photo(), "GIF"))


@pytest.mark.parametrize("sides", [(8000, 8000), (30000, 30000)])
def test_a_decompression_bomb_is_refused_by_its_header(sides):
    """A few kilobytes that decode to gigabytes are refused before decoding."""
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = sides[0].to_bytes(4, "big") + sides[1].to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(Refused, match=r"takes up to 50 million pixels; that one has (64 million|more)"):
        read_image(bytes(data))


def test_a_webp_is_refused_with_fewer_pixels():
    data = encoded(Image.new("L", (5200, 5000)), "WEBP", method=0)
    with pytest.raises(Refused, match="takes up to 25 million pixels; that one has 26 million"):
        read_image(data)


PEAK = """
import sys
from pathlib import Path
from generator.pictures.image_files import read_image
data = Path(sys.argv[1]).read_bytes()
peak_kb = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak_kb()
read_image(data)
print((peak_kb() - before) / 1024**2)
"""


@pytest.mark.parametrize(("kind", "side"), [("WEBP", 5000), ("PNG", 7071)])
def test_the_largest_photo_is_decoded_within_a_gigabyte(tmp_path, kind, side):
    """Turned and transparent, which takes the most."""
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"method": 0} if kind == "WEBP" else {"compress_level": 1}
    image = Image.new("RGBA", (side, side), (9, 99, 199, 100))
    (tmp_path / "photo").write_bytes(encoded(image, kind, exif=exif, **more))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "photo")]
    ended = subprocess.run(command, env={"PYTHONPATH": str(Path.cwd())}, capture_output=True, check=True)
    assert 0.2 < float(ended.stdout) < 1


def test_images_are_kept_for_some_days(tmp_path):
    kept = Uploads(tmp_path / "images")
    kept.delete_old(but=())
    data = encoded(photo())
    kept.keep(sha256(data), data)
    kept.delete_old(but=())
    os.utime(kept.find(sha256(data)), (time.time() - (KEPT_DAYS + 1) * 24 * 3600,) * 2)
    kept.delete_old(but={sha256(data)})
    assert kept.read(sha256(data)) == data, "an open job still needs it"
    kept.delete_old(but=())
    with pytest.raises(Refused, match="is not here any more; send it again"):
        kept.find(sha256(data))


def test_an_image_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "images").write_text("in the way")
    data = encoded(photo())
    with pytest.raises(Refused, match="could not be written to disk"):
        Uploads(tmp_path / "images").keep(sha256(data), data)


# ---- the service


async def send(generator, data: bytes, name: str | None = None):
    return await generator.call("PUT", f"/v1/images/{name or sha256(data)}", data=io.BytesIO(data))


async def test_an_image_is_uploaded_drawn_from_and_kept_beside_the_picture(generator):
    data = encoded(photo(), "JPEG")
    sent = await send(generator, data)
    assert (sent.status, sent.json) == (200, {"sha256": sha256(data), "width": 96, "height": 64})
    answer = await generator.submit("job", image=sha256(data), strength=0.5)
    assert answer.status == 201
    done = await generator.end("job")
    recipe = done["pictures"][0]["recipe"]
    assert (recipe["image"], recipe["strength"]) == (sha256(data), 0.5)
    assert recipe["width"] > recipe["height"]
    text = (await generator.call("GET", "/v1/jobs/job/pictures/0/recipe")).body.decode()
    assert f"image: {sha256(data)}\nstrength: 0.5\n" in text
    (beside,) = generator.pictures.glob("otter/*.image")
    assert beside.read_bytes() == data
    # The same job again, from the files on disk.
    assert (await generator.submit("job", image=sha256(data), strength=0.5)).status == 200
    await generator.call("DELETE", "/v1/jobs/job/pictures")
    assert not list(generator.pictures.glob("otter/*"))


@pytest.mark.parametrize(
    ("data", "name", "status", "sentence"),
    [
        (b"no picture", None, 422, "I can't read that picture. I take PNG, JPEG and WebP."),
        (encoded(photo()), HASH, 422, "The image does not have this SHA-256."),
        (encoded(photo()), "..%2Fetc", 422, "The request can only have "),
        (bytes(MAX_IMAGE_BYTES + 1), None, 413, "A photo takes up to 20 MB."),
    ],
    ids=["text", "hash", "path", "large"],
)
async def test_a_bad_upload_is_refused(generator, data, name, status, sentence):
    answer = await send(generator, data, name)
    assert (answer.status, answer.json["error"]["message"].startswith(sentence)) == (status, True), answer.json
    assert not list(generator.pictures.glob(".images/*"))


async def test_a_missing_image_is_refused_before_anything_is_drawn(generator):
    answer = await generator.submit("job", image=HASH)
    assert answer.status == 422
    assert answer.json["error"]["code"] == "image_missing"


async def test_an_image_deleted_before_its_jobs_turn_fails_the_job(start_generator, monkeypatch):
    generator = await start_generator()
    data = encoded(photo())
    await send(generator, data)
    await generator.call("POST", "/v1/pause")
    await generator.submit("job", image=sha256(data))
    Uploads(generator.pictures / ".images").find(sha256(data)).unlink()
    await generator.call("POST", "/v1/resume")
    ended = await generator.end("job")
    assert (ended["state"], ended["error"]["code"]) == ("failed", "image_missing")
    assert str(generator.pictures) not in ended["error"]["message"]


# ---- the command line


def test_the_command_line_draws_from_a_picture_and_again_from_its_recipe(tmp_path, capsys):
    settings = tmp_path / "generator.yml"
    settings.write_text(json.dumps({"device": "cpu", "default_model": "pocket"}))
    source = tmp_path / "photo.jpg"
    source.write_bytes(encoded(photo(), "JPEG"))
    draw = ["--settings", str(settings), "draw"]
    made = [*draw, "otter", "--image", str(source), "--strength", "0.5", "--steps", "2", "--out", str(tmp_path / "a")]
    assert main(made) == 0
    first, recipe = capsys.readouterr().out.split()
    assert "strength: 0.5" in Path(recipe).read_text()
    assert main([*draw, "--recipe", recipe, "--out", str(tmp_path / "b")]) == 0
    second = capsys.readouterr().out.split()[0]
    assert Image.open(first).tobytes() == Image.open(second).tobytes()
    Path(recipe).with_suffix(".image").write_bytes(encoded(photo(64, 64)))
    assert main([*draw, "--recipe", recipe, "--out", str(tmp_path / "b")]) == 1
    assert "is not the one that it was drawn from" in capsys.readouterr().err
    assert main([*draw, "otter", "--image", str(tmp_path / "nowhere.png")]) == 1
    assert "nowhere.png cannot be read" in capsys.readouterr().err
