"""Nothing is lost or delivered twice when the bot stops at any moment and starts again with its database."""

import asyncio
import time

import pytest

from bot.easel.jobs.job import job_id
from bot.easel.jobs.runner import OTHER_VERSION
from bot.easel.room import history
from generator.api.capabilities import Size
from tests.helpers.fake_generator import capabilities, card

ROOM = "!kitchen:example.com"


@pytest.fixture
def restart(plugin):
    async def restart():
        await plugin.internal_stop()
        await plugin.internal_start()

    return restart


@pytest.fixture
async def drawn(fake_generator) -> asyncio.Event:
    """The generator keeps drawing until this event is set."""
    return fake_generator.wait_after(2)


def kinds(homeserver) -> list[str]:
    return [event.kind for event in homeserver.events if event.kind in ("picture", "recipe", "answer")]


async def all_closed(plugin) -> None:
    await asyncio.gather(*plugin.runner._tasks.values())


async def test_a_running_job_is_drawn_with_its_seed_after_a_restart(
    drawing_room, homeserver, fake_generator, plugin, drawn, restart
):
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    (asked,) = fake_generator.jobs.values()
    await restart()
    drawn.set()
    await homeserver.files()
    assert list(fake_generator.jobs) == [job_id("$said-1")]
    assert fake_generator.jobs[job_id("$said-1")] == asked
    assert kinds(homeserver) == ["recipe", "picture"]


async def test_a_job_that_waited_for_the_generator_is_drawn_after_a_restart(
    room, homeserver, fake_generator, serve, socket, restart
):
    await room.say("!draw otter")
    await homeserver.answers()
    await restart()
    await serve.unix(fake_generator.app(), socket)
    await homeserver.files()
    # The room gets one note, from the first or the second process.
    assert [event.kind for event in homeserver.events].count("note") == 1


async def test_an_accepted_job_is_drawn_though_the_language_has_changed(
    room, homeserver, fake_generator, serve, socket, plugin, restart
):
    event_id = await room.say("!draw otter --steps 9 --seed 7")
    await homeserver.answers()
    # No version of the language can read this.
    await plugin.database.execute("UPDATE job SET typed = '--sede --steps'")
    await restart()
    await serve.unix(fake_generator.app(), socket)
    await homeserver.files()
    (recipe,) = fake_generator.jobs[job_id(event_id)].recipes
    assert (recipe.slots.subject, recipe.steps, recipe.seed) == (("otter",), 9, 7)


async def test_a_request_of_another_version_is_not_drawn_in_part(
    room, homeserver, fake_generator, serve, socket, plugin, restart
):
    await room.say("!draw otter")
    await homeserver.answers()
    await plugin.database.execute('UPDATE job SET request = \'{"requests": [{"colour": "red"}]}\'')
    await restart()
    assert (await homeserver.answers(2))[1].content["body"] == OTHER_VERSION
    await serve.unix(fake_generator.app(), socket)
    await room.say("!draw owl")
    await homeserver.files()
    assert len(fake_generator.jobs) == 1


async def test_a_waiting_job_is_drawn_with_the_generators_new_capabilities(
    drawing_room, homeserver, fake_generator, serve, socket, plugin
):
    await drawing_room.say("!draw otter --size portrait")
    await homeserver.files()
    await serve.stop_unix(socket)
    for text in ("!draw owl --size portrait", "!draw fox --model new --size portrait"):
        await drawing_room.say(text)
    await homeserver.until(lambda: len([event for event in homeserver.events if event.kind == "reaction"]) >= 5)
    sizes = {**card().sizes, "portrait": Size(width=512, height=640)}
    cards = [card().model_copy(update={"name": name, "sizes": sizes}) for name in ("ssd-1b", "new")]
    fake_generator.capabilities = capabilities("0.1.0", *cards)
    await serve.unix(fake_generator.app(), socket)
    await homeserver.files(3)
    drawn = [
        (recipe.model, recipe.width, recipe.height) for job in fake_generator.jobs.values() for recipe in job.recipes
    ]
    assert drawn == [("ssd-1b", 640, 896), ("ssd-1b", 512, 640), ("new", 512, 640)]


async def test_an_unsent_refusal_is_sent_after_a_restart(room, homeserver, plugin, restart):
    homeserver.in_silence.add(ROOM)
    await plugin.database.execute(
        "INSERT INTO job (id, room_id, event_id, sender, typed, is_caption, request, seed, pictures, received_ms, "
        "state, last_word, closed) VALUES ('x', $1, '$x', '@ada:example.com', 'otter', FALSE, '{\"requests\": []}', "
        "1, 1, 1, 'failed', 'No.', FALSE)",
        ROOM,
    )
    homeserver.in_silence.clear()
    await restart()
    assert await homeserver.answer() == "No."
    await homeserver.marked("ended")
    await restart()
    assert kinds(homeserver) == ["answer"]


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_event_that_may_have_been_sent_is_looked_up_in_the_room(
    drawing_room, homeserver, fake_generator, plugin, restart, maubot_test_bot, arrived
):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await all_closed(plugin)
    # The state of a process that is killed while it sends the recipe, which comes first.
    await plugin.database.execute("UPDATE job SET state = 'open', closed = FALSE")
    await plugin.database.execute("DELETE FROM posted WHERE kind IN ('picture', 'recipe-file')")
    await plugin.database.execute("UPDATE posted SET event_id = NULL WHERE kind = 'recipe'")
    if arrived:
        others = [{"type": "m.room.message", "event_id": f"${n}", "sender": "@ada:x", "content": {}} for n in range(5)]
        homeserver.history[ROOM] = [*homeserver.as_heard(maubot_test_bot.client.mxid), *others]
    homeserver.events.clear()
    # So long ago that the homeserver has forgotten the transactions.
    homeserver.transactions.clear()
    await restart()
    await homeserver.marked("picture")
    assert kinds(homeserver) == (["picture"] if arrived else ["recipe", "picture"])


async def test_a_finished_job_is_not_drawn_again(drawing_room, homeserver, fake_generator, plugin, restart):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.files()
    for _ in range(2):
        await restart()
        await drawing_room.say("!draw otter", event_id=event_id)
    await drawing_room.say("!draw owl")
    await homeserver.files(2)
    assert kinds(homeserver) == ["recipe", "picture"] * 2


def heard(n: int, body: str, *, sender: str = "@ada:example.com", age_s: float = 1, **content) -> dict:
    return {
        "type": "m.room.message",
        "event_id": f"$missed-{n}",
        "sender": sender,
        "origin_server_ts": int((time.time() - age_s) * 1000),
        "content": {"msgtype": "m.text", "body": body, **content},
    }


async def test_missed_commands_are_accepted_in_order_and_old_ones_are_ignored(
    drawing_room, homeserver, fake_generator, plugin, restart
):
    await drawing_room.say("good morning")
    homeserver.history[ROOM] = [
        {**heard(0, "good morning"), "event_id": "$said-1"},
        heard(1, "!draw otter --seed 1", age_s=3600),
        heard(2, "!draw otter --seed 2"),
        {"event_id": "$broken", "type": "m.room.message", "sender": 5, "origin_server_ts": 1, "content": {}},
        heard(3, "!draw otter --seed 3"),
        heard(4, "thank you"),
    ]
    await restart()
    # What is accepted first may be sent second, as both are drawn at once.
    assert {file.content["body"] for file in await homeserver.files(2)} == {"otter-2.yml", "otter-3.yml"}
    assert [job.recipes[0].seed for job in fake_generator.jobs.values()] == [2, 3]
    await restart()
    await drawing_room.say("!draw otter --seed 4")
    assert [file.content["body"] for file in await homeserver.files(3)][2] == "otter-4.yml"


async def test_after_a_long_absence_the_newest_of_many_events_are_caught_up(
    drawing_room, homeserver, restart, monkeypatch
):
    monkeypatch.setattr(history, "MAX_CAUGHT_UP", 3)
    await drawing_room.say("good morning")
    homeserver.history[ROOM] = [
        {**heard(0, "good morning"), "event_id": "$said-1"},
        *(heard(seed, f"!draw otter --seed {seed}") for seed in range(1, 5)),
    ]
    await restart()
    files = sorted(file.content["body"] for file in await homeserver.files(3))
    assert files == [f"otter-{seed}.yml" for seed in (2, 3, 4)]


def edit_of(event_id: str, n: int, body: str, **more) -> dict:
    new = {"msgtype": "m.text", "body": body}
    relation = {"rel_type": "m.replace", "event_id": event_id}
    return heard(n, f"* {body}", **{"m.new_content": new, "m.relates_to": relation}, **more)


async def test_a_missed_old_edit_changes_a_waiting_job_but_redraws_no_finished_one(
    drawing_room, homeserver, fake_generator, drawn, restart
):
    ended = await drawing_room.say("!draw otter --seed 1 --steps")
    await homeserver.answers()
    waiting = await drawing_room.say("!draw otter --seed 2")
    await homeserver.until(lambda: fake_generator.jobs)
    homeserver.history[ROOM] = [
        {**heard(0, "!draw otter --seed 2"), "event_id": waiting},
        edit_of(ended, 1, "!draw otter --seed 3", age_s=3600),
        edit_of(waiting, 2, "!draw otter --seed 4", age_s=3600),
    ]
    await restart()
    await homeserver.until(lambda: len(fake_generator.jobs) == 2)
    drawn.set()
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-4.yml"]


async def test_new_commands_are_drawn_though_there_is_nothing_to_catch_up(
    drawing_room, homeserver, plugin, maubot_plugin_config_dict
):
    maubot_plugin_config_dict["catch_up_minutes"] = 0
    await plugin.on_external_config_update()
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 1"}, age_s=90),
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 2"}, age_s=2),
        is_first=True,
    )
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-2.yml"]


@pytest.mark.parametrize("age_s", [600, 10**9, -(10**6)])
async def test_what_a_running_sync_brings_is_drawn_whatever_its_date(drawing_room, homeserver, age_s):
    await drawing_room.sync(drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 1"}, age_s=age_s))
    await drawing_room.sync(drawing_room.event({"msgtype": "m.text", "body": "!easel help"}, age_s=age_s))
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-1.yml"]
    await homeserver.answers()


async def test_after_a_long_absence_of_the_network_old_commands_are_left(drawing_room, homeserver, plugin):
    now_s = 0.0
    plugin._catching_up._origins._clock = lambda: now_s
    await drawing_room.sync()
    for away_s in (599, 601):
        now_s += away_s
        event = drawing_room.event({"msgtype": "m.text", "body": f"!draw otter --seed {away_s}"}, age_s=3600)
        await drawing_room.sync(event)
    await drawing_room.sync(drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 3"}, age_s=3600))
    assert sorted(file.content["body"] for file in await homeserver.files(2)) == ["otter-3.yml", "otter-599.yml"]


async def test_the_newest_events_of_a_gap_are_missed_ones(drawing_room, homeserver):
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 1"}, age_s=3600),
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 2"}),
        is_limited=True,
    )
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-2.yml"]


async def test_the_jobs_of_a_person_who_left_while_the_bot_was_down_are_cancelled(
    drawing_room, homeserver, fake_generator, plugin, drawn, restart
):
    event_id = await drawing_room.say("!draw otter", sender="@bob:example.com")
    await homeserver.until(lambda: fake_generator.jobs)
    left = {
        **heard(1, "", sender="@bob:example.com"),
        "type": "m.room.member",
        "state_key": "@bob:example.com",
        "content": {"membership": "leave"},
    }
    homeserver.history[ROOM] = [{**heard(0, "!draw otter"), "event_id": event_id}, left]
    await restart()
    assert await homeserver.until(lambda: fake_generator.cancelled) == [job_id(event_id)]


async def test_a_command_that_was_deleted_while_the_bot_was_down_is_not_drawn(
    drawing_room, homeserver, fake_generator, plugin, drawn, restart
):
    event_id = await drawing_room.say("!draw otter")
    await homeserver.until(lambda: fake_generator.jobs)
    redaction = {
        **heard(1, ""),
        "type": "m.room.redaction",
        "redacts": event_id,
        "content": {},
    }
    homeserver.history[ROOM] = [{**heard(0, "!draw otter"), "event_id": event_id}, redaction]
    await restart()
    await homeserver.until(lambda: fake_generator.cancelled)
    drawn.set()
    await drawing_room.say("!draw owl --seed 5")
    assert [file.content["body"] for file in await homeserver.files()] == ["owl-5.yml"]


def membership(room, bot: str, membership: str, before: str) -> dict:
    unsigned = {"prev_content": {"membership": before}}
    return room.event(
        {"membership": membership}, type="m.room.member", sender=bot, state_key=bot, age_s=30, unsigned=unsigned
    )


async def test_messages_from_before_the_bot_joined_are_ignored_whatever_their_date(
    drawing_room, homeserver, maubot_test_bot
):
    bot = maubot_test_bot.client.mxid
    await drawing_room.sync(
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 1"}),
        membership(drawing_room, bot, "join", "invite"),
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 2"}, age_s=90),
        # A new name.
        membership(drawing_room, bot, "join", "join"),
        drawing_room.event({"msgtype": "m.text", "body": "!draw otter --seed 3"}, age_s=90),
    )
    assert sorted(file.content["body"] for file in await homeserver.files(2)) == ["otter-2.yml", "otter-3.yml"]


async def test_what_came_while_the_bot_was_not_in_the_room_is_not_caught_up(
    drawing_room, homeserver, restart, handled, maubot_test_bot
):
    await handled(await drawing_room.say("good morning"))
    homeserver.history[ROOM] = [
        {**heard(0, "good morning"), "event_id": "$said-1"},
        heard(1, "!draw otter --seed 1"),
        membership(drawing_room, maubot_test_bot.client.mxid, "join", "leave"),
        heard(2, "!draw otter --seed 2"),
    ]
    await restart()
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-2.yml"]


async def test_a_job_that_waited_too_long_is_given_up_with_a_sentence(
    room, homeserver, plugin, maubot_plugin_config_dict, socket
):
    maubot_plugin_config_dict["wait_hours"] = 1 / 3600
    await plugin.on_external_config_update()
    await room.say("!draw otter")
    answers = await homeserver.answers(2)
    assert answers[1].content["body"] == (
        "Drawing isn't running on the drawing computer. I waited for 1 s and let this go. Ask me again when it's back."
    )
    assert (await homeserver.marked("ended")).content["m.relates_to"]["key"] == "❌"
