"""Room keys that arrive after their message, and one that never arrives."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_the_bot_waits_for_late_keys_and_marks_a_message_whose_key_never_arrives(rooms):
    ada, bo, cleo, _ = rooms[True]
    maubot = ada.home.maubot
    await ada.person.withhold_key(ada.room_id)
    lost = await ada.say(f"!draw otter {SMALL}")

    for bot_is_down in (False, True):
        give_key = await bo.person.withhold_key(bo.room_id)
        late = await bo.say(f"!draw otter --seed 7 {SMALL}")
        # Later messages do not wait for the key.
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
