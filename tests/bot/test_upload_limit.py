"""A picture larger than the homeserver takes comes as a smaller copy, and the caption says so."""

import pytest
from aiohttp import web

from bot.easel.generator.types import ImageFile
from bot.easel.sending.captions import smaller_note
from bot.easel.sending.upload_limit import KEPT_S, MOST_CUTS, USUAL_LIMITS, UploadLimit

MB = 2**20
KEPT = "The drawing computer keeps the PNG."


@pytest.fixture
def png_bytes(fake_generator):
    """The generator's picture and sheet have 3 MB, and it makes copies that fit."""

    async def answer(request: web.Request) -> web.Response:
        max_bytes = int(request.query.get("max_bytes", 3 * MB))
        asked.append(max_bytes)
        if max_bytes >= 3 * MB:
            return web.Response(body=b"P" * 3 * MB, content_type="image/png")
        pixels = "768x768" if max_bytes >= MB else "512x512"
        return web.Response(body=b"J" * max_bytes, content_type="image/jpeg", headers={"Picture-Size": pixels})

    asked: list[int] = []
    fake_generator.sins["picture"] = fake_generator.sins["sheet_image"] = answer
    return asked


async def drawn(room, homeserver, text="!draw otter", kind="picture"):
    await room.say(text)
    content = (await homeserver.marked(kind)).content
    return content, homeserver.uploads[content["url"]]


async def test_a_picture_that_fits_comes_as_it_is(drawing_room, homeserver, png_bytes):
    homeserver.max_upload_bytes = 50 * MB
    content, data = await drawn(drawing_room, homeserver)
    assert (data[:1], content["info"]["mimetype"], content["filename"][-4:]) == (b"P", "image/png", ".png")
    assert "takes files" not in content["body"]
    assert png_bytes == [50 * MB]


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_homeservers_limit_is_asked_for_once_and_kept(drawing_room, homeserver, png_bytes, is_old):
    homeserver.max_upload_bytes, homeserver.has_old_media_config = 2 * MB, is_old
    content, data = await drawn(drawing_room, homeserver)
    assert data == b"J" * 2 * MB
    info = content["info"]
    assert (info["mimetype"], info["size"], info["w"], info["h"]) == ("image/jpeg", 2 * MB, 768, 768)
    assert content["filename"].endswith(".jpg")
    assert content["body"].endswith(f"Your homeserver takes files up to 2 MB, so this is a smaller JPEG. {KEPT}")
    asked = homeserver.asked_media_config
    assert asked == 1 + is_old
    await drawing_room.say("!draw owl")
    await homeserver.files(2)
    assert homeserver.asked_media_config == asked


async def test_a_proxy_that_takes_less_is_found_out(drawing_room, homeserver, png_bytes):
    """nginx takes 1 MB, and answers with a page of its own."""
    homeserver.max_upload_bytes, homeserver.proxy_takes_bytes = 50 * MB, MB
    content, data = await drawn(drawing_room, homeserver)
    assert data == b"J" * MB
    assert "up to 1 MB" in content["body"]
    assert png_bytes == [50 * MB, 2 * MB, MB]
    await drawing_room.say("!draw owl")
    await homeserver.files(2)
    assert png_bytes == [50 * MB, 2 * MB, MB, MB]


async def test_a_proxy_that_cuts_larger_files_off_is_found_out(drawing_room, homeserver, png_bytes):
    homeserver.max_upload_bytes, homeserver.proxy_cuts_above_bytes = 50 * MB, 2 * MB
    content, data = await drawn(drawing_room, homeserver)
    assert data == b"J" * 2 * MB
    assert "up to 2 MB" in content["body"]


async def test_an_upload_that_restarts_cut_off_is_sent_again_as_it_is(drawing_room, homeserver, png_bytes):
    homeserver.cut_uploads = MOST_CUTS - 1
    _, data = await drawn(drawing_room, homeserver)
    assert (data[:1], homeserver.cut_uploads) == (b"P", 0)


async def test_a_homeserver_that_does_not_say_its_limit_is_found_out(drawing_room, homeserver, png_bytes):
    homeserver.proxy_takes_bytes = MB // 2
    content, data = await drawn(drawing_room, homeserver)
    assert data == b"J" * (MB // 2)
    assert (content["info"]["w"], content["info"]["h"]) == (512, 512)
    assert content["body"].endswith(
        f"Your homeserver takes files up to 0.5 MB, so this is a smaller JPEG of 512×512. {KEPT}"
    )


async def test_a_sheet_fits_as_well(drawing_room, homeserver, png_bytes):
    homeserver.max_upload_bytes = MB
    content, data = await drawn(drawing_room, homeserver, "!draw otter -n 2", "sheet")
    assert data == b"J" * MB
    assert "takes files up to 1 MB" in content["body"] and KEPT not in content["body"]


async def test_a_picture_that_no_copy_makes_fit_is_given_up(drawing_room, homeserver, fake_generator):
    """An older generator makes no copies."""
    homeserver.max_upload_bytes = 10

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"P" * 100, content_type="image/png")

    fake_generator.sins["picture"] = large
    await drawing_room.say("!draw otter")
    assert "couldn't bring the picture" in await homeserver.answer()


@pytest.mark.parametrize("size", ["", "0x", "axb", "1x1x1", "123456x1"])
async def test_a_strange_size_is_no_size(drawing_room, homeserver, fake_generator, size):
    async def strange(request: web.Request) -> web.Response:
        return web.Response(body=b"PNG", headers={"Picture-Size": size})

    fake_generator.sins["picture"] = strange
    content, _ = await drawn(drawing_room, homeserver)
    assert content["info"]["mimetype"] == "image/png"


def test_the_next_usual_limit_is_tried():
    limit = UploadLimit(lambda: 0.0)
    limit.said(50 * MB)
    tried = []
    for _ in range(len(USUAL_LIMITS)):
        limit.refused(limit.max_bytes)
        tried.append(limit.max_bytes // 1024)
    assert tried == [20480, 10240, 5120, 2048, 1024, 512, 256, 256, 256]


def test_a_limit_is_kept_for_a_while():
    now = [0.0]
    limit = UploadLimit(lambda: now[0])
    assert not limit.is_known and limit.takes(10**9)
    limit.said(10)
    assert limit.is_known and limit.takes(10) and not limit.takes(11)
    now[0] += KEPT_S
    assert not limit.is_known


def image(mimetype: str, side: int) -> ImageFile:
    return ImageFile("x.png", mimetype, 1, side, side, "", 1, 1, 1, "image/jpeg")


@pytest.mark.parametrize(
    ("sent", "file", "note"),
    [
        (image("image/webp", 8), image("image/png", 8), f"so this is a smaller WebP. {KEPT}"),
        (image("image/jpeg", 6), image("image/png", 8), f"so this is a smaller JPEG of 6×6. {KEPT}"),
        (image("image/jpeg", 8), image("image/jpeg", 8), "so this is a smaller JPEG."),
    ],
)
def test_the_caption_says_what_came(sent, file, note):
    for max_bytes, said in ((10 * MB, "10"), (200 * MB, "200"), (MB // 2, "0.5"), (1_500_000, "1.4")):
        assert smaller_note(sent, file, max_bytes) == f"Your homeserver takes files up to {said} MB, {note}"
