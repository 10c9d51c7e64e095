"""Typing is shown in a room as long as one of its jobs is open."""

import asyncio

from bot.easel.sending.typing_notices import TYPING_FOR_S, TypingNotices


async def test_typing_continues_when_one_job_begins_as_another_ends():
    notices_sent = []
    done = asyncio.Event()

    async def set_typing(room_id: str, for_s: int) -> None:
        notices_sent.append(for_s)

    async def draw() -> None:
        async with notices.shown_in("!kitchen:example.com"):
            await done.wait()

    notices = TypingNotices(set_typing)
    async with notices.shown_in("!kitchen:example.com"):
        await asyncio.sleep(0)
        other = asyncio.create_task(draw())
    # The first job has ended, and the other began before that.
    await asyncio.sleep(0)
    assert notices_sent == [TYPING_FOR_S, TYPING_FOR_S]
    done.set()
    await other
    assert notices_sent == [TYPING_FOR_S, TYPING_FOR_S, 0]


async def test_typing_restarts_after_each_event_of_the_bot():
    """Element ends the notice at any event from the typing user, and a homeserver forwards only changes."""
    notices_sent: asyncio.Queue[int] = asyncio.Queue()

    async def set_typing(room_id: str, for_s: int) -> None:
        notices_sent.put_nowait(for_s)

    notices = TypingNotices(set_typing, together_s=0)
    notices.interrupted("!kitchen:example.com")
    async with notices.shown_in("!kitchen:example.com"):
        assert await notices_sent.get() == TYPING_FOR_S
        for _ in range(2):
            notices.interrupted("!kitchen:example.com")
            notices.interrupted("!attic:example.com")
            assert [await notices_sent.get(), await notices_sent.get()] == [0, TYPING_FOR_S]
    assert await notices_sent.get() == 0
    assert notices_sent.empty()


async def test_events_that_come_together_restart_typing_once():
    notices_sent: asyncio.Queue[int] = asyncio.Queue()

    async def set_typing(room_id: str, for_s: int) -> None:
        notices_sent.put_nowait(for_s)

    notices = TypingNotices(set_typing, together_s=0.01)
    async with notices.shown_in("!kitchen:example.com"):
        assert await notices_sent.get() == TYPING_FOR_S
        for _ in range(5):
            notices.interrupted("!kitchen:example.com")
            await asyncio.sleep(0)
        assert [await notices_sent.get(), await notices_sent.get()] == [0, TYPING_FOR_S]
    assert await notices_sent.get() == 0
    assert notices_sent.empty()


async def test_a_task_cancelled_while_typing_ends_stays_cancelled():
    leaving, went_on = asyncio.Event(), []

    async def set_typing(room_id: str, for_s: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            # The bot stops while the notice is slow to end.
            leaving.set()
            await asyncio.sleep(0.01)

    async def draw() -> None:
        async with TypingNotices(set_typing).shown_in("!kitchen:example.com"):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        went_on.append(True)

    drawing = asyncio.create_task(draw())
    await leaving.wait()
    drawing.cancel()
    await asyncio.gather(drawing, return_exceptions=True)
    assert drawing.cancelled()
    assert not went_on
