"""The gallery's pages and files, from the link that a person asks for to the picture that they take home."""

import re
from html import unescape
from io import BytesIO
from urllib.parse import quote_plus
from zipfile import ZipFile

import pytest

from bot.easel.commands.shortest import REPLY_TO_PHOTO, THEN_LARGER
from bot.easel.gallery.reading import PAGE_TILES
from bot.easel.gallery.routes import PICK_SOME, PICK_TWO
from bot.easel.gallery.zipped import MAX_ZIPPED
from tests.helpers.gallery_browser import PNG, WEBP

BOB = "@bob:example.com"
KITCHEN, CELLAR = "!kitchen:example.com", "!cellar:example.com"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never", "time_zone": "Europe/Berlin"}


@pytest.fixture
def draw(gallery_room, homeserver):
    """Draw each of these texts, one after the other; return the events with the pictures."""

    async def draw(*texts: str, **more) -> list[str]:
        drawn = []
        for text in texts:
            before = ready(homeserver)
            await gallery_room.say(text, **more)
            await homeserver.until(lambda before=before: ready(homeserver) > before)
            drawn.append([event for event in homeserver.events if event.kind in ("picture", "sheet")][-1])
        return [f"$sent-{event.txn_id}" for event in drawn]

    return draw


def ready(homeserver) -> int:
    return len([event for event in homeserver.events if event.kind == "recipe-file"])


def shown_text(page) -> str:
    """The page without the directions of its texts."""
    return page.text.replace(' dir="auto"', "")


def alts(page) -> list[str]:
    return [unescape(alt) for alt in re.findall(r'<img src="[./]*thumbnail/[^>]*alt="([^"]*)"', page.text)]


async def test_a_link_opens_the_pictures_of_ones_rooms_the_newest_first(draw, sign_in):
    await draw("!draw otter, (hat)++ --seed 1", "!draw owl | style: (watercolor)+ --seed 2")
    browser = await sign_in()
    page = await browser.get()
    assert page.status == 200
    assert alts(page) == ["owl, watercolor", "otter, hat"]
    assert "Today" in page.text
    owl, otter = page.ids()
    thumbnail = await browser.get(f"thumbnail/{owl}")
    assert (thumbnail.body, thumbnail.headers["Content-Type"]) == (WEBP, "image/webp")
    image = await browser.get(f"image/{otter}")
    assert (image.body, image.headers["Content-Type"]) == (PNG, "image/png")


async def test_a_browser_that_has_an_image_gets_no_second_copy(draw, sign_in, homeserver):
    await draw("!draw otter")
    browser = await sign_in()
    (otter,) = (await browser.get()).ids()
    image = await browser.get(f"image/{otter}")
    fetched = len(homeserver.asked_of)
    again = await browser.get(f"image/{otter}", headers={"If-None-Match": image.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert not [asked for asked in homeserver.asked_of[fetched:] if asked.isdecimal()]


async def test_the_gallery_works_while_the_generator_is_off(draw, sign_in, fake_generator):
    await draw("!draw otter")
    browser, asked = await sign_in(), len(fake_generator.asked)
    (otter,) = (await browser.get()).ids()
    for path in (f"picture/{otter}", f"image/{otter}", f"download/{otter}"):
        assert (await browser.get(path)).status == 200
    assert len(fake_generator.asked) == asked


async def test_pictures_are_found_by_every_field_of_the_address(draw, sign_in, homeserver):
    homeserver.display_names["@bob:example.com"] = "Bob"
    await draw("!draw otter, cowboy hat --theme river --seed 1", "!draw cowboy otter | style: (watercolor)+")
    await draw("!draw owl --model pocket", sender=BOB)
    await draw("!draw lynx", room_id=CELLAR)
    browser = await sign_in()

    async def found(query: str) -> list[str]:
        return alts(await browser.get(f"?{query}"))

    first, second = "otter, cowboy hat", "cowboy otter, watercolor"
    assert await found("words=otter") == [second, first]
    assert await found("words=cowb+OTT") == [second, first]
    assert await found("words=boy") == await found("words=otter+owl") == await found("words=!!") == []
    assert await found("theme=river") == [first]
    assert await found("style=watercolor") == [second]
    assert await found(f"person={BOB}") == ["owl"]
    assert await found("model=pocket") == ["owl"]
    assert await found(f"room={CELLAR}") == ["lynx"]
    assert await found("room=!other:example.com") == []
    assert await found("words=otter&style=watercolor&star=1") == []
    page = await browser.get()
    for choice in ("river", "watercolor", "Bob", "pocket"):
        assert re.search(rf"<option[^>]*>{choice}</option>", page.text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("words", "otter & owl; a+b=c, 100% #1"), ("theme", "river & sea + 1=1")],
    ids=["words", "theme"],
)
async def test_a_search_may_have_the_signs_of_addresses(draw, sign_in, field, value):
    await draw("!draw otter & owl; a+b=c, 100% #1 --theme 'river & sea + 1=1'", "!draw lynx")
    browser = await sign_in()
    page = await browser.get(f"?{field}={quote_plus(value)}")
    assert len(page.ids()) == 1
    # The way on has the same search, and so has the way back.
    link = unescape(re.search(r'href="\./(picture/[^"]*)"', page.text)[1])
    assert link.endswith(f"?{field}={quote_plus(value)}")
    assert f"?{field}={quote_plus(value)}#" in unescape((await browser.get(link)).text)


async def test_a_day_has_its_own_pictures_by_the_rooms_clock(draw, sign_in, plugin):
    await draw("!draw otter", "!draw owl", "!draw lynx")
    # 23:30, 0:30 and 23:30 in Berlin.
    for word, drawn_ms in (("otter", 1764369000_000), ("owl", 1764372600_000), ("lynx", 1764455400_000)):
        await plugin.database.execute("UPDATE picture SET drawn_ms = $2 WHERE prompt = $1", word, drawn_ms)
    browser = await sign_in()
    assert alts(await browser.get("?day=2025-11-29")) == ["lynx", "owl"]
    assert alts(await browser.get("?day=2025-11-28")) == ["otter"]
    assert "Saturday, 29 November 2025" in (await browser.get()).text
    for wrong in ("x", "2025-13-01", "0001-01-01", "9999-12-31"):
        assert alts(await browser.get(f"?day={wrong}")) == []


async def test_older_pictures_come_page_by_page_each_once(draw, sign_in, plugin):
    await draw("!draw otter")
    (row,) = await plugin.database.fetch("SELECT * FROM picture")
    number = 2 * PAGE_TILES + 5
    for n in range(1, number):
        # Several of the same millisecond.
        values = {**row, "id": f"{n:022}", "txn_id": f"t{n}", "drawn_ms": row["drawn_ms"] - n // 3, "prompt": f"{n}"}
        places = ", ".join(f"${at + 1}" for at in range(len(values)))
        await plugin.database.execute(f"INSERT INTO picture ({', '.join(values)}) VALUES ({places})", *values.values())
        await plugin.database.execute(
            "INSERT INTO posted (txn_id, job, room_id, kind, n, event_id) VALUES ($1, 'j', $2, 'picture', 0, $3)",
            f"t{n}", row["room_id"], f"$e{n}",
        )  # fmt: skip
    browser, seen, address = await sign_in(), list[str](), ""
    while True:
        page = await browser.get(address)
        seen += page.ids()
        older = re.search(r'rel="next" href="\./([^"]*)"', page.text)
        if not older:
            break
        address = unescape(older[1])
    assert (len(seen), len(set(seen))) == (number, number)
    assert alts(await browser.get("?before=1.x")) == []
    assert len(alts(await browser.get("?before=99999999999999999999.x"))) == PAGE_TILES


async def test_a_picture_shows_its_recipe_and_what_it_came_from(draw, sign_in, gallery_room):
    (otter,) = await draw("!draw otter, hat --seed 7")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": otter}}}
    await draw("!draw +scarf -hat --steps 40", sender=BOB, **reply)
    browser = await sign_in()
    new, old = (await browser.get()).ids()
    page = await browser.get(f"picture/{new}")
    for shown in ("Bob", "otter, scarf", "<dd>40</dd>", "prompt: otter, scarf", "!draw otter, scarf"):
        assert shown in re.sub(r"</?span>", "", shown_text(page)), shown
    assert "https://matrix.to/#/%21kitchen%3Aexample.com/" in page.text
    # What changed since, and the way back to it.
    assert f"picture/{old}" in page.text
    changed = re.findall(r'<th scope="row">([^<]*)</th>\s*<td>([^<]*)</td>\s*<td>([^<]*)</td>', shown_text(page))
    assert changed == [("Subject", "otter, hat", "otter, scarf"), ("Steps", "30", "40")]
    assert f"picture/{new}" in (await browser.get(f"picture/{old}")).text


async def test_a_roll_and_a_number_of_a_sheet_come_from_what_was_pressed(draw, sign_in, gallery_room, homeserver):
    (sheet,) = await draw("!draw {otter | owl} --seed 7")
    for number, key in ((1, "2\ufe0f\u20e3"), (2, "🎲")):
        pressed = [event for event in homeserver.events if event.kind in ("picture", "sheet")][-1]
        relation = {"rel_type": "m.annotation", "event_id": f"$sent-{pressed.txn_id}", "key": key}
        await gallery_room.put({"m.relates_to": relation}, type="m.reaction", sender=BOB)
        await homeserver.until(lambda number=number: ready(homeserver) == number + 1)
    browser = await sign_in()
    rolled, picked, sheet = (await browser.get()).ids()
    assert picked in (await browser.get(f"picture/{rolled}")).ids("picture")
    assert sheet in (await browser.get(f"picture/{picked}")).ids("picture")


async def test_a_sheet_is_one_tile_that_has_all_its_recipes(draw, sign_in):
    await draw("!draw {otter | owl | lynx} --seed 7")
    browser = await sign_in()
    page = await browser.get("?words=lynx")
    assert alts(page) == ["3 pictures: otter"]
    (sheet,) = page.ids()
    text = (await browser.get(f"picture/{sheet}")).text
    assert all(f"prompt: {word}\n" in text for word in ("otter", "owl", "lynx"))


async def test_neighbours_keep_to_the_search(draw, sign_in):
    await draw("!draw otter --seed 1", "!draw owl", "!draw otter --seed 3")
    browser = await sign_in()
    newest, owl, oldest = (await browser.get()).ids()
    page = await browser.get(f"picture/{newest}?words=otter")
    assert f"picture/{oldest}?words=otter" in page.text and owl not in page.text
    assert f"picture/{newest}?words=otter" in (await browser.get(f"picture/{oldest}?words=otter")).text


async def test_two_pictures_lie_side_by_side_with_what_differs(draw, sign_in):
    await draw("!draw otter --seed 1", "!draw otter, hat --seed 1")
    browser = await sign_in()
    new, old = (await browser.get()).ids()
    page = await browser.get(f"compare?id={old}&id={new}")
    assert re.search(r"Subject</th>\s*<td>otter</td>\s*<td>otter, hat</td>", shown_text(page))
    assert page.text.index(f"image/{old}") < page.text.index(f"image/{new}")
    for wrong in ("", f"?id={new}", f"?id={new}&id={new}"):
        answer = await browser.get(f"compare{wrong}")
        assert (answer.status, PICK_TWO.heading in answer.text) == (400, True)
    assert (await browser.get(f"compare?id={new}&id=x")).status == 404


async def test_pictures_go_home_alone_or_packed_with_their_recipes(draw, sign_in, homeserver):
    await draw("!draw otter --seed 1", "!draw {owl | lynx} --seed 2")
    browser = await sign_in()
    sheet, otter = (await browser.get()).ids()
    one = await browser.get(f"download/{otter}")
    assert one.headers["Content-Disposition"] == "attachment; filename*=UTF-8''otter-1.png"
    packed = await browser.get(f"zip?id={otter}&id={sheet}&id={otter}")
    assert packed.headers["Content-Type"] == "application/zip"
    files = {name: ZipFile(BytesIO(packed.body)).read(name) for name in ZipFile(BytesIO(packed.body)).namelist()}
    assert files.pop("01-otter-1.png") == PNG
    assert files.pop("01-otter-1.yml").startswith(b"prompt: otter\n")
    assert files.pop("02-owl-sheet.jpg") == PNG
    assert [part.split(b"\n")[0] for part in files.pop("02-owl-sheet.yml").split(b"---\n")] == [
        b"prompt: owl",
        b"prompt: lynx",
    ]
    assert not files
    answer = await browser.get("zip")
    assert (answer.status, PICK_SOME.heading in answer.text) == (400, True)
    # A file that the homeserver has no more is named.
    homeserver.uploads = dict.fromkeys(homeserver.uploads, b"gone")
    packed = await browser.get(f"zip?id={otter}")
    assert ZipFile(BytesIO(packed.body)).namelist() == ["missing.txt"]


async def test_ticks_stay_on_the_way_to_other_pictures_up_to_what_is_packed_at_once(draw, sign_in, homeserver):
    await draw("!draw otter", "!draw owl")
    await draw("!draw lynx", room_id=CELLAR)
    browser = await sign_in()
    lynx, owl, otter = (await browser.get()).ids()
    homeserver.members[CELLAR] = []

    async def boxes(*ids: str) -> list[tuple[str, bool]]:
        page = await browser.get(f"?select=1&words=ot&{'&'.join(f'id={one}' for one in ids)}")
        found = re.findall(r'<input type="checkbox" name="id" value="([^"]*)"( checked)?>', page.text)
        return [(one, bool(checked)) for one, checked in found]

    assert await boxes(owl) == [(owl, True), (otter, False)]
    # Each once, and nothing of a room that one is not in.
    assert await boxes(owl, otter, owl, lynx) == [(owl, True), (otter, True)]
    assert await boxes(*(f"x{n}" for n in range(MAX_ZIPPED)), owl) == [(otter, False)]


PHOTO = {
    "msgtype": "m.image",
    "body": "a photo",
    "filename": "photo.png",
    "url": "mxc://example.com/photo",
    "info": {"mimetype": "image/png"},
}


@pytest.mark.parametrize(("visibility", "is_shown"), [(None, True), ("shared", True), ("joined", False)])
async def test_a_photo_is_shown_to_those_who_may_see_it(draw, sign_in, gallery_room, homeserver, visibility, is_shown):
    homeserver.uploads["mxc://example.com/photo"] = PNG + b" that is a photo"
    event = gallery_room.event(PHOTO, event_id="$photo")
    homeserver.history[KITCHEN] = [event]
    if visibility:
        content = {"history_visibility": visibility}
        homeserver.state[KITCHEN, "m.room.history_visibility", ""] = content
    await draw("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}})
    for person, sees in (("@ada:example.com", True), (BOB, is_shown)):
        browser = await sign_in(person)
        (otter,) = (await browser.get()).ids()
        page = await browser.get(f"picture/{otter}")
        assert (f"photo/{otter}" in page.text) is sees
        photo = await browser.get(f"photo/{otter}")
        assert (photo.status, photo.body.endswith(b"photo")) == ((200, True) if sees else (404, False))
    # It was deleted from the room.
    homeserver.history[KITCHEN] = []
    assert (await browser.get(f"photo/{otter}")).status == 404


def commands(page) -> list[tuple[str, str, str]]:
    """Each command of a picture's page, with what to do before and after it."""
    quiet = r'(?:<p class="quiet">([^<]*)</p>\s*)?'
    found = re.findall(quiet + r'<div class="command">\s*<code>(.*?)</code>.*?</div>\s*' + quiet, page.text, re.DOTALL)
    return [(before, unescape(re.sub(r"</?span>", "", code)).strip(), after) for before, code, after in found]


async def test_what_is_drawn_over_a_photo_or_a_picture_has_the_command_that_a_reaction_brings(
    draw, sign_in, gallery_room, homeserver
):
    homeserver.uploads["mxc://example.com/photo"] = PNG + b" that is a photo"
    homeserver.history[KITCHEN] = [gallery_room.event(PHOTO, event_id="$photo")]
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}}
    (otter,) = await draw("!draw otter --seed 7", **reply)
    homeserver.history[KITCHEN] += homeserver.as_heard("@bot:x")
    relation = {"rel_type": "m.annotation", "event_id": otter, "key": "⬆️"}
    await gallery_room.put({"m.relates_to": relation}, type="m.reaction")
    await homeserver.until(lambda: ready(homeserver) == 2)
    await draw("!draw otter, {hat | scarf} --seed 8", **reply)
    browser = await sign_in()
    sheet, larger, otter = [commands(await browser.get(f"picture/{one}")) for one in (await browser.get()).ids()]
    assert otter == [(REPLY_TO_PHOTO, "!draw otter --seed 7 --strength 0.6", "")]
    assert larger == [(*otter[0][:2], THEN_LARGER)]
    assert sheet == [(REPLY_TO_PHOTO, f"!draw otter, {worn} --seed 8 --strength 0.6", "") for worn in ("hat", "scarf")]

    pictures = [event for event in homeserver.events if event.kind == "picture"]
    for picture, shown in zip(pictures, (otter, larger), strict=True):
        before = len(homeserver.sentences())
        relation = {"rel_type": "m.annotation", "event_id": f"$sent-{picture.txn_id}", "key": "📋"}
        await gallery_room.put({"m.relates_to": relation}, type="m.reaction")
        answer = (await homeserver.answers(before + 1))[-1].content["body"]
        assert answer.splitlines() == [part for part in shown[0] if part]


async def test_a_recipe_of_another_version_is_shown_without_a_command(draw, sign_in, plugin):
    await draw("!draw otter")
    await plugin.database.execute("UPDATE recipe SET text = 'prompt: otter\nfrom_the_future: 1\n'")
    browser = await sign_in()
    (otter,) = (await browser.get()).ids()
    page = await browser.get(f"picture/{otter}")
    assert (page.status, commands(page), "from_the_future" in page.text) == (200, [], True)


HOSTILE = """<script>alert(1)</script>, "onerror=alert(2) 'x, {{ 7|string*9 }}, &lt;img src=x&gt;, ]]>"""


async def test_nothing_that_people_typed_becomes_html(draw, sign_in, homeserver):
    homeserver.display_names["@bob:example.com"] = "<b>Bob</b>"
    homeserver.state[KITCHEN, "m.room.name", ""] = {"name": "<i>Kitchen</i>"}
    await draw(f"!draw {HOSTILE} | style: <u>x</u>", "!draw otter", sender=BOB)
    browser = await sign_in()
    newer, older = (await browser.get()).ids()
    pages = [
        "",
        "?words=<script>x</script>&theme=<u>&style=<u>&person=<u>&model='\"<u>",
        "?select=1",
        f"picture/{older}",
    ]
    for path in (*pages, f"compare?id={newer}&id={older}", f"picture/{older}?words=%3Cscript%3E"):
        page = await browser.get(path)
        assert page.status == 200
        assert not re.search(r"<(?:script>|u>|b>|i>|img src=x)|777777777", page.text), path
        assert not re.search(r"<script(?! (?:type=\"module\" )?(?:defer )?src=\"[./]*static/)", page.text), path
        assert '"onerror' not in page.text and " onerror" not in re.sub(r'"[^"]*"', "", page.text)
