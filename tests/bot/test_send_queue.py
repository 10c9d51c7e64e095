"""The send queue with a homeserver that limits, fails and refuses, and its own rate limit."""

import asyncio
import logging
import time
from dataclasses import dataclass, field

import pytest

from bot.easel.sending.send_queue import NotSent, Outgoing, Priority, RateLimit, SendQueue, SlowDown, Unreachable

LOG = logging.getLogger("test")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Homeserver:
    """Commits its ``sins`` in turn, then accepts every event within its own rate limit."""

    sins: list[Exception] = field(default_factory=list)
    burst: int = 1000
    per_second: float = 1000
    sent: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._limit = RateLimit(self.burst, self.per_second, time.monotonic)

    async def send(self, event: Outgoing) -> str:
        self.tried.append(event.txn_id)
        self.asked.set()
        await asyncio.sleep(0)
        if self.sins:
            raise self.sins.pop(0)
        if wait_s := self._limit.wait_s():
            raise SlowDown(wait_s)
        self._limit.take()
        self.sent.append(event.txn_id)
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


def event(name: str) -> Outgoing:
    return Outgoing(room_id="!room", txn_id=name)


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


@pytest.mark.parametrize(
    ("burst", "per_second", "taken", "passed_s", "room", "wait_s"),
    [
        (10, 0.2, 0, 0, 10, 0),
        (10, 0.2, 10, 0, 0, 5),
        (10, 0.2, 10, 5, 1, 0),
        (10, 0.2, 10, 2, 0.4, 3),
        (10, 0.2, 10, 1000, 10, 0),
        (1, 2, 1, 0, 0, 0.5),
        (1, 0, 100, 0, float("inf"), 0),
    ],
)
def test_the_rate_limit_counts_events_and_time(burst, per_second, taken, passed_s, room, wait_s):
    clock = Clock()
    limit = RateLimit(burst, per_second, clock)
    for _ in range(taken):
        limit.take()
    clock.now += passed_s
    assert limit.room() == pytest.approx(room)
    assert limit.wait_s() == pytest.approx(wait_s)


@pytest.mark.parametrize(("per_second", "room_after"), [(0.2, 1), (0, float("inf"))])
def test_a_closed_rate_limit_opens_after_the_homeservers_pause(per_second, room_after):
    clock = Clock()
    limit = RateLimit(10, per_second, clock)
    limit.close(3.7)
    assert limit.room() == 0
    assert limit.wait_s() == pytest.approx(3.7)
    clock.now += 3.7
    assert limit.room() == pytest.approx(room_after)
    assert limit.wait_s() == 0
