"""The progress that a person sees while a picture is drawn and after a restart of the bot."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "!draw otter --steps 2"
# The sign first moves after ten seconds: this is the longest job that one command allows, cancelled once it has moved.
LONG = "!draw otter -n 9 --steps 100"


async def test_a_progress_message_ends_with_the_outcome(encrypted, change_settings):
    await change_settings(progress="message")
    command = await encrypted.say(LONG)
    message = await encrypted.reply(command, "progress")
    assert message.body.startswith("🎨 ") and message.was_encrypted
    await encrypted.person.redact(encrypted.room_id, command)
    end = await encrypted.reply(message.event_id, "progress-end")
    assert end.content["m.new_content"]["body"] == "Not drawn."
    assert not encrypted.replies(command, "reaction")


async def test_progress_can_be_off(encrypted, change_settings):
    await change_settings(progress="off")
    drawn = await encrypted.draw(SMALL)
    assert encrypted.replies(drawn.command) == [drawn.recipe, drawn.picture]


async def test_a_progress_reaction_moves_and_ends_with_the_outcome_though_the_bot_was_down(encrypted):
    home = encrypted.home
    command = await encrypted.say(LONG)
    working, moved = await encrypted.replies_in_all(command, "reaction", number=2)
    assert working.content["m.relates_to"]["key"] == "🎨 ×9"
    assert moved.content["m.relates_to"]["key"].endswith("%")
    await encrypted.gone(working.event_id)
    await home.maubot.child.kill()
    await encrypted.person.react(encrypted.room_id, command, "❌")
    await home.maubot.start()
    assert await encrypted.end_of(command) == "🚫 cancelled"
    for shown in encrypted.replies(command, "reaction"):
        await encrypted.gone(shown.event_id)
    await home.generator.child.wait_until(home.generator.is_idle)


async def test_a_progress_reaction_is_removed_once_the_picture_is_sent_though_the_bot_was_down(encrypted):
    home = encrypted.home
    command = await encrypted.say("!draw otter --steps 100")
    await encrypted.reply(command, "reaction")
    await home.maubot.child.kill()
    await home.maubot.start()
    await encrypted.drawn(command)
    for shown in encrypted.replies(command, "reaction"):
        await encrypted.gone(shown.event_id)
    assert not encrypted.replies(command, "ended")
