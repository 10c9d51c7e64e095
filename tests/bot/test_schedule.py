"""Pictures that a room gets every day: read, listed, ended, bounded, and drawn once over restarts."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.easel.commands import every
from bot.easel.commands.every import read_time
from bot.easel.jobs.schedule import DRAWN_LATE_S, Schedule, next_time_ms
from tests.helpers.shipped_settings import settings

ROOM, BOB = "!kitchen:example.com", "@bob:example.com"


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    return {"offer_reactions": "never"}


@pytest.mark.parametrize(
    ("typed", "minute"),
    [
        (("7", None, None), 420),
        (("0", "05", None), 5),
        (("18", "30", None), 1110),
        (("7", None, "pm"), 1140),
        (("12", "15", "am"), 15),
        (("24", None, None), None),
        (("7", "60", None), None),
        (("13", None, "pm"), None),
    ],
)
def test_times_of_day(typed, minute):
    assert read_time(*typed) == minute


@pytest.mark.parametrize(
    ("day", "minute", "expected"),
    [
        ("day", 9 * 60, datetime(2026, 11, 28, 9)),
        ("day", 8 * 60, datetime(2026, 11, 29, 8)),
        ("day", 7 * 60, datetime(2026, 11, 29, 7)),
        ("saturday", 9 * 60, datetime(2026, 11, 28, 9)),
        ("saturday", 8 * 60, datetime(2026, 12, 5, 8)),
        ("friday", 0, datetime(2026, 12, 4, 0)),
    ],
)
def test_the_next_time_is_always_later(day, minute, expected):
    saturday = datetime(2026, 11, 28, 8)
    assert next_time_ms(day, minute, saturday) == expected.timestamp() * 1000


@pytest.mark.parametrize(
    ("day", "expected"), [(datetime(2026, 7, 1), "2026-07-01T05:00"), (datetime(2026, 12, 1), "2026-12-01T06:00")]
)
def test_a_time_is_one_of_the_settings_zone_in_summer_and_winter(day, expected):
    berlin = settings(time_zone="Europe/Berlin")
    schedule = Schedule(None, None, lambda: berlin, None, clock=day.replace(tzinfo=UTC).timestamp)
    at = datetime.fromtimestamp(schedule.next_time_ms("day", 7 * 60) / 1000, UTC)
    assert at.isoformat()[:16] == expected


class Asking:
    def __init__(self, room: Any, homeserver: Any) -> None:
        self._room, self._homeserver, self._asked = room, homeserver, 0

    async def __call__(self, text: str, **more: Any) -> str:
        self._asked += 1
        await self._room.say(text, **more)
        return (await self._homeserver.answers(self._asked))[-1].content["body"]


@pytest.fixture
def ask(drawing_room, homeserver):
    return Asking(drawing_room, homeserver)


async def test_they_are_listed_and_ended_by_their_people(ask, homeserver):
    homeserver.display_names = {"@ada:example.com": "Ada"}
    assert (await ask("!easel every")).startswith("A picture for this room at its time:")
    assert await ask("!easel every day at 7: otter, hat") == "Every day at 7:00: otter, hat"
    assert await ask("!easel every Friday at 6:30 pm: owl", sender=BOB) == "Every Friday at 18:30: owl"
    assert (await ask("!easel every")).splitlines()[:2] == [
        "1. Every day at 7:00: otter, hat (Ada)",
        "2. Every Friday at 18:30: owl (bob)",
    ]
    # Rooms are walls.
    assert (await ask("!easel every", room_id="!other:example.com")).startswith("A picture for this room")
    assert await ask("!easel every stop 1", room_id="!other:example.com") == every.NO_SUCH
    assert await ask("!easel every stop 1", sender=BOB) == every.NOT_YOURS
    assert await ask("!easel every stop 3") == every.NO_SUCH
    assert await ask("!easel every stop 1") == "Ended: every day at 7:00: otter, hat"
    assert (await ask("!easel every")).startswith("1. Every Friday at 18:30: owl")
    assert await ask("!easel everyday at 8: cat") == "Every day at 8:00: cat"


async def test_a_command_that_cannot_be_read_and_too_many_are_refused(ask):
    assert "--steps" in await ask("!easel every day at 7: otter --stepz 9")
    assert (await ask("!easel every day at 25: otter")).startswith("A picture for this room")
    for number in range(every.MAX_A_PERSON):
        await ask(f"!easel every day at {number}: otter")
    assert await ask("!easel every day at 9: otter") == every.YOURS_ARE_FULL
    for number in range(every.MAX_IN_ROOM - every.MAX_A_PERSON):
        await ask("!easel every day at 9: otter", sender=f"@person-{number}:example.com")
    assert await ask("!easel every day at 9: otter", sender="@last:example.com") == every.ROOM_IS_FULL


async def due(plugin, seconds_ago: float) -> None:
    """Let every scheduled picture be due since then."""
    at_ms = int((time.time() - seconds_ago) * 1000)
    await plugin.database.execute("UPDATE scheduled SET next_ms = $1", at_ms)
    plugin._schedule.changed()


async def test_it_is_drawn_at_its_time_and_once(ask, drawing_room, homeserver, fake_generator, plugin):
    await ask("!easel every day at 7: otter --seed 7")
    await due(plugin, 1)
    assert [file.content["body"] for file in await homeserver.files()] == ["otter-7.yml"]
    picture = await homeserver.marked("picture")
    assert picture.content["m.relates_to"]["m.in_reply_to"]["event_id"] == "$said-1"
    (next_ms,) = [row["next_ms"] for row in await plugin.database.fetch("SELECT next_ms FROM scheduled")]
    assert 0 < next_ms / 1000 - time.time() <= 25 * 3600


async def test_it_survives_a_restart_before_and_while_it_is_drawn(ask, homeserver, fake_generator, plugin):
    await ask("!easel every day at 7: otter --seed 7")
    await plugin.internal_stop()
    await due(plugin, 60)
    at_ms = await plugin.database.fetchval("SELECT next_ms FROM scheduled")
    await plugin.internal_start()
    await homeserver.files()
    # The process ended after the job was kept, and before the next time was noted.
    await plugin.internal_stop()
    await plugin.database.execute("UPDATE scheduled SET next_ms = $1", at_ms)
    await plugin.internal_start()
    await homeserver.until(lambda: not plugin.runner._tasks)
    assert len(fake_generator.jobs) == 1


async def test_after_a_long_absence_the_next_time_counts(ask, fake_generator, plugin, homeserver):
    await ask("!easel every day at 7: otter --seed 7")
    await due(plugin, DRAWN_LATE_S + 60)
    await ask("!easel every")
    await homeserver.until(lambda: plugin.send_queue)
    assert not fake_generator.jobs


@pytest.mark.parametrize("how", ["deleted", "left", "upgraded"])
async def test_it_ends_with_its_message_its_person_and_its_room(ask, drawing_room, how):
    await ask("!easel every day at 7: otter")
    if how == "deleted":
        await drawing_room.put({}, type="m.room.redaction", redacts="$said-1")
    elif how == "upgraded":
        upgrade = {"body": "This room has been replaced", "replacement_room": "!new:example.com"}
        await drawing_room.put(upgrade, type="m.room.tombstone", sender=BOB, state_key="")
    else:
        await drawing_room.put({"membership": "leave"}, type="m.room.member", state_key="@ada:example.com")
    assert (await ask("!easel every", sender=BOB)).startswith("A picture for this room")


async def test_it_ends_where_the_bot_may_not_write_any_more(ask, homeserver, database_says, plugin):
    for hour, text in ((7, "otter"), (8, "cat --sampler none")):
        await ask(f"!easel every day at {hour}: {text}")
    homeserver.forbidden.add("m.room.message")
    await due(plugin, 1)
    await database_says("SELECT COUNT(*) FROM scheduled", 0)


async def test_it_goes_on_where_the_bot_may_not_react(ask, homeserver, closed, plugin):
    await ask("!easel every day at 7: otter")
    homeserver.forbidden |= {"m.reaction", "m.room.redaction"}
    await due(plugin, 1)
    await homeserver.files()
    await closed()
    assert await plugin.database.fetchval("SELECT COUNT(*) FROM scheduled") == 1
