"""The bot behind a proxy with Dendrite's habits: nothing that it refuses or limits is lost."""

from io import BytesIO

import pytest
import pytest_asyncio
from PIL import Image

from household.home import INSTANCE
from tests.helpers.dendrite_proxy import DendriteProxy

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Pocket's pictures have more, their thumbnails less.
MAX_UPLOAD_BYTES = 80 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(home):
    """The bot's way to the homeserver. Nobody else takes it."""
    async with DendriteProxy(home.url, max_upload_bytes=MAX_UPLOAD_BYTES) as proxy:
        await home.maubot.set_client(home.bot, proxy.url)
        await home.maubot.restart_instance(INSTANCE)
        await home.change_settings(rate_limit_per_second="learned")
        yield proxy
        await home.change_settings()
        await home.maubot.set_client(home.bot, home.url)
        await home.maubot.restart_instance(INSTANCE)


async def test_every_command_is_read_and_answered_however_many_come(proxy, encrypted):
    proxy.refuse_next("/receipt/", times=8)
    commands = [await encrypted.say("!easel help styles") for _ in range(8)]
    for command in commands:
        await encrypted.reply(command, "answer")
    # The newest receipt came, after a pause for each refusal.
    await encrypted.taken(commands[-1])
    assert sum("/receipt/" in path for path in proxy.refused) >= 8


async def test_a_photo_is_drawn_from_though_a_refusal_came_in_its_place(proxy, encrypted):
    out = BytesIO()
    Image.effect_noise((80, 60), 80).convert("RGB").save(out, "PNG")
    photo = await encrypted.person.send_file(
        encrypted.room_id, out.getvalue(), filename="noise.png", mimetype="image/png", msgtype="m.image"
    )
    proxy.refuse_next("/download/", times=2)
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": photo}}}
    drawn = await encrypted.draw("!draw otter --steps 4", **reply)
    assert drawn.record["strength"] == 0.6
    assert sum("/download/" in path for path in proxy.refused) >= 2


async def test_a_picture_that_is_too_large_comes_smaller_and_its_png_is_kept(home, proxy, talk):
    drawn = await talk.draw("!draw otter, cowboy hat --steps 4 --seed 7 --size 512x512")
    info = drawn.picture.content["info"]
    assert info["mimetype"] in ("image/webp", "image/jpeg")
    assert info["size"] == len(drawn.png) <= MAX_UPLOAD_BYTES
    assert Image.open(BytesIO(drawn.png)).size == (info["w"], info["h"])
    assert "Your homeserver takes files up to" in drawn.picture.body
    (kept,) = (home.folder / "generator" / "pictures").rglob(f"*-{drawn.picture.mark['job']}-0.png")
    assert kept.stat().st_size > MAX_UPLOAD_BYTES
