"""Long work runs beside the event loop, one piece at a time, and nobody waits for it for ever."""

import asyncio
import threading

import pytest

from bot.easel.language import ParseError
from bot.easel.side_thread import SHORT_CHARS, TOO_LONG, SideThread

LONG = SHORT_CHARS + 1


async def test_the_event_loop_goes_on_while_long_work_runs():
    gate = threading.Event()
    work = asyncio.create_task(SideThread(within_s=10).run(lambda: gate.wait(10), chars=LONG))
    await asyncio.sleep(0.01)
    assert not work.done()
    gate.set()
    assert await work


async def test_short_work_does_not_wait_for_long_work():
    gate, side_thread = threading.Event(), SideThread(within_s=10)
    work = asyncio.create_task(side_thread.run(lambda: gate.wait(10), chars=LONG))
    await asyncio.sleep(0)
    assert await side_thread.run(threading.get_ident, chars=SHORT_CHARS) == threading.get_ident()
    gate.set()
    await work


async def test_long_work_runs_one_piece_at_a_time():
    running, most, side_thread = [], [], SideThread()

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        threading.Event().wait(0.01)
        running.remove(number)
        return number

    results = await asyncio.gather(*(side_thread.run(lambda n=n: work(n), chars=LONG) for n in range(5)))
    assert results == [0, 1, 2, 3, 4] and set(most) == {1}


async def test_work_that_takes_too_long_ends_in_a_sentence_and_keeps_its_turn():
    gate, ended, side_thread = threading.Event(), [], SideThread(within_s=0.01)

    def work() -> None:
        gate.wait(10)
        ended.append(True)
        raise ParseError("Nobody hears this.")

    with pytest.raises(ParseError, match=TOO_LONG):
        await side_thread.run(work, chars=LONG)
    after = asyncio.create_task(side_thread.run(lambda: list(ended), chars=LONG))
    await asyncio.sleep(0.05)
    assert not after.done()
    gate.set()
    assert await after == [True]


async def test_the_shortest_of_those_who_wait_goes_first():
    gate, order, side_thread = threading.Event(), [], SideThread(within_s=10)
    first = asyncio.create_task(side_thread.run(lambda: gate.wait(10), chars=LONG))
    await asyncio.sleep(0.01)
    sizes = [9000, 9000, 600, 9000, 601]
    waiting = [
        asyncio.create_task(side_thread.run(lambda at=at: order.append(at), chars=LONG + size))
        for at, size in enumerate(sizes)
    ]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(first, *waiting)
    assert order == [2, 4, 0, 1, 3]


async def test_work_that_is_cancelled_while_it_waits_holds_up_nobody():
    gate, side_thread = threading.Event(), SideThread(within_s=10)
    first = asyncio.create_task(side_thread.run(lambda: gate.wait(10), chars=LONG))
    await asyncio.sleep(0.01)
    shorter = asyncio.create_task(side_thread.run(lambda: None, chars=LONG + 1))
    longer = asyncio.create_task(side_thread.run(lambda: "done", chars=LONG + 2))
    await asyncio.sleep(0.01)
    gate.set()
    await first
    shorter.cancel()
    assert await asyncio.wait_for(longer, 60) == "done"


async def test_work_that_is_cancelled_keeps_its_turn_until_it_ends():
    gate, side_thread = threading.Event(), SideThread(within_s=10)
    work = asyncio.create_task(side_thread.run(lambda: gate.wait(10), chars=LONG))
    await asyncio.sleep(0.01)
    work.cancel()
    after = asyncio.create_task(side_thread.run(gate.is_set, chars=LONG))
    await asyncio.sleep(0.01)
    assert work.cancelled() and not after.done()
    gate.set()
    assert await after


async def test_what_work_raises_reaches_the_caller():
    with pytest.raises(ParseError, match="not this"):
        await SideThread().run(lambda: _refuse("not this"), chars=LONG)


def _refuse(sentence: str) -> None:
    raise ParseError(sentence)
