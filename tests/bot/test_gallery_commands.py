"""``!easel gallery`` and ``!easel frame``: where the links go, what they open, and how they end."""

import pytest

from bot.easel.commands.gallery import (
    ENDED,
    INVITED,
    NO_FRAMES,
    NO_SUCH,
    NONE_OF_YOURS,
    NOT_SENT,
    NOT_YOURS,
    ROOM_IS_FULL,
    SENT,
)
from bot.easel.gallery.sessions import MAX_FRAMES_A_ROOM
from tests.bot.test_interrupted import limited
from tests.bot.test_read_twice import QuietAfter, said
from tests.helpers.fake_homeserver import BOT

ADA, BOB, CLEO = "@ada:example.com", "@bob:example.com", "@cleo:example.com"
KITCHEN = "!kitchen:example.com"


@pytest.fixture
def maubot_plugin_config_overrides():
    return {"gallery_url": "http://127.0.0.1/easel/", "offer_reactions": "never"}


@pytest.fixture
def ask(gallery_room, homeserver):
    homeserver.members[KITCHEN] = [BOT, ADA, BOB]

    async def ask(text: str, *, expect: int = 1, **more) -> list:
        before = len(homeserver.sentences())
        await gallery_room.say(text, **more)
        return (await homeserver.answers(before + expect))[before:]

    return ask


def where(sent) -> list[tuple[str, bool]]:
    """Each message's room, and whether it has a link."""
    return sorted((event.room_id, "?key=" in event.content["body"]) for event in sent)


@pytest.mark.parametrize("command", ["gallery", "frame", "pictures"])
async def test_a_link_goes_into_the_direct_chat_and_a_word_into_the_room(ask, command):
    sent = await ask(f"!easel {command}", expect=2)
    assert where(sent) == [("!ada:example.com", True), (KITCHEN, False)]
    assert {event.content["body"] for event in sent if event.room_id == KITCHEN} == {SENT}


@pytest.mark.parametrize("leaves_out", ["", "event_id", "all but content"])
async def test_in_the_direct_chat_the_answer_is_the_link(ask, homeserver, leaves_out):
    homeserver.leaves_out = leaves_out
    (sent,) = await ask("!easel gallery", room_id="!ada:example.com")
    link = sent.content["body"].splitlines()[-1]
    assert link.startswith("http://127.0.0.1/easel/enter?key=")
    assert f'<a href="{link}">' in sent.content["formatted_body"]


async def test_an_encrypted_direct_chat_comes_first_and_one_with_somebody_else_never(ask, homeserver, plugin):
    homeserver.history["!three:example.com"] = homeserver.history["!secret:example.com"] = []
    homeserver.members["!three:example.com"] = [BOT, ADA, BOB]
    homeserver.members["!secret:example.com"] = [BOT, ADA]
    homeserver.encrypted_rooms.add("!secret:example.com")
    assert await plugin.gallery_commands._direct_chats.find(ADA, KITCHEN) == "!secret:example.com"


@pytest.mark.parametrize("people", [[BOT, ADA], [BOT]])
async def test_no_link_goes_into_a_plain_room_whose_maker_can_come_back_and_read_it(ask, homeserver, people):
    trap = "!trap:example.com"
    homeserver.members = {KITCHEN: [BOT, ADA, BOB], "!ada:example.com": [BOT, ADA, BOB], trap: people}
    homeserver.makers[trap], homeserver.history[trap] = BOB, []
    homeserver.state[trap, "m.room.member", ADA] = {"membership": "invite"}
    # An older homeserver shows only what its maker wrote.
    homeserver.leaves_out = "all but content"
    homeserver.state[trap, "m.room.create", ""] = {**homeserver._created(trap), "sender": ADA}
    (answer,) = await ask("!easel gallery")
    assert (answer.room_id, answer.content["body"]) == (KITCHEN, INVITED)
    assert len(homeserver.made) == 1


@pytest.mark.parametrize(("command", "page"), [("gallery", "enter"), ("frame", "frame")])
async def test_who_has_no_chat_with_the_bot_is_invited_and_gets_the_link_on_joining(
    ask, gallery_room, homeserver, plugin, quiet, command, page
):
    homeserver.display_names[CLEO] = "Cleo"
    homeserver.members[KITCHEN].append(CLEO)
    (answer,) = await ask(f"!easel {command}", sender=CLEO)
    assert (answer.room_id, answer.content["body"]) == (KITCHEN, INVITED)
    # Asked again, the bot makes no second room.
    await ask(f"!easel {command}", sender=CLEO)
    (made,) = homeserver.made
    assert made["invite"] == [CLEO] and made["is_direct"]
    new = "!made-1:example.com"
    # The bot remembers over a restart.
    await plugin.internal_stop()
    await plugin.internal_start()
    # Nobody is there yet who could read a hello.
    await gallery_room.put({"membership": "join"}, type="m.room.member", room_id=new, sender=BOT, state_key=BOT)
    await quiet()
    join = {"type": "m.room.member", "room_id": new}
    before = len(homeserver.sentences())
    await gallery_room.put({"membership": "join"}, sender=BOB, state_key=BOB, **join)
    homeserver.members[new].append(CLEO)
    await gallery_room.put({"membership": "join"}, sender=CLEO, state_key=CLEO, **join)
    (sent,) = (await homeserver.answers(before + 1))[before:]
    assert where([sent]) == [(new, True)] and f"/easel/{page}?key=" in sent.content["body"]
    # Who leaves and comes back gets no second one.
    await gallery_room.put({"membership": "join"}, sender=CLEO, state_key=CLEO, **join)
    assert where(await ask("!easel gallery", sender=CLEO, expect=2)) == [(KITCHEN, False), (new, True)]


async def test_a_homeserver_that_does_not_say_which_room_it_made_is_not_asked_for_another(ask, homeserver):
    homeserver.leaves_out = "room_id"
    (answer,) = await ask("!easel gallery", sender=CLEO)
    assert (answer.content["body"], len(homeserver.made)) == (NOT_SENT, 1)


async def test_off_says_whether_anything_was_open(ask):
    (nothing,) = await ask("!easel gallery off")
    await ask("!easel gallery", room_id="!ada:example.com")
    (done,) = await ask("!easel gallery off")
    assert (nothing.content["body"], done.content["body"]) == (
        "It isn't open on any of your devices.",
        "Done. Your gallery is closed on all your devices.",
    )


class TestWithoutAddress:
    @pytest.fixture
    def maubot_plugin_config_overrides(self):
        return {}

    @pytest.mark.parametrize("command", ["gallery", "frame"])
    async def test_without_an_address_the_answer_says_what_to_set(self, ask, command):
        (answer,) = await ask(f"!easel {command}")
        assert "gallery_url" in answer.content["body"]
        assert answer.content["body"].endswith("https://example.org/_matrix/maubot/plugin/easel/")


# ---- frames


async def framed(ask, sender: str = ADA) -> str:
    """Make a frame of the kitchen; return its address."""
    sent = await ask("!easel frame", sender=sender, expect=2)
    (link,) = [event.content["body"].splitlines()[-1] for event in sent if "?key=" in event.content["body"]]
    return link.partition("/easel/")[2]


@pytest.fixture
async def stars(gallery_room, homeserver) -> list[str]:
    """The prompts of three pictures with a star in the kitchen; others have none, or are elsewhere."""
    homeserver.members[KITCHEN] = [BOT, ADA, BOB]
    for number, (prompt, room_id) in enumerate(
        [("otter", KITCHEN), ("owl", KITCHEN), ("plain", KITCHEN), ("lynx", KITCHEN), ("elsewhere", "!ada:example.com")]
    ):
        await gallery_room.say(f"!draw {prompt}", room_id=room_id)
        await homeserver.until(
            lambda number=number: [event.kind for event in homeserver.events].count("recipe-file") > number
        )
        if prompt != "plain":
            picture = [event for event in homeserver.events if event.kind == "picture"][-1]
            relation = {"rel_type": "m.annotation", "event_id": f"$sent-{picture.txn_id}", "key": "⭐"}
            await gallery_room.put({"m.relates_to": relation}, type="m.reaction", room_id=room_id)
    return ["lynx", "owl", "otter"]


async def test_a_frame_shows_one_rooms_stars_one_after_the_other_without_signing_in(ask, stars, browsers, sign_in):
    tablet, address = browsers(), await framed(ask)
    key, after, seen = address.partition("key=")[2], "", []
    for _ in range(4):
        page = await tablet.get(f"frame?key={key}{after}")
        assert page.status == 200
        (picture,) = page.ids("frame")
        seen.append(page.text.partition('alt="')[2].partition('"')[0])
        assert (await tablet.get(f"frame/{picture}?key={key}")).status == 200
        after = f"&after={picture}"
    assert seen == [*stars, stars[0]]
    # It is read-only, and shows nothing else.
    for path in ("", f"picture/{picture}", f"image/{picture}", f"?key={key}"):
        assert (await tablet.get(path)).status == 403
    browser = await sign_in()
    others = [one for one in (await browser.get()).ids() if one not in (await browser.get("?star=1")).ids()]
    elsewhere = (await browser.get("?words=elsewhere")).ids()
    for one in (*others, *elsewhere):
        assert (await tablet.get(f"frame/{one}?key={key}")).status == 404


async def test_a_frame_ends_when_its_maker_leaves_the_room(ask, stars, browsers, homeserver):
    tablet, address = browsers(), await framed(ask)
    assert (await tablet.get(address)).status == 200
    homeserver.members[KITCHEN] = [BOT, BOB]
    assert (await tablet.get(address)).status == 404


async def test_frames_are_listed_and_ended(ask, browsers, homeserver):
    first, second = await framed(ask), await framed(ask, BOB)
    (listed,) = await ask("!easel frame list")
    assert [line.split(", since")[0] for line in listed.content["body"].splitlines()[:2]] == ["1. By Ada", "2. By Bob"]
    for text, answer in (
        ("off 3", NO_SUCH),
        ("off x", NO_SUCH),
        ("off 2", NOT_YOURS),
        ("off", ENDED),
        ("off", NONE_OF_YOURS),
    ):
        assert (await ask(f"!easel frame {text}"))[0].content["body"] == answer
    assert [(await browsers().get(address)).status for address in (first, second)] == [404, 200]
    homeserver.power_levels[ADA] = 100
    assert (await ask("!easel frame off 1"))[0].content["body"] == ENDED
    assert (await ask("!easel frame list"))[0].content["body"] == NO_FRAMES
    assert (await ask("!easel frame off"))[0].content["body"] == NO_FRAMES


@pytest.mark.parametrize(("text", "left"), [("!easel frame off 1", 1), ("!easel frame off", 0)])
async def test_an_end_that_is_read_twice_is_done_once(
    text, left, ask, gallery_room, homeserver, plugin, handled, restart
):
    last = await gallery_room.say("good morning")
    await handled(last)
    for _ in range(2):
        await framed(ask)
    homeserver.sins += [limited(60_000)]
    end = await gallery_room.say(text)
    await homeserver.until(lambda: homeserver.refused)
    frames = [said(f"$said-{n}", "!easel frame") for n in (2, 3)]
    homeserver.history[KITCHEN] = [said(last, "good morning"), *frames, said(end, text)]
    before = len(homeserver.sentences())
    await restart()
    assert (await homeserver.answers(before + 1))[-1].content["body"] == ENDED
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM gallery_key WHERE kind = 'frame'") == left


async def test_a_frame_that_is_asked_for_once_and_read_twice_is_one(
    ask, gallery_room, homeserver, plugin, handled, restart, monkeypatch
):
    last = await gallery_room.say("good morning")
    await handled(last)
    monkeypatch.setattr(homeserver, "sins", QuietAfter(homeserver, lambda event: event.kind == "link"))
    event_id = await gallery_room.say("!easel frame")
    await homeserver.until(lambda: homeserver.refused)
    homeserver.history[KITCHEN] = [said(last, "good morning"), said(event_id, "!easel frame")]
    await restart()
    assert where(await homeserver.answers(2)) == [("!ada:example.com", True), (KITCHEN, False)]
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM gallery_key WHERE kind = 'frame'") == 1


async def test_a_room_has_a_few_frames(ask):
    for _ in range(MAX_FRAMES_A_ROOM):
        await framed(ask)
    assert ROOM_IS_FULL in [event.content["body"] for event in await ask("!easel frame", expect=2)]
