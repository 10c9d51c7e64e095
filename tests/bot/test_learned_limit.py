"""The bot learns what its homeserver allows: a free one gets everything at once, a strict one nothing later."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from bot.easel.sending.rate_limit import BEYOND, QUIET_S, LearnedLimit, RateLimit, limit_of
from bot.easel.sending.send_queue import Outgoing, Priority, SendQueue, SlowDown
from tests.helpers.shipped_settings import settings

T = TypeVar("T")
BURST, PER_SECOND = 10, 0.2
NETWORK_S = 0.02


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its time passes at once whenever all wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now, really_select = 0.0, self._selector.select

        def select(timeout: float | None):
            assert timeout is not None, "all wait for ever"
            # A real clock moves on as well, however little is done.
            self.now += timeout + 1e-6
            return really_select(0)

        self._selector.select = select

    def time(self) -> float:
        return self.now


def run(work: Awaitable[T]) -> T:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(work)


@dataclass
class Homeserver:
    """One without a limit, or with Synapse's: it holds a refusal back for half a second."""

    limit: RateLimit | None
    refusals: int = 0
    arrived: dict[str, float] = field(default_factory=dict)

    async def send(self, event: Outgoing) -> str:
        await asyncio.sleep(NETWORK_S)
        if self.limit and (wait_s := self.limit.wait_s()) > 0.001:
            self.refusals += 1
            await asyncio.sleep(0.5 + NETWORK_S)
            raise SlowDown(wait_s)
        if self.limit:
            self.limit.take()
        self.arrived[event.txn_id] = asyncio.get_running_loop().time()
        await asyncio.sleep(NETWORK_S)
        return f"${event.txn_id}"


MakeLimit = Callable[[Callable[[], float]], RateLimit]


def learned(clock: Callable[[], float]) -> RateLimit:
    return LearnedLimit(BURST, clock)


def fixed(clock: Callable[[], float]) -> RateLimit:
    return RateLimit(BURST, PER_SECOND, clock)


class Bot:
    """A send queue, before a homeserver that is strict or free."""

    def __init__(self, make_limit: MakeLimit, *, is_strict: bool) -> None:
        clock = asyncio.get_running_loop().time
        self.homeserver = Homeserver(fixed(clock) if is_strict else None)
        self.queue = SendQueue(self.homeserver, make_limit(clock), logging.getLogger("test"))
        self._running = asyncio.create_task(self.queue.run())

    async def send(self, *names: str, priority: Priority = Priority.ANSWER) -> list[str | None]:
        events = [Outgoing(room_id=f"!{name}", txn_id=name, person=name) for name in names]
        return await asyncio.gather(*(self.queue.send(event, priority) for event in events))


@pytest.mark.parametrize(("edited", "kind"), [({}, LearnedLimit), ({"rate_limit_per_second": 0.2}, RateLimit)])
def test_the_limit_is_learned_unless_the_settings_fix_it(edited, kind):
    assert type(limit_of(settings(**edited))) is kind


def numbered(count: int, prefix: str = "e") -> list[str]:
    return [f"{prefix}{n}" for n in range(count)]


def test_a_homeserver_without_a_limit_gets_everything_at_once():
    async def talk() -> None:
        bot = Bot(learned, is_strict=False)
        await bot.send(*numbered(50))
        assert max(bot.homeserver.arrived.values()) < 0.1
        # Progress needs to leave no room there, though jobs are open.
        with bot.queue.owing(100):
            assert None not in await bot.send(*numbered(20, "p"), priority=Priority.PROGRESS)
            await bot.send(*numbered(20, "o"), priority=Priority.OFFER)
        assert max(bot.homeserver.arrived.values()) < 0.2

    run(talk())


def test_before_anything_is_known_progress_leaves_room_for_open_jobs():
    async def talk() -> None:
        bot = Bot(learned, is_strict=True)
        with bot.queue.owing(BURST - 2):
            sent = [(await bot.send(name, priority=Priority.PROGRESS))[0] for name in numbered(4)]
        assert sent == ["$e0", "$e1", None, None]

    run(talk())


def test_after_a_refusal_the_homeservers_pace_holds_until_it_was_quiet():
    async def talk() -> None:
        bot = Bot(learned, is_strict=True)
        await bot.send(*numbered(BURST))
        await bot.send("beyond")
        assert (bot.homeserver.refusals, bot.homeserver.arrived["beyond"]) == (1, pytest.approx(5, abs=0.1))
        # From now on as with a fixed limit: in order, one in five seconds, and none refused.
        waiting = asyncio.create_task(bot.send("answer"))
        await asyncio.sleep(0)
        await bot.send("picture", priority=Priority.PICTURE)
        await waiting
        assert bot.homeserver.arrived["picture"] == pytest.approx(10, abs=0.2)
        assert bot.homeserver.arrived["answer"] == pytest.approx(15, abs=0.2)
        assert bot.homeserver.refusals == 1
        await asyncio.sleep(QUIET_S)
        # The homeserver was exempted meanwhile, and is found out again.
        bot.homeserver.limit = None
        began = asyncio.get_running_loop().time()
        await bot.send(*numbered(40, "later"))
        assert max(bot.homeserver.arrived.values()) - began < 0.1

    run(talk())


def test_a_homeserver_that_becomes_strict_is_noticed():
    async def talk() -> None:
        bot = Bot(learned, is_strict=False)
        await bot.send(*numbered(BURST + BEYOND + 1))
        bot.homeserver.limit = RateLimit(1, PER_SECOND, asyncio.get_running_loop().time)
        await bot.send("a", "b", "c")
        refusals = bot.homeserver.refusals
        await bot.send("d", "e")
        assert bot.homeserver.refusals == refusals

    run(talk())


VALUABLE = (Priority.PROMPT, Priority.PICTURE, Priority.ANSWER, Priority.TIDY)


async def evening(make_limit: MakeLimit, seed: int) -> tuple[dict[str, float], int]:
    """Forty events that people wait for, and as many courtesies between them, in four rooms; when each arrived."""
    chance, bot = random.Random(seed), Bot(make_limit, is_strict=True)
    sending = []
    for n in range(80):
        await asyncio.sleep(chance.choice([0, 0, 0.3, 2, 7, 30]))
        is_valuable = chance.random() < 0.5
        priority = chance.choice(VALUABLE if is_valuable else (Priority.PROGRESS, Priority.OFFER))
        room = chance.choice("abcd")
        event = Outgoing(room_id=room, txn_id=f"{'v' if is_valuable else 'c'}{n}", person=room)
        sending.append(
            asyncio.create_task(owed(bot, event, priority) if is_valuable else bot.queue.send(event, priority))
        )
    await asyncio.gather(*sending)
    return {name: at for name, at in bot.homeserver.arrived.items() if name[0] == "v"}, bot.homeserver.refusals


async def owed(bot: Bot, event: Outgoing, priority: Priority) -> None:
    with bot.queue.owing(1):
        await bot.queue.send(event, priority)


def test_before_a_strict_homeserver_nothing_that_people_wait_for_comes_later_than_with_a_fixed_limit():
    refused = 0
    for seed in range(20):
        today, _ = run(evening(fixed, seed))
        learning, refusals = run(evening(learned, seed))
        refused += refusals
        assert learning.keys() == today.keys()
        late = {name: at - today[name] for name, at in learning.items() if at > today[name] + 3 * NETWORK_S}
        assert not late, (seed, late)
    # They had something to learn from.
    assert refused > 10
