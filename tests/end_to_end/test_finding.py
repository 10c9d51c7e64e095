"""Reactions that are buttons, favourites, and finding pictures again: two people in an encrypted room."""

from dataclasses import replace

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


@pytest_asyncio.fixture(loop_scope="session")
async def talks(home, family, start_talk):
    """A room of its own, since `find` sees every picture of its room."""
    ada, bo, *_ = family
    talk = await start_talk(home, ada, encrypted=True, guest=bo)
    return talk, replace(talk, person=bo)


def offered(talk, picture: str) -> list[str]:
    reactions = [event for event in talk.replies(picture) if event.mark.get("kind") == "offer"]
    return [event.content["m.relates_to"]["key"] for event in reactions]


async def test_pictures_are_found_by_words_people_and_stars_in_their_own_room(talks, plain):
    ada, bo = talks
    first = await ada.draw(f"!draw otter, cowboy hat | style: watercolor {SMALL}")
    second = await bo.draw(f"!draw otter, scarf {SMALL}")

    # Each person's first picture offers the reactions.
    for talk, drawn in ((ada, first), (bo, second)):
        await talk.person.until(lambda talk=talk, drawn=drawn: len(offered(talk, drawn.picture.event_id)) == 4)
        assert offered(talk, drawn.picture.event_id) == ["🎲", "⬆️", "⭐", "📋"]

    both = await ada.answer("!easel find otter")
    newest, oldest = (event.picture.event_id.replace("$", "%24") for event in (second, first))
    assert both.index(newest) < both.index(oldest)
    assert await ada.answer("!easel find otter watercolor") == await ada.answer(
        f"!easel find by:{ada.person.account.user_id}"
    )
    assert await ada.answer("!easel find otter model:pocket") == both
    assert newest not in await ada.answer("!easel find otter model:ssd-1b")
    assert newest not in await ada.answer("!easel history")
    assert newest in await bo.answer("!easel history")

    # `by:` takes a Matrix id or the name that the room shows.
    await bo.person.be_called("Bo the Bold")
    bo_id = bo.person.account.user_id
    await ada.person.until(lambda: ada.person.sees_name(ada.room_id, bo_id) == "Bo the Bold")
    named = await ada.answer('!easel find by:"bo the bold" otter')
    assert newest in named and oldest not in named

    star = await bo.person.react(bo.room_id, first.picture.event_id, "⭐")
    found = await ada.answer("!easel find ⭐")
    assert oldest in found and newest not in found
    await bo.person.redact(bo.room_id, star)
    assert await ada.answer("!easel find ⭐") == "I found none in this room."

    # A second picture offers no reactions, and a removed picture is not found.
    third = await ada.draw(f"!draw otter, boots {SMALL}")
    await ada.person.react(ada.room_id, third.picture.event_id, "🗑️")
    await ada.gone(third.picture.event_id)
    assert offered(ada, third.picture.event_id) == []
    assert "boots" not in await ada.answer("!easel find otter")
    assert first.picture.event_id.replace("$", "%24") not in await plain.answer("!easel find otter watercolor")


async def test_a_setting_chooses_the_reactions(rooms, change_settings):
    ada, bo, *_ = rooms[False]
    await change_settings(reactions=["⭐", "🎲"], offer_reactions="always")
    drawn = await ada.draw(f"!draw otter {SMALL}")
    await ada.person.until(lambda: len(offered(ada, drawn.picture.event_id)) == 2)
    assert offered(ada, drawn.picture.event_id) == ["🎲", "⭐"]
    # A reaction that the setting omits does nothing; the others still work.
    await bo.person.react(bo.room_id, drawn.picture.event_id, "📋")
    await bo.person.react(bo.room_id, drawn.picture.event_id, "🎲")
    await bo.reply(drawn.picture.event_id, "recipe")
    assert bo.replies(drawn.picture.event_id, "answer") == []
