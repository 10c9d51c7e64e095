"""``!easel find`` and favourites: pictures of this room, never of another."""

from dataclasses import replace

import pytest

from bot.easel.commands.find import (
    MAX_FOUND,
    NOTHING_FOUND,
    TOO_MANY_WORDS,
    Wanted,
    found_text,
    people_called,
    read_wanted,
)
from bot.easel.jobs.picture_tables import MAX_WANTED_WORDS, DrawnPicture, Found
from bot.easel.room.messages import Message

ROOM = "!kitchen:example.com"
ADA, BOB = "@ada:example.com", "@bob:example.com"
PICTURE = DrawnPicture(
    event_id="$1", prompt="otter, (cowboy hat)++", model="ssd-1b", sender=ADA, received_ms=1, is_favourite=False
)
ASKED = Message(room_id=ROOM, event_id="$find", sender=BOB, body="")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("otter watercolor", Wanted(("otter", "watercolor"))),
        ("otter, by:ada model:ssd-1b ⭐️", Wanted(("otter",), "ada", "ssd-1b", True)),
        ('by:"Ada Lovelace" hat', Wanted(("hat",), "Ada Lovelace")),
        ("by:“Ada Lovelace”", Wanted((), "Ada Lovelace")),
        ("BY: @ada:example.com", Wanted((), ADA)),
        ("⭐", Wanted((), is_favourite=True)),
        ("stand by:", Wanted(("stand", "by:"))),
    ],
)
def test_search_terms_are_read_in_any_order(text, wanted):
    assert read_wanted(text) == wanted


@pytest.mark.parametrize("name", ["@ada:example.com", "ada", "Ada", "Countess Ada", "ada:example.com"])
def test_people_are_found_by_any_of_their_names(name):
    assert people_called(name, {ADA, BOB}, {ADA: "Countess Ada"}) == {ADA}


def test_an_unknown_name_matches_nobody():
    assert people_called("cleo", {ADA, BOB}, {"@x:example.com": "cleo"}) == set()


def test_the_newest_few_are_listed_with_their_links():
    some = tuple(replace(PICTURE, event_id=f"${n}") for n in range(MAX_FOUND))
    text = found_text(Found(some, MAX_FOUND + 2), ASKED, {ADA: "Countess <Ada>"})
    heading, *lines = text.plain.splitlines()
    assert heading == f"The {MAX_FOUND} newest of {MAX_FOUND + 2}:"
    assert len(lines) == 2 * MAX_FOUND
    assert lines[0] == "1. otter, (cowboy hat)++ · Countess <Ada> · 1 Jan 1970 · ssd-1b"
    url = "https://matrix.to/#/%21kitchen%3Aexample.com/%240?via=example.com"
    assert lines[1] == url
    assert f'<li><a href="{url}">otter, (cowboy hat)++</a> · Countess &lt;Ada&gt; · ' in text.html
    assert found_text(Found(some, MAX_FOUND), ASKED, {}).plain.startswith(f"Found {MAX_FOUND}:\n")
    assert found_text(Found(), ASKED, {}) == NOTHING_FOUND


async def test_too_many_words_are_refused(room, homeserver):
    assert await find(room, homeserver, f"!easel find {'otter ' * (MAX_WANTED_WORDS + 1)}") == TOO_MANY_WORDS


async def find(room, homeserver, text: str, **more) -> str:
    before = len(homeserver.sentences())
    await room.say(text, **more)
    return (await homeserver.answers(before + 1))[-1].content["body"]


async def sent(homeserver, kind: str) -> str:
    return f"$sent-{(await homeserver.marked(kind)).txn_id}"


async def test_pictures_are_found_in_their_own_room_only(drawing_room, homeserver):
    await drawing_room.say("!draw otter, hat --seed 1")
    await homeserver.marked("recipe-file")
    picture = (await sent(homeserver, "picture")).replace("$", "%24")
    assert picture in await find(drawing_room, homeserver, "!easel find otter")
    assert picture in await find(drawing_room, homeserver, "!easel history")
    homeserver.display_names = {ADA: "Countess"}
    assert picture in await find(drawing_room, homeserver, "!easel find by:countess hat")
    assert await find(drawing_room, homeserver, "!easel find owl") == NOTHING_FOUND
    assert await find(drawing_room, homeserver, "!easel history", sender=BOB) == NOTHING_FOUND
    assert await find(drawing_room, homeserver, "!easel find otter", room_id="!other:example.com") == NOTHING_FOUND
    assert await find(drawing_room, homeserver, "!easel find by:bob") == "Nobody called “bob” has drawn here."
    assert "pictures by their words" in await find(drawing_room, homeserver, "!easel find")


async def test_a_star_makes_a_favourite_until_it_is_removed(drawing_room, homeserver, plugin):
    await drawing_room.say("!draw otter --seed 1")
    await homeserver.marked("recipe-file")
    relation = {"rel_type": "m.annotation", "event_id": await sent(homeserver, "picture"), "key": "⭐️"}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction", event_id="$star", sender=BOB)
    assert "⭐ otter" in await find(drawing_room, homeserver, "!easel find ⭐")
    await drawing_room.put({}, type="m.room.redaction", redacts="$star", sender=BOB)
    assert await find(drawing_room, homeserver, "!easel find ⭐") == NOTHING_FOUND


@pytest.mark.parametrize("maubot_plugin_config_overrides", [{"allowed_users": [ADA]}])
async def test_a_star_of_somebody_who_may_not_use_the_bot_makes_no_favourite(drawing_room, homeserver):
    await drawing_room.say("!draw otter --seed 1")
    await homeserver.marked("recipe-file")
    relation = {"rel_type": "m.annotation", "event_id": await sent(homeserver, "picture"), "key": "⭐"}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction", event_id="$star", sender=BOB)
    assert await find(drawing_room, homeserver, "!easel find ⭐") == NOTHING_FOUND


@pytest.mark.parametrize("key", ["🎲", "⬆️", "⭐", "📋", "🗑️"])
async def test_a_reaction_from_another_room_does_nothing(drawing_room, homeserver, fake_generator, key):
    await drawing_room.say("!draw otter --seed 1")
    await homeserver.files()
    relation = {"rel_type": "m.annotation", "event_id": await sent(homeserver, "picture"), "key": key}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction", room_id="!other:example.com")
    redacted = await sent(homeserver, "picture")
    await drawing_room.put({}, type="m.room.redaction", redacts=redacted, room_id="!other:example.com")
    assert "\n1. otter · " in await find(drawing_room, homeserver, "!easel find otter")
    assert (len(fake_generator.jobs), fake_generator.forgotten) == (1, [])


async def test_a_picture_that_somebody_else_redacted_is_no_longer_found(drawing_room, homeserver):
    await drawing_room.say("!draw otter --seed 1")
    await homeserver.marked("recipe-file")
    await drawing_room.put({}, type="m.room.redaction", redacts=await sent(homeserver, "picture"), sender=BOB)
    assert await find(drawing_room, homeserver, "!easel find otter") == NOTHING_FOUND


def offered(homeserver) -> list[str]:
    offers = [event for event in homeserver.events if event.kind == "offer" and event.room_id == ROOM]
    return [event.content["m.relates_to"]["key"] for event in offers]


async def drawn_one_after_the_other(room, homeserver, number: int) -> None:
    for n in range(1, number + 1):
        await room.say(f"!draw otter --seed {n}")
        await homeserver.files(n)
        await homeserver.until(lambda n=n: len([event for event in homeserver.events if event.kind == "recipe"]) == n)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({}, ["🎲", "⬆️", "⭐", "📋"]),
        ({"offer_reactions": "never"}, []),
        ({"offer_reactions": "always"}, ["🎲", "⬆️", "⭐", "📋"] * 2),
        ({"reactions": ["⭐", "🗑️"]}, ["⭐"]),
    ],
    ids=["first", "never", "always", "some"],
)
class TestOffers:
    @pytest.fixture
    def maubot_plugin_config_overrides(self, settings):
        return settings

    async def test_reactions_are_offered_as_the_settings_say(
        self, drawing_room, homeserver, fake_generator, settings, keys
    ):
        fake_generator.sins["recipe"] = fake_generator._bytes(b"prompt: otter\nwidth: 768\nheight: 768\n")
        await drawn_one_after_the_other(drawing_room, homeserver, 2)
        await homeserver.until(lambda: len(offered(homeserver)) >= len(keys))
        # Once this is drawn, the second job is closed as well.
        await drawing_room.say("!draw owl", sender=BOB, room_id="!other:example.com")
        await homeserver.files(3)
        assert offered(homeserver) == keys


@pytest.mark.parametrize(
    "recipe",
    [
        b"prompt: otter\nwidth: 1024\nheight: 1024\n",
        b"prompt: otter\nwidth: 1280\nheight: 256\n",
        b"prompt: otter\nwidth: 768\nheight: 768\nmodel: gone\n",
        b"prompt: otter\n",
    ],
    ids=["pixels", "side", "model", "no size"],
)
async def test_no_larger_picture_is_offered_where_none_can_be_drawn(drawing_room, homeserver, fake_generator, recipe):
    fake_generator.sins["recipe"] = fake_generator._bytes(recipe)
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: len(offered(homeserver)) == 3)
    assert offered(homeserver) == ["🎲", "⭐", "📋"]


class TestFewReactions:
    @pytest.fixture
    def maubot_plugin_config_overrides(self):
        return {"reactions": ["🗑️"]}

    async def test_reactions_omitted_from_the_settings_do_nothing(self, drawing_room, homeserver, fake_generator):
        await drawing_room.say("!draw otter --seed 1")
        await homeserver.files()
        picture = await sent(homeserver, "picture")
        for key in ("🎲", "⭐", "📋", "🗑️"):
            relation = {"rel_type": "m.annotation", "event_id": picture, "key": key}
            await drawing_room.put({"m.relates_to": relation}, type="m.reaction")
        await homeserver.until(lambda: fake_generator.forgotten)
        assert len(fake_generator.jobs) == 1
        assert homeserver.sentences() == []
