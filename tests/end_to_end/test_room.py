"""Four people in a plain and an encrypted room: turns, reactions, deletions, edits, leaving, and the bot's downtime."""

import re
from dataclasses import replace

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


async def test_everyone_gets_their_turn_over_both_rooms(rooms):
    ada, bo, cleo, _ = rooms[False]
    secretly_ada, secretly_bo, *_ = rooms[True]
    async with ada.holding():
        of_ada = [await ada.say(f"!draw otter --seed {n} {SMALL}") for n in (1, 2)]
        of_bo = await secretly_bo.say(f"!draw otter --seed 3 {SMALL}")
        of_cleo = await cleo.say(f"!draw otter --seed 4 {SMALL}")
        queue = await bo.answer("!easel queue")
    assert "someone in another room" in queue
    assert "--seed 3" not in queue
    assert "--seed 2" in queue
    *others, last = [await ada.drawn(command) for command in (of_cleo, *of_ada)]
    others.append(await secretly_ada.drawn(of_bo))
    assert all(ada.written_ns(drawn) < ada.written_ns(last) for drawn in others)


async def test_a_long_wait_shows_the_place_in_the_queue(rooms, change_settings):
    ada, bo, *_ = rooms[True]
    at_once = await bo.draw(f"!draw otter {SMALL}")
    await change_settings(tell_waiting_after_s=1)
    async with ada.holding():
        command = await bo.say(f"!draw otter {SMALL}")
        await bo.sign(command, "⏳ next")
        await bo.person.redact(bo.room_id, command)
    signs = [event.content["m.relates_to"]["key"] for event in bo.replies(at_once.command, "reaction")]
    assert signs == ["🎨"]


async def test_reactions_deletions_and_commands_cancel_ones_own_job_only(rooms):
    ada, bo, cleo, _ = rooms[True]
    async with ada.holding():
        deleted, crossed, replied_to, kept = [await bo.say(f"!draw otter --seed {n} {SMALL}") for n in range(4)]
        await ada.person.react(ada.room_id, kept, "👍")
        await cleo.person.react(ada.room_id, kept, "❌")
        await bo.person.redact(bo.room_id, deleted)
        await bo.person.react(bo.room_id, crossed, "❌")
        reply = {"m.relates_to": {"m.in_reply_to": {"event_id": replied_to}}}
        event = await bo.reply(await bo.say("!easel cancel", **reply), "answer")
    assert event.body == f"Cancelled: otter --seed 2 {SMALL}"
    assert await ada.end_of(crossed) == "🚫 cancelled"
    assert (await bo.drawn(kept)).record["seed"] == 3
    assert not bo.replies(deleted, "picture", "recipe", "answer")
    assert not bo.replies(crossed, "picture", "recipe")
    assert not bo.replies(replied_to, "picture", "recipe")


async def test_a_running_job_is_cancelled_within_a_step(rooms):
    ada = rooms[False][0]
    async with ada.holding() as command:
        await ada.person.react(ada.room_id, command, "❌")
        await ada.home.generator.child.wait_until(ada.home.generator.is_idle)
        assert await ada.end_of(command) == "🚫 cancelled"
    assert len(ada.replies(command, "picture")) < 3


async def test_a_room_admin_may_cancel_any_job(rooms):
    # Ada made the rooms, which makes her their admin.
    ada, bo, *_ = rooms[True]
    async with bo.holding() as command:
        await ada.person.react(ada.room_id, command, "❌")
        assert await ada.end_of(command) == "🚫 cancelled"


async def test_an_edit_replaces_a_waiting_job_and_redraws_a_finished_one(rooms):
    ada, bo, *_ = rooms[True]
    async with ada.holding():
        command = await bo.say(f"!draw otter {SMALL}")
        edit = await bo.person.edit(bo.room_id, command, f"!draw fox {SMALL}")
        await bo.taken(edit)
    drawn = await bo.drawn(command)
    assert drawn.record["slots"]["subject"] == ["fox"]
    await bo.person.edit(bo.room_id, command, f"!draw owl {SMALL}")
    _, again = await bo.replies_in_all(command, "picture", number=2)
    assert "owl" in again.body
    assert f"seed {drawn.record['seed']} " in again.body
    await bo.replies_in_all(command, "recipe", number=2)


async def test_an_edit_of_a_running_job_redraws_it(rooms):
    ada = rooms[True][0]
    generator = ada.home.generator
    await generator.child.wait_until(generator.is_idle)
    command = await ada.say("!draw owl --steps 100 --seed 99")
    await generator.child.wait_until(generator.is_drawing)
    await ada.person.edit(ada.room_id, command, f"!draw fox {SMALL}")
    (anew,) = await ada.person.until(
        lambda: [picture for picture in ada.replies(command, "picture") if picture.body.startswith("fox")]
    )
    assert "seed 99 " in anew.body


async def test_a_picture_is_removed_with_its_recipe_and_its_files(rooms):
    ada, bo, cleo, _ = rooms[True]
    drawn = await bo.draw(f"!draw penguin {SMALL}")
    folder = ada.home.folder / "generator"
    files = [path for path in folder.rglob("*penguin*") if path.is_file() and drawn.picture.mark["job"] in path.name]
    assert len(files) >= 2
    await cleo.person.react(bo.room_id, drawn.picture.event_id, "🗑️")
    await bo.person.react(bo.room_id, drawn.picture.event_id, "🗑️")
    await ada.gone(drawn.picture.event_id)
    await ada.gone(drawn.recipe.event_id)
    await ada.home.generator.child.wait_until(lambda: are_gone(files))


async def are_gone(files) -> bool:
    return not any(path.exists() for path in files)


@pytest.mark.parametrize("banned", [False, True], ids=["leaves", "is banned"])
async def test_a_person_who_leaves_the_room_leaves_the_queue(home, family, rooms, start_talk, banned):
    ada, *_, dan = family
    talk = await start_talk(home, ada, encrypted=banned, guest=dan)
    dans = replace(talk, person=dan)
    async with rooms[False][0].holding():
        command = await dans.say(f"!draw otter {SMALL}")
        await home.generator.child.wait_until(lambda: are_waiting(home.generator, 1))
        if banned:
            await ada.ban(talk.room_id, dan.account.user_id)
        else:
            await dan.leave(talk.room_id)
        await home.generator.child.wait_until(lambda: are_waiting(home.generator, 0))
    await rooms[False][0].draw(f"!draw otter {SMALL}")
    assert not talk.replies(command, "picture", "answer")


async def test_a_person_who_left_while_the_bot_was_down_leaves_the_queue(home, family, rooms, start_talk):
    ada, *_, dan = family
    talk = await start_talk(home, ada, encrypted=True, guest=dan)
    async with rooms[False][0].holding():
        command = await replace(talk, person=dan).say(f"!draw otter {SMALL}")
        await home.generator.child.wait_until(lambda: are_waiting(home.generator, 1))
        await home.maubot.child.kill()
        await dan.leave(talk.room_id)
        await home.maubot.start()
        await home.generator.child.wait_until(lambda: are_waiting(home.generator, 0))
    await rooms[False][0].draw(f"!draw otter {SMALL}")
    assert not talk.replies(command, "picture", "answer")


async def are_waiting(generator, jobs: int) -> bool:
    return (await generator.health())["queued"] == jobs


async def test_models_status_and_help_are_answered(rooms):
    ada, bo, cleo, dan = rooms[True]
    assert "pocket · the default" in await ada.answer("!easel models")
    status = await bo.answer("!easel status")
    assert "drawing computer is ready" in status and "drawn in 24 hours" in status
    help_text = await cleo.answer("!easel help")
    assert "!easel queue shows whose turn it is" in help_text and "!draw otter, cowboy hat" in help_text
    assert "🗑️ removes it, if it's yours." in await dan.answer("!easel help gestures")


async def test_the_log_names_jobs_but_not_their_prompts(rooms):
    ada, *_ = rooms[True]
    drawn = await ada.draw(f"!draw xylophone {SMALL}")
    maubot, who = ada.home.maubot.child, f"{ada.person.account.user_id} in {ada.room_id}"
    job = re.escape(f"{drawn.picture.mark['job']}: ")
    steps = (f"accepted from {who}", f"started for {who} after [0-9.]+ s", f"delivered to {who} after [0-9.]+ s")

    async def all_are_logged() -> bool:
        return all(re.search(job + step, maubot.log.read_text()) for step in steps)

    await maubot.wait_until(all_are_logged)
    log = maubot.log.read_text()
    assert "xylophone" not in "".join(line for line in log.splitlines() if "DEBUG" not in line)
    assert ada.home.bot.access_token not in log


async def test_messages_from_while_the_bot_was_down_are_caught_up(rooms):
    ada, bo, cleo, _ = rooms[True]
    openly = rooms[False][1]
    before = await ada.draw(f"!draw otter --seed 5 {SMALL}")
    await ada.home.maubot.child.kill()
    commands = [await ada.say(f"!draw otter --seed 1 {SMALL}"), await openly.say(f"!draw owl --seed 2 {SMALL}")]
    # The bot gets this key, and the invitation, with its first sync.
    bo.person.renew_keys(bo.room_id)
    # Long enough that it is not drawn before its edit is read.
    corrected = await bo.say("!draw fox -n 9 --steps 100")
    await bo.person.edit(bo.room_id, corrected, f"!draw penguin --seed 3 {SMALL}")
    deleted = await cleo.say("!draw fox -n 9 --steps 100")
    await cleo.person.redact(cleo.room_id, deleted)
    await ada.person.react(ada.room_id, before.picture.event_id, "🗑️")
    await ada.person.edit(ada.room_id, before.command, f"!draw frog {SMALL}")
    bot = ada.home.bot.user_id
    elsewhere = await ada.person.make_room("elsewhere", encrypted=False, invite=(bot,))
    await ada.home.maubot.start()

    drawn = [await ada.drawn(commands[0]), await openly.drawn(commands[1]), await bo.drawn(corrected)]
    assert [one.record["seed"] for one in drawn] == [1, 2, 3]
    assert drawn[2].record["slots"]["subject"] == ["penguin"]
    _, anew = await ada.replies_in_all(before.command, "picture", number=2)
    assert "frog" in anew.body and "seed 5 " in anew.body
    await ada.gone(before.picture.event_id)
    await ada.gone(before.recipe.event_id)
    assert not cleo.replies(deleted, "picture")
    assert len(bo.replies(corrected, "picture")) == 1
    await ada.person.wait_for_member(elsewhere, bot)


async def test_messages_from_before_the_bot_joined_are_ignored(home, family, rooms):
    ada, bo, *_ = family
    room_id = await ada.make_room("a room", encrypted=False, invite=(bo.account.user_id,))
    await bo.join(room_id)
    await bo.wait_for_member(room_id, bo.account.user_id)
    talk = replace(rooms[False][1], room_id=room_id)
    early = await talk.say(f"!draw otter {SMALL}")
    await ada.invite(room_id, home.bot.user_id)
    await bo.wait_for_member(room_id, home.bot.user_id)
    await bo.edit(room_id, early, f"!draw fox {SMALL}")
    await talk.draw(f"!draw owl {SMALL}")
    assert not talk.replies(early, "picture", "recipe", "answer")
