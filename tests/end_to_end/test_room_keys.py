"""Room keys that come later than the message that needs them, and one that never comes."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_keys_that_come_late_are_waited_for_and_a_lost_one_is_shown(rooms):
    ada, bo, cleo, _ = rooms[True]
    maubot = ada.home.maubot
    await ada.person.withhold_key(ada.room_id)
    lost = await ada.say(f"!draw otter {SMALL}")

    for bot_is_down in (False, True):
        give_key = await bo.person.withhold_key(bo.room_id)
        late = await bo.say(f"!draw otter --seed 7 {SMALL}")
        # What comes after it does not wait for it.
        await cleo.draw(f"!draw fox {SMALL}")
        assert not bo.replies(late)
        if bot_is_down:
            await maubot.child.kill()
        await give_key()
        if bot_is_down:
            await maubot.start()
        assert (await bo.drawn(late)).record["seed"] == 7

    reaction = await ada.reply(lost)
    assert (reaction.type, reaction.content["m.relates_to"]["key"]) == ("m.reaction", "❓")
    ada.person.renew_keys(ada.room_id)
    await ada.draw(f"!draw otter {SMALL}")
