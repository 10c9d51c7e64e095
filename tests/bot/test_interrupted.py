"""Settings that change, and a bot that stops, at any moment: every job still ends, and what is outdated goes."""

import asyncio
from contextlib import contextmanager

import pytest
from aiohttp import web

from bot.easel.jobs.store import Store
from tests.bot.test_corrections import edit, redacted
from tests.helpers.fake_homeserver import BOT

KITCHEN, ATTIC = "!kitchen:example.com", "!attic:example.com"


def limited(retry_after_ms: int) -> web.Response:
    return web.json_response({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": retry_after_ms}, status=429)


async def hang(request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    raise web.HTTPServiceUnavailable


def of_kind(homeserver, *kinds: str) -> list:
    return [event for event in homeserver.events if event.kind in kinds]


# ---- the sign on a command


async def test_a_refused_job_ends_though_settings_change_while_its_sign_is_sent(
    drawing_room, homeserver, fake_generator, plugin, database_says, maubot_plugin_config_dict, refusal, closed
):
    await drawing_room.say("!easel help")
    await homeserver.answers()
    homeserver.in_silence.add(KITCHEN)
    fake_generator.sins["submit"] = refusal(422, "No.")
    await drawing_room.say("!draw otter")
    await database_says("SELECT state FROM job", "failed")
    maubot_plugin_config_dict["wait_hours"] = 1
    await plugin.on_external_config_update()
    await homeserver.end_silence(KITCHEN)
    await closed()
    assert [event.content["body"] for event in of_kind(homeserver, "answer")][1:] == ["No."]


async def test_progress_can_be_switched_off_while_a_sign_is_sent(
    drawing_room, homeserver, fake_generator, plugin, maubot_plugin_config_dict, drawn, closed
):
    await drawing_room.say("!easel help")
    await homeserver.answers()
    homeserver.in_silence.add(KITCHEN)
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    maubot_plugin_config_dict["progress"] = "off"
    await plugin.on_external_config_update()
    await homeserver.end_silence(KITCHEN)
    drawn.set()
    await homeserver.files()
    await closed()


async def test_a_command_that_comes_while_settings_change_keeps_its_sign_and_ends(
    drawing_room, homeserver, fake_generator, plugin, drawn, closed
):
    await drawing_room.say("!easel help", room_id=ATTIC)
    await homeserver.answers()
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked and True in homeserver.typing)
    await homeserver.marked("reaction")
    # The end of typing is held up, so that the jobs under way take a moment to stop.
    homeserver.courtesy_sins += [limited(1000)] * 3
    changing = asyncio.create_task(plugin.on_external_config_update())
    await homeserver.until(lambda: len(homeserver.courtesy_sins) < 3)
    homeserver.in_silence.add(ATTIC)
    await drawing_room.say("!draw owl", room_id=ATTIC)
    await homeserver.until(lambda: ATTIC in homeserver.asked_of)
    assert not changing.done()
    await changing
    await homeserver.end_silence(ATTIC)
    drawn.set()
    await homeserver.files(2)
    await closed()


# ---- what is to leave the room


@pytest.mark.parametrize("is_settings", [True, False])
async def test_the_end_of_a_wait_is_said_though_the_bot_starts_again_before_it_is_sent(
    room, homeserver, fake_generator, serve, socket, plugin, database_says, restart, closed, is_settings
):
    await room.say("!draw otter")
    await homeserver.marked("note")
    homeserver.sins += [limited(2_000 if is_settings else 60_000)]
    await serve.unix(fake_generator.app(), socket)
    await database_says("SELECT COUNT(*) FROM posted WHERE kind = 'note-end'", 1)
    assert not of_kind(homeserver, "note-end")
    await (plugin.on_external_config_update() if is_settings else restart())
    await homeserver.files()
    await closed()
    assert of_kind(homeserver, "note-end")


async def test_the_next_process_ends_the_note_of_a_job_that_nothing_came_after(
    room, homeserver, plugin, restart, noted
):
    await room.say("!draw otter")
    await homeserver.marked("note")
    await noted()
    # The process ends between a corrected job and the one in its place.
    await plugin.database.execute("UPDATE job SET state = 'replaced', closed = TRUE")
    await restart()
    await homeserver.marked("note-end")


@pytest.mark.parametrize("is_settings", [True, False])
async def test_a_corrected_refusal_goes_though_the_bot_starts_again_before_that(
    drawing_room, homeserver, plugin, restart, noted, closed, is_settings
):
    event_id = await drawing_room.say("!draw otter --sede 7")
    await homeserver.marked("ended")
    await noted()
    await closed()
    gone = {f"$sent-{event.txn_id}" for event in of_kind(homeserver, "answer", "ended")}
    homeserver.sins += [limited(1_000)]
    await edit(drawing_room, event_id, "!draw otter --seed 7")
    await (plugin.on_external_config_update() if is_settings else restart())
    await homeserver.files()
    await homeserver.until(lambda: redacted(homeserver) >= gone)
    await closed()


# ---- the generator


async def test_the_generator_hears_of_a_cancelled_job_though_the_bot_stops_before_it_answers(
    drawing_room, homeserver, fake_generator, plugin, drawn, closed
):
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    fake_generator.sins["cancel"] = hang
    await drawing_room.say("!easel cancel")
    await homeserver.until(lambda: "cancel" in fake_generator.asked)
    await plugin.internal_stop()
    del fake_generator.sins["cancel"]
    await plugin.internal_start()
    await homeserver.until(lambda: fake_generator.cancelled)
    await closed()


# ---- the database


async def test_jobs_go_on_though_the_database_is_away_while_settings_change(
    drawing_room, homeserver, fake_generator, plugin, drawn, closed, monkeypatch
):
    monkeypatch.setattr("bot.easel.jobs.runner.RESUMED_AGAIN_S", 0.05)
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    with away() as asked:
        changing = asyncio.create_task(plugin.on_external_config_update())
        await asked.wait()
    await changing
    drawn.set()
    await closed()


async def test_a_start_that_fails_leaves_nothing_that_goes_on(room, plugin):
    await plugin.internal_stop()
    with away(), pytest.raises(OSError, match="away"):
        await plugin.internal_start()
    assert "send queue" not in [task.get_name() for task in asyncio.all_tasks()]
    await room.say("!draw otter")
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM job") == 0


async def test_settings_that_change_while_the_bot_stops_start_nothing(
    drawing_room, homeserver, fake_generator, plugin, drawn, monkeypatch
):
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: "events" in fake_generator.asked)
    asked, written = asyncio.Event(), asyncio.Event()

    async def slowly(self, settings) -> None:
        asked.set()
        await written.wait()

    monkeypatch.setattr(Store, "keep_settings", slowly)
    changing = asyncio.create_task(plugin.on_external_config_update())
    await asked.wait()
    await plugin.internal_stop()
    written.set()
    await changing
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("job ", "typing in"))]


@contextmanager
def away():
    """The database does not say which jobs are open; it ``asked`` for them in vain."""
    asked, unclosed_jobs = asyncio.Event(), Store.unclosed_jobs

    async def lost(self):
        asked.set()
        raise OSError("away")

    Store.unclosed_jobs = lost
    try:
        yield asked
    finally:
        Store.unclosed_jobs = unclosed_jobs


# ---- an invitation


def invited(room, room_id: str) -> dict:
    return room.put({"membership": "invite"}, type="m.room.member", room_id=room_id, state_key=BOT)


async def test_an_invitation_whose_join_has_to_wait_is_followed_after_a_restart(
    room, homeserver, restart, database_says
):
    homeserver.join_sins.append(limited(600_000))
    await invited(room, ATTIC)
    await homeserver.until(lambda: not homeserver.join_sins)
    await restart()
    await homeserver.until(lambda: homeserver.joined == [ATTIC])
    await database_says("SELECT COUNT(*) FROM invitation", 0)


async def test_an_invitation_outlasts_a_stop_while_it_is_about_to_be_followed_again(
    room, homeserver, plugin, restart, monkeypatch
):
    homeserver.join_sins.append(limited(600_000))
    await invited(room, ATTIC)
    await homeserver.until(lambda: not homeserver.join_sins)
    began = asyncio.Event()

    async def never(*arguments) -> None:
        began.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Store, "keep_invitation", never)
        await restart()
        await began.wait()
        await plugin.internal_stop()
    await plugin.internal_start()
    await homeserver.until(lambda: homeserver.joined == [ATTIC])


async def test_an_invitation_is_not_followed_after_a_restart_if_the_settings_forbid_it_by_then(
    room, homeserver, plugin, maubot_plugin_config_dict, database_says, caplog
):
    caplog.set_level("INFO")
    homeserver.join_sins.append(limited(600_000))
    await invited(room, ATTIC)
    await homeserver.until(lambda: not homeserver.join_sins)
    await plugin.internal_stop()
    maubot_plugin_config_dict["allowed_rooms"] = [KITCHEN]
    await plugin.on_external_config_update()
    await plugin.internal_start()
    await homeserver.until(lambda: f"into {ATTIC}: the settings do not allow it" in caplog.text)
    await invited(room, KITCHEN)
    await homeserver.until(lambda: homeserver.joined)
    assert homeserver.joined == [KITCHEN]
    await database_says("SELECT COUNT(*) FROM invitation", 0)


async def test_an_invitation_that_is_refused_is_not_kept(room, homeserver, database_says):
    homeserver.join_sins.append(web.json_response({"errcode": "M_FORBIDDEN"}, status=403))
    await invited(room, ATTIC)
    await homeserver.until(lambda: not homeserver.join_sins)
    await database_says("SELECT COUNT(*) FROM invitation", 0)
