"""A message that is edited: the last text counts, about what the message was about, and nothing of the others stays."""

import time
from typing import Any

import pytest

from bot.easel.jobs.job import job_id
from tests.bot.test_corrections import edit, redacted, sent

KITCHEN = "!kitchen:example.com"
ADA, BOB = "@ada:example.com", "@bob:example.com"


def reply(event_id: str) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": event_id}}}


def in_thread(event_id: str) -> dict[str, Any]:
    relation = {"rel_type": "m.thread", "event_id": event_id, "is_falling_back": True}
    return {"m.relates_to": {**relation, "m.in_reply_to": {"event_id": event_id}}}


async def react(room, event_id: str, key: str, **more) -> str:
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
    return await room.put({"m.relates_to": relation}, type="m.reaction", **more)


async def state(plugin, event_id: str) -> str:
    return await plugin.database.fetchval("SELECT state FROM job WHERE id = $1", job_id(event_id))


async def a_picture(room, homeserver, noted) -> str:
    await room.say("!draw otter --seed 7")
    picture = await homeserver.marked("picture")
    await noted()
    return f"$sent-{picture.txn_id}"


@pytest.fixture
async def picture(drawing_room, homeserver, noted, closed) -> str:
    """The id of a picture whose job has ended."""
    event_id = await a_picture(drawing_room, homeserver, noted)
    await closed()
    return event_id


async def test_a_near_miss_in_a_reply_is_corrected_about_that_picture(
    drawing_room, homeserver, fake_generator, noted, picture
):
    wrong = await drawing_room.say("!darw +scarf", **reply(picture))
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, wrong, "!draw +scarf")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    recipe = list(fake_generator.jobs.values())[-1].recipes[0]
    assert recipe.slots.subject == ("otter", "scarf")


@pytest.mark.parametrize("body", ["!draw +scarf", "+scarf"])
async def test_an_edit_that_repeats_the_quoted_lines_of_its_reply_is_followed(
    drawing_room, homeserver, fake_generator, picture, body
):
    event_id = await drawing_room.say("> <@botname:example.com> otter\n> seed 7\n\n!draw +hat", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await edit(drawing_room, event_id, f"> <@botname:example.com> otter\n> seed 7\n\n{body}")
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    assert [*fake_generator.jobs.values()][-1].recipes[0].slots.subject == ("otter", "scarf")


async def test_a_near_miss_in_a_thread_is_corrected_there(drawing_room, homeserver, fake_generator, noted):
    wrong = await drawing_room.say("!darw otter", **in_thread("$root"))
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, wrong, "!draw otter")
    picture = await homeserver.marked("picture")
    assert picture.content["m.relates_to"].get("event_id") == "$root", picture.content["m.relates_to"]


async def test_signs_that_wait_become_other_signs(drawing_room, homeserver, fake_generator, quiet, picture):
    drawn = fake_generator.wait_after(1)
    signs = await drawing_room.say("+scarf", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await edit(drawing_room, signs, "+hat")
    await quiet()
    drawn.set()
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    recipe = list(fake_generator.jobs.values())[-1].recipes[0]
    assert recipe.slots.subject == ("otter", "hat")


async def test_signs_become_other_signs_after_their_picture_came(
    drawing_room, homeserver, fake_generator, closed, quiet, picture
):
    signs = await drawing_room.say("+scarf", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await closed()
    await edit(drawing_room, signs, "+hat")
    await quiet()
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)


async def test_a_bare_draw_that_is_edited_to_nothing_is_cancelled(
    drawing_room, homeserver, fake_generator, plugin, quiet, picture
):
    drawn = fake_generator.wait_after(1)
    bare = await drawing_room.say("!draw", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await edit(drawing_room, bare, "never mind")
    await quiet()
    drawn.set()
    assert await state(plugin, bare) == "cancelled"


async def test_a_bare_draw_becomes_another_command(drawing_room, homeserver, fake_generator, plugin, quiet, picture):
    drawn = fake_generator.wait_after(1)
    bare = await drawing_room.say("!draw", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    homeserver.history[KITCHEN] = [
        {
            "type": "m.room.message",
            "event_id": bare,
            "sender": ADA,
            "content": {"body": "!draw"},
            "unsigned": {"membership": "join"},
        }
    ]
    await edit(drawing_room, bare, "!easel models")
    await quiet()
    drawn.set()
    assert await state(plugin, bare) != "open" and fake_generator.cancelled
    assert [e for e in homeserver.sentences() if e.room_id == KITCHEN]


async def test_a_style_sheet_is_drawn_again_when_it_is_edited(
    drawing_room, homeserver, fake_generator, noted, closed, quiet
):
    event_id = await drawing_room.say("!easel style sheet otter")
    await homeserver.files(2)
    await closed()
    await noted()
    await edit(drawing_room, event_id, "!easel style sheet owl")
    await homeserver.answers(2)
    assert "owl" in homeserver.sentences()[-1].content["body"]
    await quiet()
    await homeserver.until(lambda: len(fake_generator.jobs) == 4)


async def test_all_sheets_end_when_their_command_is_edited_to_nothing(
    drawing_room, homeserver, fake_generator, noted, plugin, drawn, quiet
):
    event_id = await drawing_room.say("!easel style sheet otter")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, event_id, "never mind")
    await quiet()
    states = [row["state"] for row in await plugin.database.fetch("SELECT state FROM job")]
    assert states == ["cancelled"] * 2


async def test_all_sheets_end_when_their_command_becomes_a_draw(
    drawing_room, homeserver, fake_generator, noted, plugin, drawn, quiet
):
    event_id = await drawing_room.say("!easel style sheet otter")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, event_id, "!draw owl")
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    await quiet()
    rows = [row["state"] for row in await plugin.database.fetch("SELECT state FROM job ORDER BY state")]
    assert rows.count("open") == 1
    assert sent(homeserver, "answer")[0] in redacted(homeserver)


async def test_an_edited_schedule_takes_the_place_of_the_old_one(drawing_room, homeserver, noted, plugin):
    event_id = await drawing_room.say("!easel every day at 7: otter")
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, event_id, "!easel every day at 8: owl")
    answer = (await homeserver.answers(2))[1].content["body"]
    assert answer == "Every day at 8:00: owl"
    rows = [(row["minute"], row["typed"]) for row in await plugin.database.fetch("SELECT * FROM scheduled")]
    assert rows == [(480, "owl")]


@pytest.mark.parametrize("body", ["!easel help", "never mind", "!draw owl"])
async def test_a_schedule_ends_when_its_message_becomes_something_else(
    drawing_room, homeserver, noted, plugin, body, quiet
):
    event_id = await drawing_room.say("!easel every day at 7: otter")
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, event_id, body)
    await quiet()
    rows = [(row["minute"], row["typed"]) for row in await plugin.database.fetch("SELECT * FROM scheduled")]
    assert rows == []


async def test_all_refusals_go_when_the_last_edit_is_right(drawing_room, homeserver, noted, closed, quiet):
    event_id = await drawing_room.say("!draw otter --sede 7")
    await closed()
    await edit(drawing_room, event_id, "!draw otter --seedd 7")
    await closed()
    await homeserver.answers(2)
    await edit(drawing_room, event_id, "!draw otter --seed 7")
    await homeserver.marked("picture")
    await closed()
    await quiet()
    gone = {s for s in sent(homeserver, "answer")[:2]} | set(sent(homeserver, "ended"))
    assert gone <= redacted(homeserver), gone - redacted(homeserver)


async def test_a_refusal_goes_when_the_message_becomes_another_command(drawing_room, homeserver, noted, closed, quiet):
    event_id = await drawing_room.say("!draw otter --sede 7")
    await closed()
    homeserver.history[KITCHEN] = [
        {
            "type": "m.room.message",
            "event_id": event_id,
            "sender": ADA,
            "content": {"body": "x"},
            "unsigned": {"membership": "join"},
        }
    ]
    await edit(drawing_room, event_id, "!easel help")
    await homeserver.answers(2)
    await quiet()
    gone = set(sent(homeserver, "answer")[:1]) | set(sent(homeserver, "ended"))
    assert gone <= redacted(homeserver), gone - redacted(homeserver)


async def test_a_command_that_is_edited_away_and_back_is_drawn(
    drawing_room, homeserver, fake_generator, drawn, plugin, quiet
):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    await edit(drawing_room, event_id, "never mind")
    assert fake_generator.cancelled
    await edit(drawing_room, event_id, "!draw otter")
    await quiet()
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)


async def test_the_sign_of_a_cancelled_job_goes_when_its_edit_is_drawn(
    drawing_room, homeserver, fake_generator, noted, closed, quiet
):
    drawn = fake_generator.wait_after(1)
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    await react(drawing_room, event_id, "❌")
    await homeserver.marked("ended")
    await noted()
    drawn.set()
    await edit(drawing_room, event_id, "!draw owl")
    await homeserver.marked("picture")
    await closed()
    await quiet()
    assert set(sent(homeserver, "ended")) <= redacted(homeserver)


async def test_what_was_said_of_an_expired_job_goes_when_its_edit_is_drawn(
    room, homeserver, plugin, noted, closed, database_says, fake_generator, serve, socket, quiet
):
    event_id = await room.say("!draw otter")
    await homeserver.marked("note")
    await noted()
    await plugin.database.execute("UPDATE job SET received_ms = received_ms - 100 * 3600000")
    await plugin.internal_stop()
    await plugin.internal_start()
    await closed()
    await plugin.database.execute("UPDATE job SET received_ms = $1", int(time.time() * 1000))
    assert await state(plugin, event_id) == "expired"
    # A change of the note that the stop interrupted is never noted as sent.
    await database_says("SELECT COUNT(*) FROM posted WHERE event_id IS NULL AND kind IN ('answer', 'ended')", 0)
    await serve.unix(fake_generator.app(), socket)
    await edit(room, event_id, "!draw owl")
    await homeserver.marked("picture")
    await closed()
    await quiet()
    gone = set(sent(homeserver, "answer")[:1]) | set(sent(homeserver, "ended"))
    assert gone <= redacted(homeserver)


async def test_a_draw_in_a_reply_becomes_a_bare_one(drawing_room, homeserver, fake_generator, closed, quiet, picture):
    event_id = await drawing_room.say("!draw +scarf", **reply(picture))
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await closed()
    await edit(drawing_room, event_id, "!draw")
    await quiet()
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)


async def test_a_weekly_schedule_is_edited_days_after_its_picture(
    drawing_room, homeserver, plugin, noted, closed, fake_generator, quiet
):
    event_id = await drawing_room.say("!easel every friday at 7: otter")
    await homeserver.answers(1)
    await noted()
    await plugin.database.execute("UPDATE scheduled SET next_ms = $1", int((time.time() - 1) * 1000))
    plugin._schedule.changed()
    await homeserver.marked("picture")
    await closed()
    await plugin.database.execute("UPDATE job SET received_ms = received_ms - 3 * 86400000")
    await edit(drawing_room, event_id, "!easel every friday at 8: owl")
    await quiet()
    assert len([e for e in homeserver.sentences() if e.room_id == KITCHEN]) == 2


async def test_a_caption_becomes_another_command(drawing_room, homeserver, fake_generator, closed, quiet):
    content = {"msgtype": "m.image", "filename": "IMG.jpg", "url": "mxc://example.com/x"}
    event_id = await drawing_room.put({**content, "body": "!draw"})
    await homeserver.answers(1)
    await closed()
    homeserver.history[KITCHEN] = [
        {
            "type": "m.room.message",
            "event_id": event_id,
            "sender": ADA,
            "content": {**content, "body": "!draw"},
            "unsigned": {"membership": "join"},
        }
    ]
    relation = {"rel_type": "m.replace", "event_id": event_id}
    await drawing_room.put(
        {
            **content,
            "body": "* !easel help",
            "m.new_content": {**content, "body": "!easel help"},
            "m.relates_to": relation,
        }
    )
    await quiet()
    assert len([e for e in homeserver.sentences() if e.room_id == KITCHEN]) == 2


async def test_a_cancel_becomes_a_cancel_of_all(drawing_room, homeserver, fake_generator, drawn, noted, plugin):
    for body in ("!draw otter", "!draw owl", "!draw fox"):
        await drawing_room.say(body)
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    event_id = await drawing_room.say("!easel cancel")
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, event_id, "!easel cancel all")
    answer = (await homeserver.answers(2))[1].content["body"]
    states = [row["state"] for row in await plugin.database.fetch("SELECT state FROM job")]
    assert states == ["cancelled"] * 3, (answer, states)


async def test_a_cancel_in_a_reply_is_corrected_about_that_job(
    drawing_room, homeserver, fake_generator, drawn, noted, plugin, quiet
):
    events = [await drawing_room.say(body) for body in ("!draw otter", "!draw owl")]
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    wrong = await drawing_room.say("!easel cancle", **reply(events[0]))
    await homeserver.answers(1)
    await noted()
    await edit(drawing_room, wrong, "!easel cancel")
    await homeserver.answers(2)
    await quiet()
    assert [await state(plugin, e) for e in events] == ["cancelled", "open"]


async def test_a_schedule_is_edited_after_its_first_picture(drawing_room, homeserver, plugin, noted, closed):
    event_id = await drawing_room.say("!easel every day at 7: otter")
    await homeserver.answers(1)
    await plugin.database.execute("UPDATE scheduled SET next_ms = $1", int((time.time() - 1) * 1000))
    plugin._schedule.changed()
    await homeserver.marked("picture")
    await closed()
    await edit(drawing_room, event_id, "!easel every day at 7: owl")
    await homeserver.answers(2)
    rows = [row["typed"] for row in await plugin.database.fetch("SELECT * FROM scheduled")]
    assert rows == ["owl"]


async def test_the_answer_to_an_earlier_edit_goes_over_a_restart(room, homeserver, plugin, noted):
    event_id = await room.say("!easel halp")
    await homeserver.answers(1)
    await noted()
    first = await edit(room, event_id, "!easel hlep")
    await homeserver.answers(2)
    await noted()
    await plugin.internal_stop()
    await plugin.internal_start()
    written = {"type": "m.room.message", "event_id": event_id, "sender": ADA, "content": {"body": "!easel halp"}}
    help_ = {"msgtype": "m.text", "body": "!easel help"}
    content = {**help_, "m.relates_to": {"rel_type": "m.replace", "event_id": event_id}, "m.new_content": help_}
    edits = [room.event(content, event_id=edit_id) for edit_id in (first, "$second")]
    homeserver.history[KITCHEN] = [{**written, "unsigned": {"membership": "join"}}, *edits]
    await room.put(content, event_id="$second")
    await homeserver.answers(3)
    assert redacted(homeserver) == set(sent(homeserver, "answer")[:2])
