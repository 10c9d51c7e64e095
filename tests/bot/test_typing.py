"""Typing is shown in a room for as long as one of its jobs is open."""

import asyncio

from bot.easel.sending.typing_notices import TYPING_FOR_S, TypingNotices


async def test_a_job_that_begins_as_another_ends_goes_on_typing():
    said = []
    done = asyncio.Event()

    async def set_typing(room_id: str, for_s: int) -> None:
        said.append(for_s)

    async def draw() -> None:
        async with notices.shown_in("!kitchen:example.com"):
            await done.wait()

    notices = TypingNotices(set_typing)
    async with notices.shown_in("!kitchen:example.com"):
        await asyncio.sleep(0)
        other = asyncio.create_task(draw())
    # The first has ended; the other began while it did.
    await asyncio.sleep(0)
    assert said == [TYPING_FOR_S, TYPING_FOR_S]
    done.set()
    await other
    assert said == [TYPING_FOR_S, TYPING_FOR_S, 0]


async def test_after_each_event_of_ours_typing_begins_anew():
    """Element ends the notice at any event of the one who types, and a homeserver passes on only changes."""
    said: asyncio.Queue[int] = asyncio.Queue()

    async def set_typing(room_id: str, for_s: int) -> None:
        said.put_nowait(for_s)

    notices = TypingNotices(set_typing)
    notices.interrupted("!kitchen:example.com")
    async with notices.shown_in("!kitchen:example.com"):
        assert await said.get() == TYPING_FOR_S
        for _ in range(2):
            notices.interrupted("!kitchen:example.com")
            notices.interrupted("!attic:example.com")
            assert [await said.get(), await said.get()] == [0, TYPING_FOR_S]
    assert await said.get() == 0
    assert said.empty()


async def test_who_is_cancelled_while_typing_ends_does_not_go_on():
    leaving, went_on = asyncio.Event(), []

    async def set_typing(room_id: str, for_s: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            # The notice takes its time to end, and meanwhile the bot stops.
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
