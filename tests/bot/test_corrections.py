"""Wrong commands: near misses are answered, edits correct them, and what is said to the bot gets one hint."""

import asyncio

import pytest
from aiohttp import web

from bot.easel.commands.hints import AGAIN_AFTER_S, HINT, Hints
from bot.easel.jobs.job import job_id
from bot.easel.room.messages import Message

ROOM = "!kitchen:example.com"
ADA, BOB = "@ada:example.com", "@bob:example.com"


async def edit(room, event_id: str, body: str, **more) -> str:
    new = {"msgtype": "m.text", "body": body}
    relation = {"rel_type": "m.replace", "event_id": event_id}
    return await room.put(
        {"msgtype": "m.text", "body": f"* {body}", "m.new_content": new, "m.relates_to": relation}, **more
    )


def redacted(homeserver) -> set[str]:
    return {event.content["redacts"] for event in homeserver.events if event.type == "m.room.redaction"}


def sent(homeserver, kind: str) -> list[str]:
    return [f"$sent-{event.txn_id}" for event in homeserver.events if event.kind == kind]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("!darw otter, hat", "Did you mean !draw otter, hat? Edit your message, and I'll do it."),
        ("/draw otter", "Did you mean !draw otter? Edit your message, and I'll do it."),
        ("!esael help", "Did you mean !easel help? Edit your message, and I'll do it."),
    ],
)
async def test_a_near_miss_of_a_command_is_answered(room, homeserver, body, answer):
    await room.say(body)
    assert await homeserver.answer() == answer


@pytest.mark.parametrize("wrong", ["!drwa otter", "!draw", "!easel halp", "otter"])
async def test_a_wrong_command_is_edited_into_a_picture(drawing_room, homeserver, noted, wrong):
    event_id = await drawing_room.say(wrong)
    written = {"type": "m.room.message", "event_id": event_id, "sender": ADA, "content": {"body": wrong}}
    homeserver.history[ROOM] = [written]
    if wrong.startswith("!"):
        await homeserver.answers(1)
        await noted()
    await edit(drawing_room, event_id, "!draw otter")
    picture = await homeserver.marked("picture")
    assert picture.content["m.relates_to"] == {"m.in_reply_to": {"event_id": event_id}}
    assert redacted(homeserver) >= set(sent(homeserver, "answer"))


async def test_a_wrong_question_is_edited_into_a_right_one(room, homeserver, noted):
    event_id = await room.say("!easel halp")
    await homeserver.answers(1)
    await noted()
    await edit(room, event_id, "!easel hlep")
    await homeserver.answers(2)
    await noted()
    await edit(room, event_id, "!easel help")
    first, second, third = await homeserver.answers(3)
    assert "!easel queue" in third.content["body"]
    assert third.content["m.relates_to"] == {"m.in_reply_to": {"event_id": event_id}}
    assert redacted(homeserver) == {f"$sent-{first.txn_id}", f"$sent-{second.txn_id}"}


@pytest.mark.parametrize("wrong", ["!darw otter", "!easel halp"])
async def test_a_near_miss_that_becomes_another_is_answered_again(room, homeserver, noted, wrong):
    event_id = await room.say(wrong)
    await homeserver.answers(1)
    await noted()
    await edit(room, event_id, "!drwa owl")
    first, second = await homeserver.answers(2)
    assert second.content["body"] == "Did you mean !draw owl? Edit your message, and I'll do it."
    assert redacted(homeserver) == {f"$sent-{first.txn_id}"}


async def test_the_refusal_of_a_corrected_command_goes(drawing_room, homeserver, fake_generator):
    event_id = await drawing_room.say("!draw otter --sede 7")
    await homeserver.marked("ended")
    await edit(drawing_room, event_id, "!draw otter --seed 7")
    await homeserver.marked("picture")
    gone = {*sent(homeserver, "answer"), *sent(homeserver, "ended")}
    assert len(gone) == 2
    await homeserver.until(lambda: redacted(homeserver) >= gone)


@pytest.mark.parametrize(("sender", "membership"), [(ADA, "join"), (BOB, "join"), (ADA, "invite")])
async def test_an_edit_is_followed_over_a_restart(
    drawing_room, homeserver, fake_generator, plugin, noted, sender, membership
):
    """Of its sender, and of what was written while the bot was in the room."""
    wrong = await drawing_room.say("!darw owl")
    await homeserver.answers(1)
    await noted()
    before = {"type": "m.room.message", "event_id": wrong, "sender": ADA, "content": {"body": "!darw owl"}}
    homeserver.history[ROOM] = [{**before, "unsigned": {"membership": membership}}]
    await plugin.internal_stop()
    await plugin.internal_start()
    await edit(drawing_room, wrong, "!draw owl", sender=sender)
    if (sender, membership) == (ADA, "join"):
        picture = await homeserver.marked("picture")
        assert picture.content["m.relates_to"] == {"m.in_reply_to": {"event_id": wrong}}
        assert redacted(homeserver) >= set(sent(homeserver, "answer"))
    else:
        await drawing_room.say("!easel status")
        await homeserver.answers(2)
        assert not fake_generator.jobs and not redacted(homeserver)


async def test_nobody_corrects_what_another_person_wrote(drawing_room, homeserver, fake_generator):
    event_id = await drawing_room.say("!drwa otter")
    await homeserver.answers(1)
    await edit(drawing_room, event_id, "!draw otter", sender=BOB)
    await drawing_room.say("!easel status")
    await homeserver.answers(2)
    assert not fake_generator.jobs and not redacted(homeserver)


async def test_an_edit_of_an_event_that_is_not_in_the_room_draws_nothing(drawing_room, homeserver, fake_generator):
    await edit(drawing_room, "$elsewhere", "!draw otter")
    await drawing_room.say("!easel status")
    await homeserver.answers(1)
    assert not fake_generator.jobs


async def test_a_mention_gets_one_hint_in_a_while(room, homeserver, maubot_test_bot):
    homeserver.display_names = {ADA: "Ada", BOB: "Bob", maubot_test_bot.client.mxid: "Easel"}
    await room.say("good morning")
    mentions = {"m.mentions": {"user_ids": [maubot_test_bot.client.mxid]}}
    for _ in range(3):
        await room.say("Easel: draw me an otter", **mentions)
    await room.say("!easel status")
    answers = [event.content["body"] for event in await homeserver.answers(2)]
    assert answers.count(HINT) == 1 and len(answers) == 2


async def test_a_direct_chat_gets_the_hint(room, homeserver, maubot_test_bot):
    homeserver.display_names = {ADA: "Ada", maubot_test_bot.client.mxid: "Easel"}
    await room.say("an otter, please")
    await room.say("thanks")
    await room.say("!easel status")
    assert [event.content["body"] == HINT for event in await homeserver.answers(2)] == [True, False]


async def test_a_mention_before_a_command_is_read(drawing_room, fake_generator, homeserver, maubot_test_bot):
    mentions = {"m.mentions": {"user_ids": [maubot_test_bot.client.mxid]}}
    await drawing_room.say("Picture Bot: !draw otter", **mentions)
    await homeserver.marked("picture")
    (job,) = fake_generator.jobs.values()
    assert job.recipes[0].slots.subject == ("otter",)


class Rooms:
    """Direct chats, and how often somebody asked about them."""

    def __init__(self, *direct: str) -> None:
        self.direct, self.asked = direct, 0

    async def members(self, room_id: str) -> dict[str, str]:
        self.asked += 1
        return dict.fromkeys(("@easel", ADA) if room_id in self.direct else ("@easel", ADA, "@bob"), "")


async def test_hints_come_again_after_a_while_and_ask_rarely_who_is_there():
    now = [0.0]
    rooms = Rooms("!direct")
    hints = Hints(rooms, lambda: now[0])
    direct, other = (Message(room_id=room, event_id="$a", sender=ADA, body="hi") for room in ("!direct", "!other"))
    assert [await hints.hint_for(direct), await hints.hint_for(direct)] == [HINT, None]
    assert [await hints.hint_for(other) for _ in range(5)] == [None] * 5
    assert rooms.asked == 2
    now[0] = AGAIN_AFTER_S
    assert await hints.hint_for(direct) == HINT


# ---- the generator draws what is wanted last


async def hang(request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    raise web.HTTPServiceUnavailable


@pytest.fixture
async def corrected(drawing_room, homeserver, fake_generator, drawn) -> str:
    """A command that is at the generator; its correction is on its way there."""
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    fake_generator.sins["submit"] = hang
    await edit(drawing_room, event_id, "!draw owl")
    await homeserver.until(lambda: fake_generator.asked.count("submit") == 2)
    del fake_generator.sins["submit"]
    return event_id


async def test_a_command_that_is_corrected_twice_leaves_no_job_at_the_generator(
    corrected, drawing_room, homeserver, fake_generator, drawn, closed
):
    await edit(drawing_room, corrected, "!draw owl, hat")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    drawn.set()
    await closed()
    assert job_id(corrected) in fake_generator.cancelled


async def test_a_job_whose_correction_is_cancelled_is_not_drawn_either(
    corrected, drawing_room, homeserver, fake_generator, closed
):
    await drawing_room.say("!easel cancel")
    await homeserver.answers()
    await closed()
    assert job_id(corrected) in fake_generator.cancelled


async def test_a_job_whose_correction_the_generator_refuses_is_not_drawn_either(
    drawing_room, homeserver, fake_generator, drawn, refusal, closed
):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    fake_generator.sins["submit"] = refusal(422, "No.")
    await edit(drawing_room, event_id, "!draw owl")
    await closed()
    assert job_id(event_id) in fake_generator.cancelled
