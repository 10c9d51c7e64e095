"""Room keys that arrive after their message, and one that never arrives."""

import pytest

from tests.end_to_end.conftest import WITHOUT_KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_the_bot_waits_for_late_keys(rooms):
    _, bo, cleo, _ = rooms[True]
    maubot = bo.home.maubot
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


async def test_a_message_whose_key_never_arrives_is_marked(rooms):
    *_, dan = rooms[True]
    lost = await dan.person.hear(lambda event: event.body == WITHOUT_KEY)
    reaction = await dan.reply(lost.event_id)
    assert (reaction.type, reaction.content["m.relates_to"]["key"]) == ("m.reaction", "❓")
    await dan.draw(f"!draw otter {SMALL}")
