"""The order in which a room's events are handled: one person's one after the other, but for keys that come late."""

import asyncio
from types import SimpleNamespace

import pytest

from bot.easel.room.places import Place, Places


def take(places: Places, event_id: str, sender: str = "@ada:example.com") -> Place:
    event = SimpleNamespace(room_id="!kitchen:example.com", event_id=event_id, sender=sender)
    return places.take(event, is_missed=False, counts=True)


@pytest.fixture
async def turns():
    """Start waiting for a turn, and let all go as far as they can."""
    tasks = []

    async def turn(places: Places, place: Place, **about) -> asyncio.Task:
        tasks.append(asyncio.create_task(places.turn(place, after_all=False, **about)))
        await asyncio.sleep(0)
        return tasks[-1]

    yield turn
    for task in tasks:
        task.cancel()


async def test_an_edit_waits_for_its_message_whose_key_comes_late(turns):
    places = Places()
    message, edit = take(places, "$message"), take(places, "$edit")
    edits_turn = await turns(places, edit, about="$message")
    assert not edits_turn.done()
    # The key has come.
    assert (await turns(places, message)).done()
    places.leave(message)
    await edits_turn


async def test_another_message_does_not_wait_for_a_late_key(turns):
    places = Places()
    take(places, "$message")
    assert (await turns(places, take(places, "$other"))).done()
    assert (await turns(places, take(places, "$edit", sender="@bob:example.com"), about="$unknown")).done()


async def test_events_that_edit_each_other_or_themselves_are_handled(turns):
    places = Places()
    one, other = take(places, "$one"), take(places, "$other")
    assert (await turns(places, one, about="$other")).done()
    places.leave(one)
    assert (await turns(places, other, about="$other")).done()
