"""Rooms in which the bot may not send everything."""

import pytest


def kinds(homeserver) -> list[str]:
    return [event.kind for event in homeserver.events if event.kind is not None]


@pytest.mark.parametrize("forbidden", ["m.room.redaction", "m.reaction"])
async def test_a_recipe_becomes_a_file_where_the_bot_may_not_react_or_redact(
    drawing_room, homeserver, closed, forbidden
):
    homeserver.forbidden.add(forbidden)
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await closed()
    assert "recipe-file" in kinds(homeserver)


async def test_a_cancelled_job_gets_its_sign_where_the_bot_may_not_redact(drawing_room, homeserver, drawn, closed):
    homeserver.forbidden.add("m.room.redaction")
    await drawing_room.say("!draw otter")
    await homeserver.marked("reaction")
    await drawing_room.say("!easel cancel")
    assert (await homeserver.marked("ended")).content["m.relates_to"]["key"] == "🚫 cancelled"
    await closed()
