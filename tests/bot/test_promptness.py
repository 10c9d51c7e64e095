"""Whose answers go before everybody's pictures."""

import asyncio
import logging
import time

import pytest

from bot.easel.sending.promptness import MAX_PEOPLE, MAX_SIGNS, WITHIN_S, Promptness
from bot.easel.sending.send_queue import Outgoing, Priority, RateLimit, SendQueue


def test_a_persons_first_answer_is_prompt_and_a_flood_is_not():
    now_s = 0.0
    promptness = Promptness(lambda: now_s)
    assert [promptness.of_answer("@ada") for _ in range(3)] == [Priority.PROMPT, Priority.ANSWER, Priority.ANSWER]
    assert promptness.of_answer("@bob") is Priority.PROMPT
    now_s = WITHIN_S
    assert promptness.of_answer("@ada") is Priority.PROMPT


def test_the_signs_of_a_flood_are_dropped_where_there_is_no_room():
    promptness = Promptness(lambda: 0.0)
    signs = [promptness.of_sign("@ada") for _ in range(MAX_SIGNS + 2)]
    assert signs == [Priority.PROMPT, *[Priority.ANSWER] * (MAX_SIGNS - 1), Priority.PROGRESS, Priority.PROGRESS]
    assert promptness.of_answer("@ada") is Priority.PROMPT, "signs are no answers"


def test_many_people_are_not_remembered_for_ever():
    promptness = Promptness(lambda: 0.0)
    for number in range(2 * MAX_PEOPLE):
        promptness.of_answer(f"@{number}")
    assert len(promptness._answers) == MAX_PEOPLE


class Accepting:
    """A homeserver that takes every event."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, event: Outgoing) -> str:
        self.sent.append(event.txn_id)
        return f"${event.txn_id}"


@pytest.fixture
async def queue():
    """A queue at a homeserver that allows a few events at once, and then one in 50 ms."""
    homeserver = Accepting()
    queue = SendQueue(homeserver, RateLimit(3, 20, time.monotonic), logging.getLogger("test"))
    task = asyncio.create_task(queue.run())
    yield queue, homeserver
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_prompt_answer_goes_before_pictures_and_all_others_after_them(queue):
    send_queue, homeserver = queue
    events = [
        ("answer", Priority.ANSWER),
        ("tidy", Priority.TIDY),
        ("picture", Priority.PICTURE),
        ("prompt", Priority.PROMPT),
    ]
    await asyncio.gather(
        *(send_queue.send(Outgoing(room_id="!r", txn_id=name, person=name), priority) for name, priority in events)
    )
    assert homeserver.sent == ["prompt", "picture", "answer", "tidy"]


async def test_offers_wait_until_no_open_job_needs_the_room(queue):
    send_queue, homeserver = queue
    with send_queue.owing(3):
        offer = asyncio.create_task(send_queue.send(Outgoing(room_id="!r", txn_id="offer"), Priority.OFFER))
        await asyncio.sleep(0.2)
        assert homeserver.sent == []
        await send_queue.send(Outgoing(room_id="!r", txn_id="tidy"), Priority.TIDY)
        assert not offer.done()
    assert await offer == "$offer"
    assert homeserver.sent == ["tidy", "offer"]
