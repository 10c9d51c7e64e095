"""Who gets into the gallery, and what they see there: their own rooms as they are now, and nothing else."""

import re

import pytest

from bot.easel.gallery.guard import COOKIE, HEADERS
from bot.easel.gallery.sessions import LINK_S, MAX_LINKS_A_PERSON, MAX_SESSIONS_A_PERSON, SESSION_S, Sessions, token_of
from bot.easel.jobs.store import Store
from tests.helpers.fake_homeserver import BOT

ADA, BOB = "@ada:example.com", "@bob:example.com"
KITCHEN, CHILDREN, CELLAR = "!kitchen:example.com", "!children:example.com", "!cellar:example.com"

# Every address of one picture.
OF_A_PICTURE = ("picture/{}", "thumbnail/{}", "image/{}", "photo/{}", "download/{}", "bin/{}", "zip?id={}")


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "rooms": {CHILDREN: {"blocked_words": ["gun"]}}}


@pytest.fixture
async def otter(gallery_room, homeserver) -> str:
    """A picture in the kitchen by Ada."""
    homeserver.members[KITCHEN] = [BOT, ADA, BOB]
    await gallery_room.say("!draw otter")
    await homeserver.marked("recipe-file")
    return "otter"


async def test_nobody_gets_in_without_a_cookie(otter, browsers):
    stranger = browsers()
    answers = [await stranger.get(path.format("x" * 22)) for path in ("", *OF_A_PICTURE, "compare?id=a&id=b", "else")]
    answers.append(await stranger.post(f"star/{'x' * 22}", {"star": "1"}))
    assert [answer.status for answer in answers[:-2]] == [403] * (len(answers) - 2)
    assert all("!easel gallery" in answer.text for answer in answers[:-2])
    assert "otter" not in "".join(answer.text for answer in answers)


async def test_what_is_not_there_and_what_is_not_yours_look_the_same(otter, sign_in, gallery_room, homeserver):
    (kitchens,) = (await (await sign_in()).get()).ids()
    homeserver.members[KITCHEN] = [BOT, ADA]
    bobs = await sign_in(BOB)
    for path in (*OF_A_PICTURE, "compare?id={0}&id={0}x"):
        theirs, nobodys = [await bobs.get(path.format(picture)) for picture in (kitchens, "y" * 22)]
        assert theirs.status == nobodys.status == 404
        assert theirs.body == nobodys.body
        names = theirs.headers.keys() - {"Date"}
        assert [theirs.headers[name] for name in names] == [nobodys.headers[name] for name in names]
    token = form_token(bobs)
    for path in (f"star/{kitchens}", f"bin/{kitchens}"):
        assert (await bobs.post(path, {"token": token, "star": "1"})).status == 404
    assert not [event for event in homeserver.events if event.kind == "star" or event.type == "m.room.redaction"][1:]
    assert "thumbnail" not in (await bobs.get()).text


def form_token(browser) -> str:
    """The token of a browser's forms, as its pages have it."""
    (cookie,) = [cookie for cookie in browser.session.cookie_jar if cookie.key == COOKIE]
    return token_of(cookie.value)


@pytest.mark.parametrize("membership", ["leave", "ban"])
async def test_who_leaves_or_is_banned_sees_nothing_from_that_moment(otter, sign_in, homeserver, membership):
    browser = await sign_in(BOB)
    (picture,) = (await browser.get()).ids()
    assert (await browser.get(f"image/{picture}")).status == 200
    # The homeserver knows; no event of it has come to the bot yet.
    homeserver.members[KITCHEN] = [BOT, ADA]
    image = await browser.get(f"image/{picture}", headers={"If-None-Match": f'"{picture}"'})
    assert (image.status, (await browser.get()).ids()) == (404, [])
    homeserver.members[KITCHEN] = [BOT, ADA, BOB]
    assert (await browser.get()).ids() == [picture]


async def test_nobody_sees_a_room_that_the_bot_has_left(otter, sign_in, homeserver):
    browser = await sign_in()
    (picture,) = (await browser.get()).ids()
    homeserver.left.add(KITCHEN)
    assert ((await browser.get()).ids(), (await browser.get(f"image/{picture}")).status) == ([], 404)


async def test_who_may_not_use_the_bot_any_more_sees_nothing(otter, sign_in, plugin, maubot_plugin_config_dict):
    browser = await sign_in(BOB)
    maubot_plugin_config_dict["allowed_users"] = [ADA]
    await plugin.on_external_config_update()
    assert (await browser.get()).ids() == []


async def test_admins_see_no_more_rooms_than_they_are_in(otter, sign_in, plugin, homeserver, maubot_plugin_config_dict):
    homeserver.members[KITCHEN] = [BOT, ADA]
    maubot_plugin_config_dict["admins"] = [BOB]
    await plugin.on_external_config_update()
    assert (await (await sign_in(BOB)).get()).ids() == []


async def test_a_picture_that_was_removed_is_gone(otter, sign_in, gallery_room, homeserver):
    browser = await sign_in()
    (picture,) = (await browser.get()).ids()
    event_id = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    await gallery_room.put({}, type="m.room.redaction", redacts=event_id, sender=BOB)
    assert ((await browser.get()).ids(), (await browser.get(f"image/{picture}")).status) == ([], 404)


async def test_a_childrens_room_shows_its_own_pictures_only(otter, sign_in, gallery_room, homeserver):
    homeserver.members[CHILDREN] = [BOT, ADA]
    await gallery_room.say("!draw lynx", room_id=CHILDREN)
    await homeserver.files(2)
    everything = await sign_in()
    lynx, kitchens = (await everything.get()).ids()
    childrens = await sign_in(room_id=CHILDREN)
    assert (await childrens.get()).ids() == [lynx]
    assert (await childrens.get(f"?room={KITCHEN}")).ids() == []
    for path in OF_A_PICTURE[:3]:
        assert (await childrens.get(path.format(kitchens))).status == 404
        assert (await childrens.get(path.format(lynx))).status == 200


async def test_a_link_opens_the_gallery_once(gallery_room, browsers, homeserver):
    await gallery_room.say("!easel gallery", room_id="!ada:example.com")
    link = (await homeserver.answer()).splitlines()[-1]
    address = link.partition("/easel/")[2]
    first, second = browsers(), browsers()
    # Whoever looks at a link for a preview, however often, burns nothing and gets nothing.
    for _ in range(3):
        preview = await second.get(address)
        assert (preview.status, "Set-Cookie" in preview.headers) == (200, False)
    assert (await second.get()).status == 403
    assert (await first.open(link)).url.path == "/easel/"
    assert (await first.get()).status == 200
    key = address.partition("key=")[2]
    assert (await second.get(address)).status == (await second.post("enter", {"key": key})).status == 403
    assert (await second.post("enter", {"key": key})).headers.get("Set-Cookie") is None
    assert (await second.get()).status == 403


async def test_a_cookie_is_for_this_path_alone_and_no_script_reads_it(
    gallery_room, browsers, homeserver, plugin, maubot_plugin_config_dict
):
    for scheme in ("http", "https"):
        maubot_plugin_config_dict["gallery_url"] = f"{scheme}://example.org/a/path/easel"
        await plugin.on_external_config_update()
        await gallery_room.say("!easel gallery", room_id="!ada:example.com")
        link = (await homeserver.answers(1 if scheme == "http" else 2))[-1].content["body"].splitlines()[-1]
        assert link.startswith(f"{scheme}://example.org/a/path/easel/enter?key=")
        form = {"key": link.partition("key=")[2]}
        cookie = (await browsers().post("enter", form, allow_redirects=False)).headers["Set-Cookie"]
        value, *attributes = cookie.split("; ")
        assert len(value.partition("=")[2]) >= 128 / 6
        expected = {"HttpOnly", "SameSite=Lax", "Path=/a/path/easel/", f"Max-Age={SESSION_S}"}
        assert set(attributes) == expected | ({"Secure"} if scheme == "https" else set())


async def test_the_database_has_no_secret(gallery_room, sign_in, plugin, homeserver):
    browser = await sign_in()
    (cookie,) = [cookie for cookie in browser.session.cookie_jar if cookie.key == COOKIE]
    rows = await plugin.database.fetch("SELECT * FROM gallery_key")
    assert [len(row["hash"]) for row in rows] == [64]
    assert cookie.value not in str([tuple(row) for row in rows])


async def test_off_ends_all_of_ones_own_sessions_and_no_other(otter, sign_in, gallery_room, homeserver):
    mine, mine_too, bobs = await sign_in(), await sign_in(), await sign_in(BOB)
    before = len(homeserver.sentences())
    await gallery_room.say("!easel gallery off")
    await homeserver.answers(before + 1)
    assert [(await browser.get()).status for browser in (mine, mine_too, bobs)] == [403, 403, 200]


async def test_every_answer_has_the_headers_that_protect(otter, sign_in, browsers):
    browser, stranger = await sign_in(), browsers()
    (picture,) = (await browser.get()).ids()
    paths = ["", "zip", "nothing/at/all", "compare", f"compare?id={picture}&id={picture}x", "frame", "frame/x", "enter"]
    paths += [path.format(picture) for path in OF_A_PICTURE] + ["static/gallery.css", "static/nothing"]
    for path in paths:
        for one in (browser, stranger):
            answer = await one.get(path)
            for name, value in HEADERS.items():
                if not (name == "Cache-Control" and path == "static/gallery.css"):
                    assert answer.headers[name] == value, (path, name)
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy and policy.startswith("default-src 'none'")
    assert not re.search(r"https?:", policy)
    page = (await browser.get(f"picture/{picture}")).text
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]* src=)", page)
    assert not [url for url in re.findall(r'(?:src|href|action)="([^"]*)"', page) if url.startswith(("/", "http:"))]


@pytest.mark.parametrize(
    ("form", "headers"),
    [({"token": ""}, {}), ({"token": "0" * 64}, {}), ({}, {}), (None, {"Sec-Fetch-Site": "cross-site"})],
    ids=["empty", "wrong", "missing", "another site"],
)
async def test_nothing_changes_without_the_token_of_ones_own_pages(otter, sign_in, homeserver, form, headers):
    browser = await sign_in()
    (picture,) = (await browser.get()).ids()
    before = len(homeserver.events)
    form = {"token": form_token(browser)} if form is None else form
    for path in (f"star/{picture}", f"bin/{picture}"):
        assert (await browser.post(path, {**form, "star": "1"}, headers=headers)).status == 403
        assert (await browser.get(path)).status in (200, 404)
    assert len(homeserver.events) == before


class TestSwitchedOff:
    @pytest.fixture
    def maubot_plugin_config_overrides(self):
        return {"gallery": False, "gallery_url": "http://127.0.0.1/easel/"}

    async def test_a_setting_switches_all_of_it_off(self, browsers, gallery_room, homeserver):
        for path in ("", "static/gallery.css", "enter?key=x"):
            assert (await browsers().get(path)).status == 404
        for command in ("gallery", "frame"):
            await gallery_room.say(f"!easel {command}")
        assert [event.content["body"] for event in await homeserver.answers(2)] == [
            "The gallery is switched off here."
        ] * 2


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(database, clock) -> Sessions:
    return Sessions(Store(database), clock)


async def test_links_and_sessions_end_in_time(sessions, clock):
    link = await sessions.new_link(ADA)
    clock.now += LINK_S + 1
    assert await sessions.link(link) is None
    assert await sessions.sign_in(link) is None
    session = await sessions.sign_in(await sessions.new_link(ADA))
    clock.now += SESSION_S - 1
    assert (await sessions.session(session)).person == ADA
    clock.now += 2
    assert await sessions.session(session) is None


async def test_each_secret_opens_its_own_kind_alone(sessions):
    link, frame = await sessions.new_link(ADA), await sessions.new_frame(ADA, KITCHEN)
    session = await sessions.sign_in(await sessions.new_link(ADA))
    assert await sessions.session(link) is await sessions.session(frame) is await sessions.frame(session) is None
    assert await sessions.link(session) is None and await sessions.sign_in(frame) is None
    assert len({link, frame, session}) == 3 and min(map(len, (link, frame, session))) * 6 >= 128


async def test_the_oldest_links_and_sessions_of_a_person_end_for_one_too_many(sessions, clock):
    links = []
    for _ in range(MAX_LINKS_A_PERSON + 1):
        clock.now += 1
        links.append(await sessions.new_link(ADA))
    assert sum([await sessions.link(link) is not None for link in links]) == MAX_LINKS_A_PERSON
    assert await sessions.link(links[-1])
    bobs = await sessions.sign_in(await sessions.new_link(BOB))
    signed_in = []
    for _ in range(MAX_SESSIONS_A_PERSON + 2):
        clock.now += 1
        signed_in.append(await sessions.sign_in(await sessions.new_link(ADA)))
    assert sum([await sessions.session(one) is not None for one in signed_in]) == MAX_SESSIONS_A_PERSON
    assert await sessions.session(signed_in[0]) is await sessions.session(signed_in[1]) is None
    assert await sessions.session(bobs)
