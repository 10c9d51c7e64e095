"""What is under way when somebody stops waiting for it: an event to the homeserver, an answer of the database."""

import asyncio
from functools import wraps

import asyncpg
import pytest
from aiohttp import web

from bot.easel.jobs import tables
from bot.easel.jobs.job import Job
from bot.easel.room.messages import Message
from bot.easel.room.reactions import AGAIN
from tests.bot.test_corrections import redacted
from tests.helpers.fake_homeserver import BOT, Sent

KITCHEN = "!kitchen:example.com"


@pytest.fixture
def remembering(homeserver) -> None:
    """The room's history has what the bot sent."""

    class Events(list[Sent]):
        def append(self, event: Sent) -> None:
            super().append(event)
            homeserver.history[event.room_id] = homeserver.as_heard(BOT)

    homeserver.events = Events(homeserver.events)


async def test_a_note_that_is_being_sent_when_the_wait_ends_does_not_stay(
    remembering, room, homeserver, fake_generator, serve, socket, plugin, maubot_plugin_config_dict, closed
):
    maubot_plugin_config_dict["progress"] = "off"
    await plugin.on_external_config_update()
    await room.say("!easel help")
    await homeserver.answers()
    homeserver.in_silence.add(KITCHEN)
    homeserver.asked_of.clear()
    await room.say("!draw otter")
    await homeserver.until(lambda: KITCHEN in homeserver.asked_of)
    await serve.unix(fake_generator.app(), socket)
    await homeserver.until(lambda: "submit" in fake_generator.asked)
    await asyncio.sleep(0.3)
    await homeserver.end_silence(KITCHEN)
    await homeserver.files()
    await closed()
    notes, ends = ([event for event in homeserver.events if event.kind == kind] for kind in ("note", "note-end"))
    assert len(notes) == 1
    assert ends or f"$sent-{notes[0].txn_id}" in redacted(homeserver)


async def test_a_picture_that_is_being_sent_when_its_job_is_cancelled_is_known(
    remembering, drawing_room, homeserver, plugin, maubot_plugin_config_dict, drawn, noted, closed, database_says
):
    maubot_plugin_config_dict["recipe"] = "embedded"
    await plugin.on_external_config_update()
    await drawing_room.say("!draw otter")
    await homeserver.marked("reaction")
    await noted()
    homeserver.in_silence.add(KITCHEN)
    homeserver.asked_of.clear()
    drawn.set()
    await homeserver.until(lambda: KITCHEN in homeserver.asked_of)
    await drawing_room.say("!easel cancel")
    await database_says("SELECT state FROM job", "cancelled")
    await homeserver.end_silence(KITCHEN)
    picture = await homeserver.marked("picture")
    await closed()
    relation = {"rel_type": "m.annotation", "event_id": f"$sent-{picture.txn_id}", "key": AGAIN}
    await drawing_room.put({"m.relates_to": relation}, type="m.reaction")
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM job") == 2, "the picture has its buttons"


async def test_a_recipe_whose_picture_was_cancelled_before_it_came_goes(
    remembering, drawing_room, homeserver, drawn, noted, closed
):
    await drawing_room.say("!draw otter")
    await homeserver.marked("reaction")
    await noted()
    drawn.set()
    recipe = await homeserver.marked("recipe")
    limited = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 1000}
    homeserver.sins += [web.json_response(limited, status=429) for _ in range(2)]
    await drawing_room.say("!easel cancel")
    await closed()
    await homeserver.until(lambda: f"$sent-{recipe.txn_id}" in redacted(homeserver))
    assert not [event for event in homeserver.events if event.kind in ("picture", "recipe-file")]


@pytest.fixture(params=["UPDATE job SET state", "INSERT INTO picture "])
def lost(request, plugin, monkeypatch) -> list[str]:
    """The database does as it is asked, once, but its answer does not come: PostgreSQL is restarting."""
    lost: list[str] = []
    outlasting_locks = tables.outlasting_locks

    async def losing(ask):
        @wraps(ask)
        async def once():
            answer = await ask()
            if not lost and request.param in str(asked_by(ask)):
                lost.append(request.param)
                raise asyncpg.ConnectionDoesNotExistError
            return answer

        return await outlasting_locks(once)

    monkeypatch.setattr(tables, "outlasting_locks", losing)
    return lost


def asked_by(ask) -> object:
    """The statements of a question to the database."""
    return getattr(ask, "args", None) or [cell.cell_contents for cell in ask.__closure__ or ()]


async def test_a_picture_comes_and_its_job_ends_though_an_answer_of_the_database_is_lost(
    lost, drawing_room, homeserver, closed
):
    await drawing_room.say("!draw otter")
    await homeserver.files()
    await closed()
    assert lost
    assert len([event for event in homeserver.events if event.kind == "picture"]) == 1


async def test_a_wait_that_begins_while_another_ends_in_its_room_is_ended_too(room, homeserver, plugin):
    notes = plugin.runner._waits._notes
    first, second = (
        Job(
            id=name,
            message=Message(room_id=KITCHEN, event_id=f"${name}", sender="@ada:x", body=""),
            seed=1,
            received_ms=1,
        )
        for name in ("first", "second")
    )
    await notes.wait(first, "It's off.")
    homeserver.in_silence.add(KITCHEN)
    ending = asyncio.create_task(notes.over(first))
    await homeserver.until(lambda: plugin.send_queue._trying)
    beginning = asyncio.create_task(notes.wait(second, "It's off again."))
    await homeserver.until(lambda: second.id in notes._reasons.get(KITCHEN, ()))
    await homeserver.end_silence(KITCHEN)
    await asyncio.gather(ending, beginning)
    await notes.over(second)
    assert [event.kind for event in homeserver.events] == ["note", "note-end"] * 2
