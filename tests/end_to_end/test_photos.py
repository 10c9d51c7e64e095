"""Drawing from a photo and enlarging pictures: two people in a plain and an encrypted room."""

import hashlib
import zlib
from io import BytesIO

import numpy as np
import pytest
import yaml
from PIL import Image

from bot.easel.room.photos import GONE, NOT_HERE, NOT_READ

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 4"


def replying(to: str) -> dict:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": to}}}


def a_photo(seed: int) -> bytes:
    """Sand below and sky above, different for each seed."""
    pixels = np.full((60, 80, 3), (90, 160, 230), dtype=np.uint8)
    pixels[30:] = (230, 200, 140)
    pixels[0, 0] = seed
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


async def send_photo(talk, data: bytes, **content) -> str:
    return await talk.person.send_file(
        talk.room_id, data, filename="beach.jpg", mimetype="image/jpeg", **{"msgtype": "m.image", **content}
    )


async def test_a_photo_and_its_recipe_draw_in_their_own_room_only(rooms):
    ada, bo, *_ = rooms[True]
    data = a_photo(1)
    sha256 = hashlib.sha256(data).hexdigest()
    photo = await send_photo(bo, data)
    first = await ada.draw(f"!draw otter, beach --strength 0.5 --seed 3 {SMALL}", **replying(photo))
    assert (first.record["image"], first.record["strength"]) == (sha256, 0.5)
    plain = await ada.draw(f"!draw otter, beach --seed 3 {SMALL}")
    assert "image" not in plain.record
    assert first.pixels != plain.pixels

    # A reply to the picture and its pasted recipe draw from the same photo.
    changed = await bo.draw("!draw +scarf", **replying(first.picture.event_id))
    assert (changed.record["image"], changed.record["strength"]) == (sha256, 0.5)
    again = await bo.draw(f"!draw\n```yaml\n{first.yaml}\n```")
    assert again.pixels == first.pixels
    elsewhere = rooms[False][0]
    assert await elsewhere.answer(f"!draw\n```yaml\n{first.yaml}\n```") == NOT_HERE

    # A photo with the command as its caption.
    caption = await send_photo(ada, data, body=f"!draw owl {SMALL}")
    drawn = await ada.drawn(caption)
    assert (drawn.record["slots"], drawn.record["image"]) == ({"subject": ["owl"]}, sha256)
    assert drawn.record["strength"] == 0.6

    # A photo removed from the room cannot be drawn from.
    await ada.person.redact(ada.room_id, caption)
    await bo.person.redact(bo.room_id, photo)
    assert await ada.answer("!draw +hat", **replying(changed.picture.event_id)) == GONE


async def test_photos_of_all_formats_are_drawn_from_upright_and_in_the_requested_size(rooms):
    ada, bo, *_ = rooms[False]
    upright = Image.open(BytesIO(a_photo(3)))
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise by a quarter
    for kind, image, more in (
        ("PNG", upright, {}),
        ("WEBP", upright, {}),
        ("JPEG", upright.transpose(Image.Transpose.ROTATE_90), {"exif": turned}),
    ):
        out = BytesIO()
        image.save(out, kind, **more)
        photo = await send_photo(bo, out.getvalue())
        drawn = await ada.draw("!draw beach --strength 0.3", **replying(photo))
        assert drawn.record["image"] == hashlib.sha256(out.getvalue()).hexdigest()
        sky, sand = np.split(np.asarray(Image.open(BytesIO(drawn.png)).convert("RGB"), dtype=float), 2)
        assert sand[..., 0].mean() > sky[..., 0].mean() + 30
        assert sand[..., 2].mean() < sky[..., 2].mean() - 30

    drawn = await ada.draw("!draw beach --model ssd-1b --steps 2 --size 64x96", **replying(photo))
    assert (drawn.record["width"], drawn.record["height"]) == (64, 96)
    drawn = await ada.draw("!draw beach --model ssd-1b --steps 2 --size 64x4096", **replying(photo))
    assert "ssd-1b can't draw 64×4096. This is " in drawn.picture.body
    # A decompression bomb: kilobytes that decode to gigabytes.
    small = BytesIO()
    Image.new("1", (8, 8)).save(small, "PNG")
    bomb = bytearray(small.getvalue())
    bomb[16:24] = (30_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    refused = await ada.answer("!draw beach --steps 2", **replying(await send_photo(bo, bytes(bomb))))
    assert refused.startswith("A photo takes up to 50 million pixels; that one has")


async def test_an_unreadable_photo_is_refused_with_a_sentence(rooms):
    ada, bo, *_ = rooms[True]
    fake = await send_photo(bo, b"GIF89a, says the file")
    refusal = await ada.answer(f"!draw otter {SMALL}", **replying(fake))
    assert refusal == "I can't read that picture. I take PNG, JPEG and WebP."
    assert await ada.answer("!draw otter --strength 0.5") == (
        "--strength needs a photo. Reply to one, or send one with the command as its caption."
    )
    large = await send_photo(bo, bytes(20 * 1024 * 1024 + 1))
    assert await ada.answer(f"!draw otter {SMALL}", **replying(large)) == NOT_READ


async def test_an_arrow_draws_a_larger_picture_from_the_picture(rooms):
    ada, bo, *_ = rooms[True]
    first = await ada.draw("!draw otter, cowboy hat --model ssd-1b --seed 7 --steps 4")
    await bo.person.react(bo.room_id, first.picture.event_id, "⬆️")
    picture = await bo.reply(first.picture.event_id, "picture")
    recipe = await bo.reply(first.picture.event_id, "recipe")
    record = yaml.safe_load(await bo.person.fetch(recipe.content))
    assert record["image"] == hashlib.sha256(first.png).hexdigest()
    assert (record["width"], record["height"], record["seed"]) == (96, 96, 7)
    assert "Now: size 96×96 · strength 0.35" in picture.body
    assert Image.open(BytesIO(await bo.person.fetch(picture.content))).size == (96, 96)
