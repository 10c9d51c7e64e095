"""The send queue with a homeserver that limits, fails and refuses, and its own rate limit."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

import pytest

from bot.easel.sending.rate_limit import RateLimit
from bot.easel.sending.send_queue import (
    MAX_ROOMS_A_PERSON,
    MAX_WAITING_A_PERSON,
    TOO_MANY,
    NotSent,
    Outgoing,
    Priority,
    SendQueue,
    SlowDown,
    Unreachable,
)

LOG = logging.getLogger("test")


@dataclass
class Homeserver:
    """Commits its ``sins`` in turn, then accepts every event within its own rate limit.

    Events into ``stuck`` rooms get no answer until the room is taken out.
    """

    sins: list[Exception] = field(default_factory=list)
    burst: int = 1000
    per_second: float = 1000
    sent: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    contents: list[dict] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._limit = RateLimit(self.burst, self.per_second, time.monotonic)

    async def send(self, event: Outgoing) -> str:
        self.tried.append(event.txn_id)
        self.asked.set()
        await asyncio.sleep(0)
        if event.room_id in self.stuck:
            await self.stuck[event.room_id].wait()
        if self.sins:
            raise self.sins.pop(0)
        if wait_s := self._limit.wait_s():
            raise SlowDown(wait_s)
        self._limit.take()
        self.sent.append(event.txn_id)
        self.contents.append(event.content)
        self.times.append(time.monotonic())
        return f"${event.txn_id}"


@pytest.fixture
async def start():
    tasks = []

    def start(
        homeserver: Homeserver, burst: int = 10, per_second: float = 0.01, first_pause_s: float = 0.0001
    ) -> SendQueue:
        limit = RateLimit(burst, per_second, time.monotonic)
        send_queue = SendQueue(homeserver, limit, LOG, first_pause_s=first_pause_s)
        tasks.append(asyncio.create_task(send_queue.run()))
        return send_queue

    yield start
    for task in tasks:
        task.cancel()


def event(name: str, person: str = "", *, room_id: str = "!room") -> Outgoing:
    return Outgoing(room_id=room_id, txn_id=name, person=person)


def answer(name: str, person: str, **more) -> Outgoing:
    content = {"body": name}
    return Outgoing(room_id="!room", txn_id=name, person=person, is_droppable=True, content=content, **more)


async def test_a_sent_event_has_an_id(start):
    assert await start(Homeserver()).send(event("a")) == "$a"


async def test_pictures_go_first_then_answers_in_order(start):
    homeserver = Homeserver()
    send_queue = start(homeserver)
    names = [("a1", Priority.ANSWER), ("a2", Priority.ANSWER), ("p1", Priority.PICTURE), ("p2", Priority.PICTURE)]
    await asyncio.gather(*(send_queue.send(event(name), priority) for name, priority in names))
    assert homeserver.sent == ["p1", "p2", "a1", "a2"]


async def test_a_burst_goes_at_once_and_the_rest_at_the_homeservers_pace(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=10, per_second=50)
    await asyncio.gather(*(send_queue.send(event(f"e{n}")) for n in range(16)))
    assert len(homeserver.sent) == len(homeserver.tried) == 16
    assert homeserver.times[15] - homeserver.times[9] > 5 / 50


@pytest.mark.parametrize("priority", [Priority.PICTURE, Priority.ANSWER, Priority.TIDY])
async def test_people_take_turns(start, priority):
    homeserver = Homeserver()
    send_queue = start(homeserver)
    names = [*(("ada", f"a{n}") for n in range(6)), ("bob", "b0"), ("bob", "b1"), ("cy", "c0")]
    await asyncio.gather(*(send_queue.send(event(name, person), priority) for person, name in names))
    assert homeserver.sent == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4", "a5"]


async def test_nobody_waits_for_ever_for_people_who_ask_again_and_again(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=1000)

    async def again_and_again(person: str) -> None:
        for n in range(10):
            await send_queue.send(event(f"{person}{n}", person))

    many = [send_queue.send(event(f"ada{n}", "ada")) for n in range(10)]
    await asyncio.gather(*many, again_and_again("bob"), again_and_again("cy"))
    assert homeserver.sent == [f"{person}{n}" for n in range(10) for person in ("ada", "bob", "cy")]


async def test_an_event_that_is_sent_again_keeps_its_turn(start):
    homeserver = Homeserver(sins=[SlowDown(0.02)])
    send_queue = start(homeserver, per_second=1000)
    names = [("ada", "a0"), ("ada", "a1"), ("bob", "b0")]
    await asyncio.gather(*(send_queue.send(event(name, person)) for person, name in names))
    assert homeserver.sent == ["a0", "b0", "a1"]


async def test_one_sentence_takes_the_place_of_too_many_answers(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=2000)
    # The burst is taken, so all of them wait.
    await send_queue.send(event("first"))
    flood = [asyncio.create_task(send_queue.send(answer(f"a{n}", "ada"))) for n in range(100)]
    await asyncio.sleep(0)
    # While the sentence waits, further answers are dropped though earlier ones were sent.
    await flood[5]
    assert await send_queue.send(answer("late", "ada")) is None
    assert await send_queue.send(answer("b", "bob")) == "$b"
    sent = await asyncio.gather(*flood)
    assert sent == [f"$a{n}" for n in range(MAX_WAITING_A_PERSON + 1)] + [None] * (99 - MAX_WAITING_A_PERSON)
    assert [content["body"] for content in homeserver.contents if content.get("body") == TOO_MANY] == [TOO_MANY]
    # After that she starts anew.
    assert await send_queue.send(answer("again", "ada")) == "$again"


async def test_of_too_many_signs_the_rest_is_dropped_without_a_sentence(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=2000)
    sign = Outgoing(room_id="!room", txn_id="t", person="ada", is_droppable=True, event_type="m.reaction")
    sent = await asyncio.gather(*(send_queue.send(sign, Priority.TIDY) for _ in range(MAX_WAITING_A_PERSON + 9)))
    assert sent.count(None) == 9
    assert {} in homeserver.contents and TOO_MANY not in str(homeserver.contents)


async def test_what_is_promised_is_never_dropped_and_takes_no_answers_place(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=2000)
    pictures = [send_queue.send(event(f"p{n}", "ada"), Priority.PICTURE) for n in range(100)]
    recipes = [send_queue.send(event(f"r{n}", "ada")) for n in range(100)]
    answers = [send_queue.send(answer(f"a{n}", "ada")) for n in range(MAX_WAITING_A_PERSON)]
    sent = await asyncio.gather(*pictures, *recipes, *answers)
    assert None not in sent and len(homeserver.sent) == 200 + MAX_WAITING_A_PERSON


async def test_an_exempt_bot_does_not_wait(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=0)
    await asyncio.gather(*(send_queue.send(event(f"e{n}")) for n in range(100)))
    assert len(homeserver.sent) == 100


@pytest.mark.parametrize("retry_after_s", [0.05, None])
async def test_a_limited_event_is_sent_again_as_the_same_transaction(start, retry_after_s):
    homeserver = Homeserver(sins=[SlowDown(retry_after_s), SlowDown(retry_after_s)])
    began = time.monotonic()
    assert await start(homeserver, per_second=20).send(event("a")) == "$a"
    assert homeserver.tried == ["a", "a", "a"]
    assert homeserver.times[0] - began >= 2 * 0.05


async def test_a_stricter_homeserver_loses_nothing(start):
    homeserver = Homeserver(burst=2, per_second=100)
    send_queue = start(homeserver, burst=50, per_second=1000)
    await asyncio.gather(*(send_queue.send(event(f"e{n}")) for n in range(12)))
    assert homeserver.sent == [f"e{n}" for n in range(12)]
    assert len(homeserver.tried) > 12


async def test_a_homeserver_that_asks_for_no_pause_still_gets_one(start):
    homeserver = Homeserver(sins=[SlowDown(0), SlowDown(-1)])
    send_queue = start(homeserver, first_pause_s=0.02)
    began = time.monotonic()
    await send_queue.send(event("a"))
    assert time.monotonic() - began >= 2 * 0.02


async def test_a_picture_overtakes_an_answer_that_waits_for_the_limit(start):
    homeserver = Homeserver(sins=[SlowDown(0.05)])
    send_queue = start(homeserver, per_second=1000)
    answer = asyncio.create_task(send_queue.send(event("answer")))
    await homeserver.asked.wait()
    await send_queue.send(event("picture"), Priority.PICTURE)
    await answer
    assert homeserver.sent == ["picture", "answer"]


async def test_a_homeserver_that_is_away_is_waited_for(start):
    homeserver = Homeserver(sins=[Unreachable("gone")] * 15)
    assert await start(homeserver, first_pause_s=0.00001).send(event("a")) == "$a"
    assert homeserver.tried == ["a"] * 16


async def test_an_event_that_waits_for_its_next_try_delays_no_other(start):
    homeserver = Homeserver(sins=[Unreachable("no keys for this room")])
    send_queue = start(homeserver, first_pause_s=0.05)
    first = asyncio.create_task(send_queue.send(event("a")))
    await homeserver.asked.wait()
    assert await send_queue.send(event("b")) == "$b"
    assert await first == "$a"


async def test_a_stuck_room_holds_up_only_itself(start):
    homeserver = Homeserver(stuck={"!stuck": asyncio.Event()})
    send_queue = start(homeserver)
    stuck = [asyncio.create_task(send_queue.send(event(name, "ada", room_id="!stuck"))) for name in ("a", "b")]
    await homeserver.asked.wait()
    async with asyncio.timeout(60):
        # Also from the person whose events are stuck, and through the tidying up that comes last.
        for n, person in enumerate(("ada", "bob", "ada", "bob")):
            assert await send_queue.send(event(f"e{n}", person), Priority(n % 3)) == f"$e{n}"
    assert homeserver.tried == ["a", "e0", "e1", "e2", "e3"]
    homeserver.stuck["!stuck"].set()
    assert await asyncio.gather(*stuck) == ["$a", "$b"]


async def test_a_room_gets_one_event_at_a_time_in_its_order(start):
    homeserver = Homeserver(stuck={f"!{n}": asyncio.Event() for n in range(3)})
    send_queue = start(homeserver, burst=100)
    names = [(f"{n}-{i}", f"!{n}") for i in range(5) for n in range(3)]
    sending = [asyncio.create_task(send_queue.send(event(name, room_id=room_id))) for name, room_id in names]
    await asyncio.sleep(0.02)
    assert homeserver.tried == ["0-0", "1-0", "2-0"]
    for room in homeserver.stuck.values():
        room.set()
    await asyncio.gather(*sending)
    for n in range(3):
        assert [name for name in homeserver.sent if name.startswith(f"{n}-")] == [f"{n}-{i}" for i in range(5)]


async def test_events_on_their_way_into_many_rooms_keep_within_the_limit(start):
    rooms = {f"!{n}": asyncio.Event() for n in range(30)}
    homeserver = Homeserver(stuck=rooms)
    send_queue = start(homeserver, burst=4, per_second=20)
    began = time.monotonic()
    sending = [asyncio.create_task(send_queue.send(event(room, room, room_id=room))) for room in rooms]
    await asyncio.sleep(0.1)
    allowed = 4 + 20 * (time.monotonic() - began)
    assert 4 <= len(homeserver.tried) <= allowed
    for room in rooms.values():
        room.set()
    await asyncio.gather(*sending)
    assert len(homeserver.sent) == len(homeserver.tried) == 30
    assert time.monotonic() - began > (30 - 4) / 20


async def test_one_persons_stuck_rooms_leave_connections_for_others(start):
    homeserver = Homeserver(stuck={f"!{n}": asyncio.Event() for n in range(100)})
    send_queue = start(homeserver, burst=1000)
    stuck = [asyncio.create_task(send_queue.send(event(room, "mallory", room_id=room))) for room in homeserver.stuck]
    async with asyncio.timeout(60):
        # No news comes of what is stuck.
        while len(homeserver.tried) < MAX_ROOMS_A_PERSON:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert await send_queue.send(event("a", "ada")) == "$a"
    assert len(homeserver.tried) == MAX_ROOMS_A_PERSON + 1
    for room in homeserver.stuck.values():
        room.set()
    assert await asyncio.gather(*stuck) == [f"$!{n}" for n in range(100)]


async def test_of_two_limits_at_once_the_longer_counts(start):
    rooms = {"!a": asyncio.Event(), "!b": asyncio.Event()}
    homeserver = Homeserver(sins=[SlowDown(0.2), SlowDown(0.01)], stuck=rooms)
    send_queue = start(homeserver, per_second=1000)
    # The pause counts from when the homeserver got the event.
    limited_at = time.monotonic()
    sending = [asyncio.create_task(send_queue.send(event(room, room_id=room))) for room in rooms]
    await asyncio.sleep(0.02)
    for room in rooms.values():
        room.set()
    await asyncio.gather(*sending)
    assert min(homeserver.times) - limited_at >= 0.2


async def test_an_event_that_is_stuck_when_the_bot_stops_is_sent_by_the_next_process(start):
    homeserver = Homeserver(stuck={"!stuck": asyncio.Event()})
    first = SendQueue(homeserver, RateLimit(10, 1, time.monotonic), LOG)
    process = asyncio.create_task(first.run())
    sending = asyncio.create_task(first.send(event("a", room_id="!stuck")))
    await homeserver.asked.wait()
    for task in (sending, process):
        task.cancel()
    await asyncio.wait({sending, process})
    homeserver.stuck["!stuck"].set()
    assert await start(homeserver).send(event("a", room_id="!stuck")) == "$a"
    assert (homeserver.tried, homeserver.sent) == (["a", "a"], ["a"])


async def test_tidying_up_comes_last_and_is_never_dropped(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=50)
    with send_queue.owing(100):
        await send_queue.send(event("first"))
        tidying = asyncio.create_task(send_queue.send(event("tidy"), Priority.TIDY))
        await asyncio.sleep(0)
        await asyncio.gather(*(send_queue.send(event(f"a{n}")) for n in range(3)))
        assert await tidying == "$tidy"
    assert homeserver.sent[-1] == "tidy"


@pytest.mark.parametrize("sin", [NotSent("forbidden"), RuntimeError("a bug")])
async def test_an_event_that_cannot_be_sent_delays_no_other(start, sin):
    send_queue = start(Homeserver(sins=[sin]))
    with pytest.raises(NotSent):
        await send_queue.send(event("a"))
    assert await send_queue.send(event("b")) == "$b"


async def test_progress_leaves_room_for_what_open_jobs_owe(start):
    homeserver = Homeserver()
    send_queue = start(homeserver)
    with send_queue.owing(2), send_queue.owing(2), send_queue.owing(4):
        sent = [await send_queue.send(event(f"p{n}"), Priority.PROGRESS) for n in range(4)]
    assert sent == ["$p0", "$p1", None, None]


async def test_paid_and_closed_debts_make_room_again(start):
    send_queue = start(Homeserver(), burst=3)
    with send_queue.owing(2) as debt:
        assert await send_queue.send(event("a"), Priority.PROGRESS) == "$a"
        assert await send_queue.send(event("b"), Priority.PROGRESS) is None
        debt.pay()
        debt.pay()
        debt.pay()
        assert debt.events == 0
        assert await send_queue.send(event("c"), Priority.PROGRESS) == "$c"
    with send_queue.owing(100):
        assert await send_queue.send(event("d"), Priority.PROGRESS) is None
    assert await send_queue.send(event("e"), Priority.PROGRESS) == "$e"


async def test_progress_is_dropped_while_the_homeserver_limits(start):
    homeserver = Homeserver(sins=[SlowDown(0.02)])
    send_queue = start(homeserver)
    answer = asyncio.create_task(send_queue.send(event("answer")))
    progress = asyncio.create_task(send_queue.send(event("progress"), Priority.PROGRESS))
    assert await answer == "$answer"
    assert await progress is None


async def test_an_event_that_was_given_up_is_not_sent(start):
    homeserver = Homeserver()
    send_queue = start(homeserver, burst=1, per_second=20)
    await send_queue.send(event("a"))
    given_up = asyncio.create_task(send_queue.send(event("b")))
    await asyncio.sleep(0)
    given_up.cancel()
    await send_queue.send(event("c"))
    assert homeserver.sent == ["a", "c"]
