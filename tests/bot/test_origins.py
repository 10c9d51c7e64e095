"""Which events of a sync are new, missed, or from before the bot joined."""

from types import SimpleNamespace
from typing import Any

import pytest

from bot.easel.room import origins
from bot.easel.room.origins import Origin, Origins, is_join

BOT = "@easel:example.com"
MEMBER = {"type": "m.room.member", "state_key": BOT}


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now_s=0.0)


@pytest.fixture
def notes(clock) -> Origins:
    return Origins(BOT, lambda: SimpleNamespace(catch_up_s=600), clock=lambda: clock.now_s)


def member(event_id: str, membership: str, before: Any = None, user_id: str = BOT) -> dict[str, Any]:
    content, unsigned = {"membership": membership}, {"prev_content": before}
    return {**MEMBER, "event_id": event_id, "state_key": user_id, "content": content, "unsigned": unsigned}


def sync(*events: Any, is_first: bool = False, limited: bool = False) -> dict[str, Any]:
    room = {"timeline": {"events": list(events), "limited": limited}}
    return {"net.maunium.mautrix": {"is_first": is_first}, "rooms": {"join": {"!room": room}}}


@pytest.mark.parametrize(
    ("event", "joins"),
    [
        (member("$a", "join"), True),
        (member("$a", "join", {"membership": "invite"}), True),
        (member("$a", "join", {"membership": "join"}), False),
        (member("$a", "leave"), False),
        (member("$a", "join", user_id="@ada:example.com"), False),
        ({**MEMBER, "content": 5, "unsigned": []}, False),
        ({**MEMBER, "content": {"membership": "join"}, "unsigned": 5}, True),
        ({}, False),
    ],
)
def test_a_join_is_an_arrival(event, joins):
    assert is_join(event, BOT) == joins


def test_a_sync_tells_where_its_events_come_from(notes, clock):
    one, two = {"event_id": "$1"}, {"event_id": "$2"}
    assert notes.note(sync(one, is_first=True)) == []
    assert notes.note(sync(two, limited=True)) == ["!room"]
    assert notes.note(sync({"event_id": "$3"}, 5, {}, member("$4", "join"), {"event_id": "$5"})) == []
    clock.now_s = 600
    notes.note(sync({"event_id": "$6"}))
    clock.now_s = 1201
    notes.note(sync({"event_id": "$7"}))
    assert {n: notes.of(f"${n}") for n in range(1, 9)} == {
        1: Origin.MISSED,
        2: Origin.MISSED,
        3: Origin.BEFORE_US,
        4: Origin.LIVE,
        5: Origin.LIVE,
        6: Origin.LIVE,
        7: Origin.MISSED,
        8: Origin.LIVE,
    }


def test_the_oldest_notes_are_dropped(notes, monkeypatch):
    monkeypatch.setattr(origins, "MAX_NOTED", 2)
    notes.note(sync({"event_id": "$1"}, {"event_id": "$2"}, {"event_id": "$3"}, is_first=True))
    assert [notes.of(f"${n}") for n in (1, 2, 3)] == [Origin.LIVE, Origin.MISSED, Origin.MISSED]
