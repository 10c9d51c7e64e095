"""The bot's database gives the same answers on SQLite and PostgreSQL, the engines that maubot supports."""

import asyncio
import sqlite3
import time
from dataclasses import replace

import asyncpg
import pytest
from mautrix.util.async_db import Database, UpgradeTable

from bot.easel.commands.find import read_wanted
from bot.easel.jobs import tables
from bot.easel.jobs.event_tables import Posted
from bot.easel.jobs.job import NOTHING, Job, JobState, job_id
from bot.easel.jobs.picture_tables import MAX_WANTED_WORDS, DrawnPicture
from bot.easel.jobs.schema import create_tables, upgrade_table
from bot.easel.jobs.store import Store
from bot.easel.jobs.style_table import Style
from bot.easel.language import parse_all
from bot.easel.room.messages import Message
from tests.helpers.fake_generator import capabilities


@pytest.fixture
async def store(database: Database) -> Store:
    return Store(database)


def job(name: str, received_ms: int = 1, **more) -> Job:
    message = Message(
        room_id="!r", event_id=f"${name}", sender="@ada:x", body="otter, ünïcode 🦦", thread="$root", is_caption=True
    )
    asked = parse_all("{otter | ünïcode 🦦\x00} --cfg 7")
    return Job(id=name, message=message, asked=asked, seed=2**62, received_ms=received_ms, **more)


async def test_a_job_is_read_back_as_stored(store):
    asked = job("a", replaces="b", photo="$photo")
    await store.add_job(asked)
    assert await store.job("a") == asked
    assert await store.job("b") is None
    body = {"requester": "@ada:x", "recipes": [{"seed": 2**62, "slots": {"subject": ["ü"]}}]}
    await store.keep_body("a", body)
    assert await store.job("a") == replace(asked, body=body)


async def test_an_unreadable_request_is_empty(store, database):
    await store.add_job(job("a"))
    await store.add_job(replace(job("refused"), asked=NOTHING))
    await database.execute("UPDATE job SET request = '{}' WHERE id = 'a'")
    assert (await store.job("a")).asked == (await store.job("refused")).asked == NOTHING


async def test_a_database_of_an_earlier_version_keeps_its_jobs(database_url):
    first = UpgradeTable()
    first.register(create_tables)
    for upgrades in (first, upgrade_table):
        database = Database.create(database_url, upgrade_table=upgrades)
        await database.start()
        await Store(database).add_job(job("a"))
        await database.stop()
    database = Database.create(database_url, upgrade_table=upgrade_table)
    await database.start()
    assert await Store(database).end_job("a", JobState.CANCELLED, by="$cancel")
    assert [one.id for one in await Store(database).jobs_ended_by("$cancel")] == ["a"]
    assert await Store(database).answer_done("$stop") is None
    await database.stop()


async def test_a_job_ends_once(store):
    await store.add_job(job("a"))
    assert await store.end_job("a", JobState.CANCELLED, "gone")
    assert not await store.end_job("a", JobState.DONE)
    assert not await store.end_job("b", JobState.DONE)
    ended = await store.job("a")
    assert (ended.state, ended.last_word) == (JobState.CANCELLED, "gone")


async def test_open_and_unclosed_jobs_keep_their_order(store):
    for name, received_ms in (("c", 3), ("a", 1), ("b", 2)):
        await store.add_job(job(name, received_ms))
    assert [one.id for one in await store.open_jobs()] == ["a", "b", "c"]
    await store.end_job("a", JobState.DONE)
    await store.end_job("b", JobState.DONE)
    # What the room was told of it is outdated by then.
    await store.close_job(job("b"))
    assert [one.id for one in await store.unclosed_jobs()] == ["a", "b", "c"]
    await store.close_job(await store.job("b"))
    assert [one.id for one in await store.open_jobs()] == ["c"]
    assert [one.id for one in await store.unclosed_jobs()] == ["a", "c"]


async def test_open_jobs_are_found_by_room_and_person(store):
    for n, (room_id, sender) in enumerate((("!r", "@ada:x"), ("!r", "@bob:x"), ("!q", "@ada:x"), ("!r", "@ada:x"))):
        message = replace(job("a").message, room_id=room_id, sender=sender)
        await store.add_job(replace(job(str(n), n), message=message))
    await store.end_job("3", JobState.DONE)
    assert [one.id for one in await store.open_jobs_in("!r")] == ["0", "1"]
    assert [one.id for one in await store.open_jobs_in("!r", "@ada:x")] == ["0"]
    assert await store.number_of_open_jobs("@ada:x") == 2
    assert await store.number_of_open_jobs("@cleo:x") == 0


async def test_an_edited_message_has_its_latest_job(store):
    first = job("a", 5)
    await store.add_job(first)
    await store.end_job("a", JobState.REPLACED)
    await store.add_job(replace(first, id="b"))
    assert (await store.job_of_command("!r", "$a")).id == "b"
    await store.end_job("b", JobState.DONE)
    await store.add_job(replace(first, id="c", received_ms=9))
    assert (await store.job_of_command("!r", "$a")).id == "c"
    assert await store.job_of_command("!r", "$x") is None


async def test_open_jobs_are_found_by_message_or_reaction(store):
    waiting = [replace(job(name, n), message=replace(job("a").message, event_id="$a")) for n, name in enumerate("ab")]
    of_a_reaction = replace(job("c", 5), id=job_id("$reaction"))
    for one in (*waiting, of_a_reaction, job("d", 6)):
        await store.add_job(one)
    assert await store.open_jobs_of("!r", "$a") == waiting
    assert await store.open_jobs_of("!r", "$reaction") == [of_a_reaction]
    assert await store.open_jobs_of("!other", "$a") == []
    await store.end_job("a", JobState.CANCELLED)
    assert await store.open_jobs_of("!r", "$a") == waiting[1:]


async def test_pictures_are_counted_by_person_and_time(store):
    for n in range(4):
        await store.add_job(job(f"j{n}", received_ms=n))
    await store.end_job("j1", JobState.CANCELLED)
    await store.end_job("j2", JobState.DONE)
    assert await store.pictures_since("@ada:x", 1) == 4
    assert await store.pictures_since("@bob:x", 0) == 0
    assert await store.jobs_since(0) == 1


async def test_posted_events_are_remembered(store):
    note = Posted("a-picture-0", "a", "!r", "picture", 0, None)
    await store.will_post(note)
    await store.will_post(note)
    assert await store.posted("a-picture-0") == note
    await store.was_posted("a-picture-0", "$sent")
    assert await store.posted_in(note.room_id, "$sent") == replace(note, event_id="$sent")
    assert await store.posted_in("!other", "$sent") is None
    assert await store.all_posted("a") == [replace(note, event_id="$sent")]
    await store.was_not_posted("a-picture-0")
    assert await store.posted("a-picture-0") is None
    assert await store.posted_in(note.room_id, "$sent") is None


async def test_each_room_has_its_last_handled_event(store):
    assert await store.last_handled("!r") is None
    await store.handled("!r", "$1")
    await store.handled("!r", "$2")
    await store.handled("!q", "$3")
    assert await store.last_handled("!r") == "$2"


async def test_a_room_gets_the_styles_of_another_but_none_in_place_of_its_own(store):
    styles = [Style("cosy", "soft light", "@ada:x"), Style("ink", "ink wash", "@bob:x")]
    for room_id, style in (("!old", styles[0]), ("!old", styles[1]), ("!new", replace(styles[1], words="mine"))):
        await store.keep_style(room_id, style)
    await store.copy_styles("!old", to="!new")
    assert await store.styles("!new") == [styles[0], replace(styles[1], words="mine")]


async def test_jobs_to_forget_are_remembered_until_forgotten(store):
    for name in ("a", "b", "a"):
        await store.to_forget(name)
    await store.forgotten("a")
    assert await store.all_to_forget() == ["b"]


async def test_the_generators_capabilities_are_kept(store, database):
    assert await store.capabilities() is None
    answer = capabilities().model_dump_json()
    await store.keep_capabilities(answer)
    known = await store.capabilities()
    assert known.default_model == "ssd-1b"
    assert await Store(database).capabilities() == known
    # The same answer is not written again.
    await database.execute("DELETE FROM capabilities")
    await store.keep_capabilities(answer)
    assert await Store(database).capabilities() is None
    await store.keep_capabilities(capabilities("0.1.7").model_dump_json())
    assert (await Store(database).capabilities()).version == (await store.capabilities()).version == "0.1.7"


async def test_a_job_survives_a_restart(database_url):
    for expected in (None, job("a")):
        database = Database.create(database_url, upgrade_table=upgrade_table)
        await database.start()
        assert await Store(database).job("a") == expected
        if expected is None:
            await Store(database).add_job(job("a"))
        await database.stop()


async def drawn(store: Store, name: str, received_ms: int, *prompts: str, sender="@ada:x", model="pocket") -> None:
    """Add a posted picture to the room, or a sheet of several."""
    message = replace(job(name).message, sender=sender)
    await store.add_job(replace(job(name, received_ms), message=message))
    for n, prompt in enumerate(prompts):
        await store.keep_recipe(name, n, f"prompt: {prompt}", prompt=prompt, model=model)
    await store.will_post(Posted(name, name, "!r", "sheet" if len(prompts) > 1 else "picture", 0, None))
    await store.was_posted(name, f"$of-{name}")


async def found(store: Store, text: str, *, limit: int = 5, **more) -> list[str]:
    wanted = read_wanted(text)
    more |= {"words": wanted.words, "model": wanted.model or "", "is_favourite": wanted.is_favourite}
    return [picture.prompt for picture in (await store.find_pictures("!r", limit=limit, **more)).pictures]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("otter", True),
        ("HAT cowboy", True),
        ("hat beach", False),
        ("cow", True),
        ("at", False),
        ("(hat)++", True),
        ("ÄRGER", True),
        ("ärg", True),
        ("arger", False),
        ("rger", False),
        ("STRASSE", True),
        ("16-bit", True),
        ("bit", True),
        ("6-bit", False),
        ("🦦", True),
        ("🦊", False),
        ("100%", True),
        ("%", False),
        ("o_ter", False),
        ("otter\\", True),
        ("model:POCKET", True),
        ("model:ssd-1b otter", False),
        ("⭐", False),
        (".*", False),
        ("'", False),
        (f"otter{'x' * 70_000}", False),
        ("\ufdfa" * 20_000, False),
        ("", True),
    ],
)
async def test_every_word_must_start_a_word_of_the_prompt(store, text, is_found):
    await drawn(store, "a", 1, "otter, (cowboy hat)++, Ärger, straße, 16-bit, 100 🦦")
    assert bool(await found(store, text)) is is_found


async def test_find_matches_the_largest_number_of_words(store):
    words = [f"word{n}" for n in range(MAX_WANTED_WORDS)]
    await drawn(store, "a", 1, ", ".join(words))
    assert await found(store, " ".join(words))
    assert not await found(store, " ".join([*words[1:], "other"]))


async def test_find_returns_the_newest_and_counts_all(store):
    for n in range(7):
        await drawn(store, str(n), n, f"otter {n}", sender="@bob:x" if n % 2 else "@ada:x")
    assert await found(store, "otter", limit=3) == ["otter 6", "otter 5", "otter 4"]
    assert await found(store, "otter", limit=3, senders={"@ada:x"}) == ["otter 6", "otter 4", "otter 2"]
    assert await found(store, "otter", limit=3, senders=["@ada:x", "@bob:x"]) == ["otter 6", "otter 5", "otter 4"]
    assert await found(store, "otter", senders=set()) == []
    everybody = await store.find_pictures("!r", senders=["@ada:x", "@bob:x"], limit=2)
    assert (len(everybody.pictures), everybody.number) == (2, 7)
    assert everybody.pictures[0] == DrawnPicture(
        event_id="$of-6", prompt="otter 6", model="pocket", sender="@ada:x", received_ms=6, is_favourite=False
    )
    assert (await store.find_pictures("!r", limit=2)).number == 7
    assert (await store.find_pictures("!other", limit=2)).number == 0
    assert await store.people_with_pictures("!r") == {"@ada:x", "@bob:x"}
    assert await store.people_with_pictures("!other") == set()


async def test_a_sheet_is_found_as_one_picture(store):
    await drawn(store, "a", 1, "owl", "otter", "otter, hat")
    sheet = await store.find_pictures("!r", words=["otter"], limit=5)
    assert [(picture.prompt, picture.event_id) for picture in sheet.pictures] == [("otter", "$of-a")]
    assert sheet.number == 1


async def test_find_returns_favourites(store):
    for n in range(3):
        await drawn(store, str(n), n, f"otter {n}")
    await store.keep_favourite("!r", "$star", "$of-1")
    assert await found(store, "otter ⭐") == ["otter 1"]
    assert await found(store, "owl ⭐") == []


async def test_finding_and_counting_scan_no_table(tmp_path):
    """Every query uses an index, so its time does not grow with the number of pictures."""
    database = Database.create(f"sqlite:{tmp_path}/easel.db", upgrade_table=upgrade_table)
    await database.start()
    asked = list[str]()
    fetch = database.fetch

    async def explain(query: str, *values):
        plan = await fetch(f"EXPLAIN QUERY PLAN {query}", *values)
        asked.extend(row["detail"] for row in plan)
        return await fetch(query, *values)

    async def explain_value(query: str, *values):
        asked.extend(row["detail"] for row in await fetch(f"EXPLAIN QUERY PLAN {query}", *values))
        return None

    database.fetch, database.fetchval = explain, explain_value
    store = Store(database)
    await store.find_pictures("!r", words=["otter"], limit=5)
    await store.number_of_open_jobs("@ada:x")
    await store.open_jobs_in("!r")
    await store.open_jobs()
    await store.unclosed_jobs()
    await store.pictures_since("@ada:x", 1)
    await store.jobs_since(1)
    await database.stop()
    tables = ("job", "recipe", "posted", "favourite")
    assert any("USING INDEX" in detail for detail in asked)
    assert [detail for detail in asked if detail in [f"SCAN {table}" for table in tables]] == []


async def test_stars_and_removed_recipes_change_the_results(store):
    await drawn(store, "a", 1, "otter")
    await drawn(store, "b", 2, "owl")
    await store.keep_favourite("!r", "$star", "$of-a")
    await store.keep_favourite("!r", "$star", "$of-a")
    everything = (await store.find_pictures("!r", limit=5)).pictures
    assert [(one.prompt, one.is_favourite) for one in everything] == [("owl", False), ("otter", True)]
    await store.forget_favourite("!r", "$star")
    await store.forget_recipe("b", 0)
    everything = (await store.find_pictures("!r", limit=5)).pictures
    assert [(one.prompt, one.is_favourite) for one in everything] == [("otter", False)]
    assert await store.is_first(job("a", 1), "picture"), "a later job posted its picture sooner"
    assert not await store.is_first(job("b", 2), "picture")
    await store.was_not_posted("a")
    assert await store.is_first(job("b", 2), "picture") and not await store.is_first(job("c", 3), "picture")
    assert await store.is_first(job("c", 3), "sheet")


async def test_a_locked_database_is_waited_for(tmp_path, monkeypatch):
    """SQLite itself gives up after five seconds."""
    monkeypatch.setattr(tables, "PAUSES_S", (0.05,) * 100)
    database = Database.create(f"sqlite:{tmp_path}/easel.db?min_size=1", upgrade_table=upgrade_table)
    await database.start()
    await database.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    keeping = asyncio.create_task(Store(database).add_job(job("a")))
    await asyncio.sleep(0.2)
    assert not keeping.done()
    other.execute("COMMIT")
    await keeping
    assert await Store(database).job("a") == job("a")
    other.close()
    await database.stop()


async def test_a_database_that_stays_locked_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PAUSES_S", (0.01, 0.01))
    database = Database.create(f"sqlite:{tmp_path}/easel.db", upgrade_table=upgrade_table)
    await database.start()
    await database.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await Store(database).add_job(job("a"))
    other.close()
    await database.stop()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_connection_that_is_lost_is_opened_again(database, store):
    await store.add_job(job("a"))
    other = await asyncpg.connect(str(database.url))
    async with other.transaction():
        await other.execute("LOCK TABLE job")
        asking = asyncio.create_task(store.job("a"))
        # The statement waits for the lock, and its connection ends.
        while not await other.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            assert not asking.done()
    assert await asking == job("a")
    await other.close()


async def test_a_wrong_statement_is_not_tried_again(database, store):
    await database.execute("DROP TABLE job")
    started = time.monotonic()
    with pytest.raises(Exception, match="job"):
        await store.job("a")
    assert time.monotonic() - started < tables.PAUSES_S[0]
