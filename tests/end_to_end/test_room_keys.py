"""Room keys that come later than the message that needs them, and one that never comes."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_a_key_that_comes_late_is_waited_for_and_a_lost_one_is_shown(rooms):
    ada, bo, cleo, _ = rooms[True]
    await ada.person.withhold_key(ada.room_id)
    lost = await ada.say(f"!draw otter {SMALL}")

    give_key = await bo.person.withhold_key(bo.room_id)
    late = await bo.say(f"!draw otter --seed 7 {SMALL}")
    # What comes after it does not wait for it.
    assert (await cleo.draw(f"!draw fox --seed 8 {SMALL}")).record["seed"] == 8
    assert not bo.replies(late)
    await give_key()
    assert (await bo.drawn(late)).record["seed"] == 7

    reaction = await ada.reply(lost)
    assert (reaction.type, reaction.content["m.relates_to"]["key"]) == ("m.reaction", "❓")
    assert "❓ of mine means that I could not read your message" in await cleo.answer("!easel help gestures")
    ada.person.renew_keys(ada.room_id)
    await ada.draw(f"!draw otter {SMALL}")
