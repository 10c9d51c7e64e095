"""A bot that stops reads again what it may not have done to its end: that is done once, and answered once."""

import asyncio
import time
from collections.abc import Callable

import pytest

from bot.easel.commands.every import MAX_A_PERSON
from bot.easel.room.reactions import REMOVE
from tests.bot.test_corrections import edit, redacted
from tests.bot.test_interrupted import KITCHEN, limited, of_kind
from tests.bot.test_turns import recipe_file
from tests.helpers.fake_homeserver import BOT, Sent

ADA = "@ada:example.com"


def said(event_id: str, body: str) -> dict:
    """A message of Ada's as a room's history has it."""
    content = {"msgtype": "m.text", "body": body}
    event = {"type": "m.room.message", "room_id": KITCHEN, "event_id": event_id, "sender": ADA, "content": content}
    return {**event, "origin_server_ts": int(time.time() * 1000)}


@pytest.fixture
async def first(room, handled) -> str:
    """The last message that is handled before the command in question."""
    event_id = await room.say("good morning")
    await handled(event_id)
    return event_id


async def test_a_command_is_answered_once_though_the_bot_stops_before_that(first, room, homeserver, restart):
    homeserver.sins += [limited(60_000)]
    event_id = await room.say("!easel help")
    homeserver.history[KITCHEN] = [said(first, "good morning"), said(event_id, "!easel help")]
    await homeserver.until(lambda: homeserver.refused)
    await restart()
    await homeserver.answers()
    await restart()
    await room.say("!easel queue")
    assert len(await homeserver.answers(2)) == 2


async def test_a_schedule_is_kept_though_the_bot_stops_while_it_asks_for_names(first, room, homeserver, plugin):
    homeserver.in_silence.add(KITCHEN)
    homeserver.asked_of.clear()
    text = "!easel every day at 7: otter"
    event_id = await room.say(text)
    homeserver.history[KITCHEN] = [said(first, "good morning"), said(event_id, text)]
    await homeserver.until(lambda: KITCHEN in homeserver.asked_of)
    await plugin.internal_stop()
    await homeserver.end_silence(KITCHEN)
    await plugin.internal_start()
    await homeserver.answers()
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM scheduled") == 1


async def test_a_cancel_that_is_read_twice_cancels_one_job(first, room, homeserver, plugin, database_says):
    for n in range(3):
        await room.say(f"!draw otter {n}")
    # Somebody else's command waits for what it replies to, so that the room is not marked as read beyond it.
    homeserver.in_silence.add(KITCHEN)
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": "$photo"}}}
    saying = asyncio.create_task(room.say("!draw owl", sender="@bob:example.com", **reply))
    await homeserver.until(lambda: KITCHEN in homeserver.asked_of)
    event_id = await room.say("!easel cancel")
    cancelled = "SELECT COUNT(*) FROM job WHERE state = 'cancelled'"
    await database_says(cancelled, 1)
    homeserver.history[KITCHEN] = [said(first, "good morning"), said(event_id, "!easel cancel")]
    await plugin.internal_stop()
    await saying
    await homeserver.end_silence(KITCHEN)
    await plugin.internal_start()
    assert (await homeserver.marked("answer")).content["body"] == "Cancelled: otter 2"
    assert await plugin.database.fetchval(cancelled) == 1


async def test_a_schedule_that_is_read_twice_does_not_count_itself(first, room, homeserver, restart):
    texts = [f"!easel every day at {7 + n}: otter" for n in range(MAX_A_PERSON)]
    said_before = [said(await room.say(text), text) for text in texts[:-1]]
    await homeserver.answers(len(said_before))
    homeserver.sins += [limited(60_000)]
    event_id = await room.say(texts[-1])
    homeserver.history[KITCHEN] = [said(first, "good morning"), *said_before, said(event_id, texts[-1])]
    await homeserver.until(lambda: homeserver.refused)
    await restart()
    assert (await homeserver.answers(MAX_A_PERSON))[-1].content["body"] == "Every day at 8:00: otter"


async def test_a_stop_that_is_read_twice_ends_one_schedule(first, room, homeserver, plugin, restart):
    texts = ("!easel every day at 7: otter", "!easel every day at 8: owl", "!easel every stop 1")
    said_before = [said(await room.say(text), text) for text in texts[:2]]
    await homeserver.answers(2)
    homeserver.sins += [limited(60_000)]
    event_id = await room.say(texts[2])
    homeserver.history[KITCHEN] = [said(first, "good morning"), *said_before, said(event_id, texts[2])]
    await homeserver.until(lambda: homeserver.refused)
    await restart()
    assert (await homeserver.answers(3))[2].content["body"] == "Ended: every day at 7:00: otter"
    assert [row["typed"] for row in await plugin.database.fetch("SELECT typed FROM scheduled")] == ["owl"]


async def test_a_schedule_that_is_read_twice_is_not_there_again_after_its_stop(
    first, room, homeserver, plugin, restart, database_says
):
    texts = ("!easel every day at 7: otter", "!easel every stop 1")
    homeserver.sins += [limited(60_000)]
    heard = [said(await room.say(text), text) for text in texts]
    homeserver.history[KITCHEN] = [said(first, "good morning"), *heard]
    await homeserver.until(lambda: homeserver.refused)
    await database_says("SELECT COUNT(*) FROM done WHERE answer LIKE 'Ended%'", 1)
    await restart()
    answers = {event.content["body"] for event in await homeserver.answers(2)}
    assert answers == {"Every day at 7:00: otter", "Ended: every day at 7:00: otter"}
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM scheduled") == 0


async def test_an_edit_that_is_read_twice_does_not_end_its_schedule(
    first, room, homeserver, plugin, noted, handled, quiet
):
    texts = ("!easel every day at 7: otter", "!easel every day at 8: owl")
    event_id = await room.say(texts[0])
    await handled(event_id)
    # Somebody else's command waits for what it replies to, so that the room is not marked as read beyond it.
    slow = asyncio.create_task(room.say("!draw +hat", sender="@bob:example.com", **recipe_file(homeserver, "slow")))
    await homeserver.until(lambda: "slow" in homeserver.asked_of)
    edited_by = await edit(room, event_id, texts[1])
    await homeserver.answers(2)
    await noted()
    new = {"msgtype": "m.text", "body": texts[1]}
    replaced = {"m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}}
    again = said(edited_by, f"* {texts[1]}")
    again["content"] |= replaced
    homeserver.history[KITCHEN] = [said(event_id, texts[0]), again]
    await plugin.internal_stop()
    await slow
    await plugin.internal_start()
    await homeserver.until(lambda: not plugin._catching_up._all_behind)
    await quiet()
    assert [row["typed"] for row in await plugin.database.fetch("SELECT typed FROM scheduled")] == ["owl"]


async def test_the_removal_of_a_style_that_is_read_twice_is_answered_as_one(first, room, homeserver, restart):
    await room.say("!easel style add cosy = soft light")
    await homeserver.answers()
    homeserver.sins += [limited(60_000)]
    event_id = await room.say("!easel style remove cosy")
    homeserver.history[KITCHEN] = [said(first, "good morning"), said(event_id, "!easel style remove cosy")]
    await homeserver.until(lambda: homeserver.refused)
    await restart()
    assert (await homeserver.answers(2))[1].content["body"] == "@cosy is gone."


class QuietAfter(list):
    """Once such an event is there, the homeserver takes no other until the bot has started again."""

    def __init__(self, homeserver, is_such: Callable[[Sent], bool]) -> None:
        super().__init__([limited(60_000)])
        self._homeserver, self._is_such = homeserver, is_such

    def __bool__(self) -> bool:
        return len(self) > 0 and any(map(self._is_such, self._homeserver.events))


async def test_a_removal_is_done_though_the_bot_stops_in_between(
    first, drawing_room, homeserver, restart, noted, closed, monkeypatch
):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.files()
    await closed()
    await noted()
    before = homeserver.as_heard(BOT)
    picture, recipe = (f"$sent-{of_kind(homeserver, kind)[0].txn_id}" for kind in ("picture", "recipe"))
    # After the first redaction, the homeserver wants quiet.
    monkeypatch.setattr(homeserver, "sins", QuietAfter(homeserver, lambda event: event.type == "m.room.redaction"))
    relation = {"rel_type": "m.annotation", "event_id": picture, "key": REMOVE}
    reaction = drawing_room.event({"m.relates_to": relation}, type="m.reaction")
    await drawing_room.sync(reaction)
    await homeserver.until(lambda: homeserver.refused)
    later = await drawing_room.say("thanks")
    homeserver.history[KITCHEN] = [said(event_id, "!draw otter"), *before, reaction, said(later, "thanks")]
    await restart()
    await homeserver.until(lambda: redacted(homeserver) >= {picture, recipe})
