"""Settings that change, and a bot that stops, at any moment: every job still ends, and what is outdated goes."""

import asyncio
import time
from contextlib import contextmanager

import pytest
from aiohttp import web

from bot.easel.commands.every import MAX_A_PERSON
from bot.easel.jobs.store import Store
from bot.easel.room.reactions import REMOVE
from tests.bot.test_corrections import edit, redacted
from tests.helpers.fake_homeserver import BOT

ADA, KITCHEN, ATTIC = "@ada:example.com", "!kitchen:example.com", "!attic:example.com"


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


# ---- commands that only get an answer


def said(event_id: str, body: str) -> dict:
    """A message of Ada's as a room's history has it."""
    content = {"msgtype": "m.text", "body": body}
    event = {"type": "m.room.message", "room_id": KITCHEN, "event_id": event_id, "sender": ADA, "content": content}
    return {**event, "origin_server_ts": int(time.time() * 1000)}


@pytest.fixture
async def first(room, homeserver, plugin) -> str:
    """The last message that is handled before the command in question."""
    await homeserver.until(lambda: not plugin._catching_up._all_behind)
    return await room.say("good morning")


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


class QuietAfter(list):
    """Once an event of that type is there, the homeserver takes no other until the bot has started again."""

    def __init__(self, homeserver, event_type: str) -> None:
        super().__init__([limited(60_000)])
        self._homeserver, self._type = homeserver, event_type

    def __bool__(self) -> bool:
        return len(self) > 0 and any(event.type == self._type for event in self._homeserver.events)


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
    monkeypatch.setattr(homeserver, "sins", QuietAfter(homeserver, "m.room.redaction"))
    relation = {"rel_type": "m.annotation", "event_id": picture, "key": REMOVE}
    reaction = drawing_room.event({"m.relates_to": relation}, type="m.reaction")
    await drawing_room.sync(reaction)
    await homeserver.until(lambda: homeserver.refused)
    later = await drawing_room.say("thanks")
    homeserver.history[KITCHEN] = [said(event_id, "!draw otter"), *before, reaction, said(later, "thanks")]
    await restart()
    await homeserver.until(lambda: redacted(homeserver) >= {picture, recipe})


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
