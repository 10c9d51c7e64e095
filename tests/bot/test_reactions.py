"""The effect of deletions, reactions, edits and leaving on people's jobs and pictures."""

import pytest
from aiohttp import web

from bot.easel.commands.draw import UNREAD_RECIPE
from bot.easel.jobs.job import job_id
from bot.easel.jobs.runner import OTHER_VERSION
from bot.easel.room import replies

BOB = "@bob:example.com"


@pytest.fixture
async def waiting(drawing_room, fake_generator, homeserver, drawn) -> str:
    """A command whose job waits for its turn."""
    event_id = await drawing_room.say("!draw otter --seed 1")
    await homeserver.marked("reaction")
    await homeserver.until(lambda: fake_generator.jobs)
    return event_id


async def react(room, event_id: str, key: str, **more) -> str:
    relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
    return await room.put({"m.relates_to": relation}, type="m.reaction", **more)


async def edit(room, event_id: str, body: str, **more) -> str:
    new = {"msgtype": "m.text", "body": body}
    return await room.put(
        {
            "msgtype": "m.text",
            "body": f"* {body}",
            "m.new_content": new,
            "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
        },
        **more,
    )


async def seeds(homeserver, number: int) -> list[str]:
    return [file.content["body"] for file in await homeserver.files(number)]


async def state(plugin, event_id: str) -> str:
    return await plugin.database.fetchval("SELECT state FROM job WHERE id = $1", job_id(event_id))


async def test_deleting_the_message_cancels(drawing_room, homeserver, fake_generator, plugin, waiting):
    await drawing_room.put({}, type="m.room.redaction", redacts=waiting)
    assert fake_generator.cancelled == [job_id(waiting)]
    assert await state(plugin, waiting) == "deleted"
    # The bot's reaction is removed without a replacement.
    (redaction,) = await homeserver.until(lambda: [e for e in homeserver.events if e.type == "m.room.redaction"])
    assert redaction.content["redacts"].startswith("$sent-")
    assert [event.kind for event in homeserver.events if event.kind] == ["reaction"]


@pytest.mark.parametrize("key", ["❌", "❌\ufe0f"])
async def test_a_cross_cancels_and_the_job_is_marked_as_cancelled(
    drawing_room, homeserver, fake_generator, plugin, waiting, key
):
    await react(drawing_room, waiting, key)
    assert fake_generator.cancelled == [job_id(waiting)]
    ended = await homeserver.marked("ended")
    assert ended.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": waiting, "key": "🚫 cancelled"}


@pytest.mark.parametrize(
    ("sender", "may"), [(BOB, False), ("@creator:example.com", True), ("@moderator:example.com", True)]
)
@pytest.mark.parametrize("leaves_out", ["", "event_id", "all but content"])
async def test_only_the_requester_and_admins_may_cancel(
    drawing_room, homeserver, fake_generator, plugin, drawn, waiting, sender, may, leaves_out
):
    homeserver.leaves_out = leaves_out
    homeserver.power_levels = {"@moderator:example.com": 100, BOB: 50}
    await react(drawing_room, waiting, "❌", sender=sender)
    await drawing_room.put({}, type="m.room.redaction", redacts=waiting, sender=sender)
    assert fake_generator.cancelled == ([job_id(waiting)] if may else [])
    if not may:
        drawn.set()
        assert await seeds(homeserver, 1) == ["otter-1.yml"]


@pytest.mark.parametrize("key", ["👍", "🎨", "x" * 100])
async def test_other_reactions_do_nothing(drawing_room, homeserver, fake_generator, drawn, waiting, key):
    await react(drawing_room, waiting, key)
    await drawing_room.put({}, type="m.reaction")
    drawn.set()
    await homeserver.files()
    assert not fake_generator.cancelled


@pytest.mark.parametrize(
    ("typed", "sender", "reply", "answer", "left"),
    [
        ("!easel cancel", "@ada:example.com", None, "Cancelled: owl --seed 2", ["otter-1.yml"]),
        ("!easel cancel all", "@ada:example.com", None, "Cancelled: otter --seed 1; owl --seed 2", []),
        ("!easel cancel", "@ada:example.com", "$said-1", "Cancelled: otter --seed 1", ["owl-2.yml"]),
        ("!easel cancel", BOB, None, "Nothing of yours is waiting here.", ["otter-1.yml", "owl-2.yml"]),
        ("!easel cancel", BOB, "$said-1", "Nothing of yours is waiting here.", ["otter-1.yml", "owl-2.yml"]),
    ],
)
async def test_the_command_cancels_ones_own_jobs(
    drawing_room, homeserver, fake_generator, drawn, waiting, typed, sender, reply, answer, left
):
    await drawing_room.say("!draw owl --seed 2")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": reply}}} if reply else {}
    await drawing_room.say(typed, sender=sender, **relation)
    assert answer in [event.content["body"] for event in await homeserver.answers()]
    drawn.set()
    await drawing_room.say("!draw otter --seed 9", room_id="!other:example.com")
    assert sorted(await seeds(homeserver, len(left) + 1)) == sorted([*left, "otter-9.yml"])


async def test_the_command_cancels_no_job_of_another_room(drawing_room, homeserver, fake_generator, waiting):
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": waiting}}}
    await drawing_room.say("!easel cancel", room_id="!other:example.com", **reply)
    assert await homeserver.answer() == "Nothing of yours is waiting here."
    assert not fake_generator.cancelled


async def test_an_edit_replaces_a_waiting_job_and_keeps_its_seed(
    drawing_room, homeserver, fake_generator, plugin, drawn
):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    edited = await edit(drawing_room, event_id, "!draw owl")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    first, second = fake_generator.jobs.values()
    assert second.replaces == job_id(event_id)
    assert second.recipes[0].seed == first.recipes[0].seed
    assert second.recipes[0].slots.subject == ("owl",)
    assert await state(plugin, event_id) == "replaced"
    again = await edit(drawing_room, event_id, "!draw fox --seed 4")
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    assert fake_generator.jobs[job_id(again)].replaces == job_id(edited)
    drawn.set()
    assert await seeds(homeserver, 1) == ["fox-4.yml"]
    picture = await homeserver.marked("picture")
    assert picture.content["m.relates_to"]["m.in_reply_to"]["event_id"] == event_id


@pytest.mark.parametrize("flags", ["", " --seed 7"])
async def test_an_edit_of_a_finished_job_redraws_with_its_seed(drawing_room, homeserver, fake_generator, flags):
    event_id = await drawing_room.say(f"!draw otter{flags}")
    await homeserver.files()
    await edit(drawing_room, event_id, "!draw owl")
    await homeserver.files(2)
    first, second = fake_generator.jobs.values()
    assert second.replaces is None
    assert second.recipes[0].seed == first.recipes[0].seed


async def test_an_edit_of_a_running_job_redraws_as_well(drawing_room, homeserver, fake_generator, plugin):
    # The last of these four events is a step.
    drawn = fake_generator.wait_after(4)
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: any(outlook.is_running for outlook in plugin.runner._outlooks.values()))
    edited = await edit(drawing_room, event_id, "!draw owl")
    drawn.set()
    await homeserver.files(2)
    first, second = fake_generator.jobs.values()
    assert list(fake_generator.jobs) == [job_id(event_id), job_id(edited)]
    assert second.replaces is None
    assert second.recipes[0].seed == first.recipes[0].seed
    assert not fake_generator.cancelled


async def test_an_edit_after_an_invalid_seed_draws_with_another(drawing_room, homeserver, fake_generator, refusal):
    fake_generator.sins["submit"] = refusal(422, "No.")
    event_id = await drawing_room.say("!draw otter --seed 99999999999999999999")
    await homeserver.answers()
    del fake_generator.sins["submit"]
    await edit(drawing_room, event_id, "!draw owl")
    await homeserver.files()


async def test_an_edit_of_an_old_message_draws_nothing(drawing_room, homeserver, fake_generator, plugin):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.files()
    await plugin.database.execute("UPDATE job SET state = 'done', received_ms = received_ms - 25 * 60 * 60 * 1000")
    await edit(drawing_room, event_id, "!draw owl")
    await drawing_room.say("!draw fox")
    await homeserver.files(2)
    assert len(fake_generator.jobs) == 2


@pytest.mark.parametrize(
    ("body", "sender", "cancelled"),
    [
        ("never mind", "@ada:example.com", True),
        ("!draw otter --seed 1", "@ada:example.com", False),
        ("!draw owl --seed 3", BOB, False),
    ],
)
async def test_an_edit_without_a_command_cancels_and_a_harmless_one_does_not(
    drawing_room, homeserver, fake_generator, drawn, waiting, body, sender, cancelled
):
    await edit(drawing_room, waiting, body, sender=sender)
    assert bool(fake_generator.cancelled) is cancelled
    assert len(fake_generator.jobs) == 1


async def test_an_unreadable_edit_is_refused_and_the_waiting_job_cancelled(
    drawing_room, homeserver, fake_generator, drawn, waiting
):
    await edit(drawing_room, waiting, "!draw owl --sede 7")
    assert "sede" in await homeserver.answer()
    assert fake_generator.cancelled == [job_id(waiting)]


async def test_an_edit_can_correct_an_unreadable_command(drawing_room, homeserver, fake_generator):
    event_id = await drawing_room.say("!draw otter --sede 7")
    await homeserver.answers()
    await edit(drawing_room, event_id, "!draw otter --seed 7")
    assert await seeds(homeserver, 1) == ["otter-7.yml"]


@pytest.mark.parametrize("membership", ["leave", "ban"])
async def test_leaving_a_room_cancels_ones_waiting_jobs_there(
    drawing_room, homeserver, fake_generator, drawn, waiting, membership
):
    await drawing_room.say("!draw otter --seed 2", room_id="!other:example.com")
    await drawing_room.say("!draw otter --seed 3", sender=BOB)
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    await drawing_room.put({"membership": membership}, type="m.room.member", state_key="@ada:example.com")
    assert fake_generator.cancelled == [job_id(waiting)]
    drawn.set()
    assert sorted(await seeds(homeserver, 2)) == ["otter-2.yml", "otter-3.yml"]


async def test_a_picture_is_removed_by_its_requester(drawing_room, homeserver, fake_generator, plugin):
    event_id = await drawing_room.say("!draw otter --seed 1")
    await homeserver.files()
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"

    def taken_back() -> set[str]:
        redactions = [event for event in homeserver.events if event.type == "m.room.redaction"]
        return {event.content["redacts"].rpartition("-")[0].partition("-")[2] for event in redactions}

    await react(drawing_room, picture, "🗑️", sender=BOB)
    assert not taken_back()
    await react(drawing_room, picture, "🗑️")
    job = job_id(event_id)
    await homeserver.until(lambda: {f"{job}-picture", f"{job}-recipe"} <= taken_back())
    await homeserver.until(lambda: fake_generator.forgotten)
    assert fake_generator.forgotten == [job]


async def test_reactions_are_answered_in_their_pictures_thread(drawing_room, homeserver):
    await drawing_room.say("!draw otter", **{"m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}})
    await homeserver.files()
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    await react(drawing_room, picture, "📋")
    await react(drawing_room, picture, "🎲")
    await homeserver.files(2)
    answers = [event for event in homeserver.events if event.kind in ("answer", "picture")]
    assert len(answers) == 3
    for answer in answers:
        assert answer.content["m.relates_to"]["event_id"] == "$root"


async def test_removing_a_reaction_cancels_its_own_job_only(drawing_room, homeserver, fake_generator, plugin):
    await drawing_room.say("!draw otter")
    await homeserver.marked("recipe-file")
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    drawn = fake_generator.wait_after(1)
    mine, theirs = [await react(drawing_room, picture, "🎲", sender=one) for one in ("@ada:example.com", BOB)]
    await homeserver.until(lambda: len(fake_generator.jobs) == 3)
    await drawing_room.put({}, type="m.room.redaction", redacts=mine)
    assert fake_generator.cancelled == [job_id(mine)]
    await react(drawing_room, picture, "❌")
    assert await state(plugin, theirs) == "open"
    await react(drawing_room, picture, "❌", sender=BOB)
    assert fake_generator.cancelled == [job_id(mine), job_id(theirs)]
    drawn.set()


async def test_both_sheets_of_all_styles_are_cancelled(drawing_room, homeserver, fake_generator):
    fake_generator.wait_after(1)
    command = await drawing_room.say("!easel style sheet otter")
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    await drawing_room.put({}, type="m.room.redaction", redacts=command)
    assert sorted(fake_generator.cancelled) == sorted(fake_generator.jobs)


def recipe_file(homeserver, data: bytes, **more) -> dict:
    """Put Bob's recipe file in the room, and return the content that makes a message a reply to it."""
    homeserver.uploads["mxc://example.com/recipe"] = data
    content = {"msgtype": "m.file", "body": "mine.yml", "url": "mxc://example.com/recipe", **more}
    event = {"type": "m.room.message", "sender": BOB, "event_id": "$file", "content": content, "origin_server_ts": 1}
    homeserver.history["!kitchen:example.com"] = [{**event, "room_id": "!kitchen:example.com"}]
    return {"m.relates_to": {"m.in_reply_to": {"event_id": "$file"}}}


@pytest.mark.parametrize(
    ("data", "more", "sentence"),
    [
        (b"#" * 70_000, {}, replies.UNREADABLE),
        (b"prompt: \xff", {}, replies.UNREADABLE),
        (b"", {"household.easel": {"kind": "sheet"}}, replies.SHEET),
        (b"", {"household.easel": {"kind": "picture"}}, replies.NO_RECIPE),
    ],
)
async def test_a_reply_to_an_unreadable_event_is_refused_with_a_sentence(
    drawing_room, homeserver, fake_generator, data, more, sentence
):
    await drawing_room.say("!draw otter", **recipe_file(homeserver, data, **more))
    assert await homeserver.answer() == sentence
    await drawing_room.say("!draw otter", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$unseen"}}})
    assert (await homeserver.answers(2))[1].content["body"] == replies.UNSEEN
    assert not fake_generator.jobs


async def test_a_recipe_that_cannot_be_fetched_blocks_no_room_and_an_edit_tries_again(
    drawing_room, homeserver, fake_generator, monkeypatch
):
    monkeypatch.setattr(replies, "READ_WITHIN_S", 0.2)
    reply = recipe_file(homeserver, b"prompt: otter\nseed: 3")
    homeserver.download_sins = [web.Response(status=502) for _ in range(1000)]
    event_id = await drawing_room.say("!draw +hat", **reply)
    assert await homeserver.answer() == UNREAD_RECIPE
    homeserver.download_sins = []
    await edit(drawing_room, event_id, "!draw +party hat")
    await homeserver.files()
    (job,) = fake_generator.jobs.values()
    assert (job.recipes[0].slots.subject, job.recipes[0].seed) == (("otter", "party hat"), 3)


@pytest.mark.parametrize("maubot_plugin_config_overrides", [{"allowed_users": ["@ada:example.com"]}])
async def test_reactions_of_people_who_may_not_draw_are_not_answered(drawing_room, homeserver):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    await react(drawing_room, picture, "📋", sender=BOB)
    await react(drawing_room, picture, "📋")
    await homeserver.marked("answer")
    (answer,) = [event.content["body"] for event in homeserver.events if event.kind == "answer"]
    assert answer.startswith("!draw ")


async def test_a_reaction_to_an_incomplete_recipe_is_answered_with_the_reason(
    drawing_room, homeserver, fake_generator, plugin
):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await plugin.database.execute("UPDATE recipe SET text = 'prompt: otter'")
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    await react(drawing_room, picture, "⬆️")
    assert await homeserver.answer() == "That recipe doesn't say how large its picture is."
    assert len(fake_generator.jobs) == 1


@pytest.mark.parametrize(
    "recipe",
    [
        *("", "[", "prompt: {}", "prompt: otter", "prompt: otter\nwidth: 64", "prompt: otter\nwidth:\nheight:"),
        *("prompt: otter\nsize: 64x64", "prompt: otter\nwidth: 64\nheight: tall", "slots: {}\nwidth: 64\nheight: 64"),
        *(f"prompt: otter\nwidth: {side}\nheight: {side}\nsteps: {side}" for side in (0, -8, 9**9, 10**31, 10**32)),
    ],
)
async def test_every_button_on_any_recipe_draws_or_is_answered(
    drawing_room, homeserver, fake_generator, plugin, refusal, caplog, recipe
):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await plugin.database.execute("UPDATE recipe SET text = $1", recipe)
    picture = f"$sent-{(await homeserver.marked('picture')).txn_id}"
    fake_generator.sins["submit"] = refusal(422, "No.")
    for number, key in enumerate(("⬆️", "🎲", "📋"), start=1):
        await react(drawing_room, picture, key)
        if recipe:
            await homeserver.answers(number)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_sheet_of_another_version_is_not_drawn_again_in_part(drawing_room, homeserver, fake_generator, plugin):
    await drawing_room.say("!draw otter -n 2")
    await homeserver.marked("recipe-file")
    sheet = f"$sent-{(await homeserver.marked('sheet')).txn_id}"
    await plugin.database.execute("UPDATE job SET request = '{}'")
    await react(drawing_room, sheet, "🎲")
    assert await homeserver.answer() == OTHER_VERSION
    assert len(fake_generator.jobs) == 1


async def test_a_sheet_is_removed_with_its_recipes(drawing_room, homeserver, fake_generator):
    event_id = await drawing_room.say("!draw otter -n 2 --seed 1")
    await homeserver.files()
    sheet = f"$sent-{(await homeserver.marked('sheet')).txn_id}"
    await react(drawing_room, sheet, "🗑")
    await homeserver.until(lambda: fake_generator.forgotten)
    assert fake_generator.forgotten == [job_id(event_id)]
    gone = [event.content["redacts"] for event in homeserver.events if event.type == "m.room.redaction"]
    assert sheet in gone and len(gone) >= 2
