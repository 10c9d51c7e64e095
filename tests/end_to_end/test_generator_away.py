"""The generator is stopped, starting, killed at work, paused or asleep: the bot explains each, and nothing hangs."""

import asyncio

import pytest
import pytest_asyncio

from bot.easel.generator.watch import PAUSE_S

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "!draw otter --steps 2"
# Long enough to interrupt, and short enough to wait for.
LONG = "!draw otter --steps 40"


@pytest_asyncio.fixture(loop_scope="session")
async def generator(home):
    """The generator, made ready again after the test."""
    yield home.generator
    if not home.generator.child.is_running:
        await home.generator.start()


@pytest.fixture
def talk(rooms):
    return rooms[True][0]


async def test_jobs_from_while_it_was_off_are_drawn_when_it_is_back(talk, generator):
    assert await generator.stop() == 0
    commands = [await talk.say(f"{SMALL} --seed {seed}") for seed in (1, 2)]
    note = await talk.note("isn't running")
    assert note.body == "Drawing isn't running on the drawing computer. I'll draw when it's back."
    for command, place in zip(commands, ("⏳ next", "⏳ 2nd"), strict=True):
        await talk.sign(command, place)
    assert "isn't running" in await talk.answer("!easel status")
    queue = await talk.answer("!easel queue")
    assert "isn't running" in queue
    assert "2. ada" in queue
    await generator.start()
    drawn = [await talk.drawn(command) for command in commands]
    assert [one.record["seed"] for one in drawn] == [1, 2]
    await talk.reply(note.event_id, "note-end")
    assert not talk.notes()


async def test_killed_at_work_it_draws_the_same_picture_when_it_is_back(talk, generator):
    command = await talk.say(LONG)
    await generator.child.wait_until(generator.is_drawing)
    await generator.kill()
    await generator.start()
    drawn = await talk.drawn(command)
    again = await talk.draw(f"{LONG} --seed {drawn.record['seed']}")
    assert again.pixels == drawn.pixels
    assert len(talk.replies(command, "picture", "recipe")) == 2


async def test_stopped_at_work_it_finishes_first_and_takes_jobs_while_it_starts(talk, generator):
    command = await talk.say(LONG)
    await generator.child.wait_until(generator.is_drawing)
    assert await generator.stop() == 0
    await talk.drawn(command)
    await generator.child.start()
    await generator.child.wait_until(generator.answers)
    await talk.draw(SMALL)


async def test_paused_at_work_it_gives_its_reason(talk, generator):
    command = await talk.say(LONG)
    await generator.child.wait_until(generator.is_drawing)
    await generator.pause()
    note = await talk.note("busy with something else")
    await generator.resume()
    await talk.reply(note.event_id, "note-end")
    await talk.drawn(command)


class NetworkCard(asyncio.DatagramProtocol):
    """The sleeping machine's network card, which receives wake packets."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.woken = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.packets.append(data)
        self.woken.set()


async def test_asleep_it_is_woken_once_and_draws_what_waits(rooms, generator, change_settings):
    try:
        transport, card = await asyncio.get_running_loop().create_datagram_endpoint(
            NetworkCard, local_addr=("127.0.0.1", 9)
        )
    except PermissionError:
        pytest.skip("to listen on port 9, where such packets go, is a privilege on this machine")
    try:
        await change_settings(wake_mac="01:23:45:67:89:ab", wake_address="127.0.0.1")
        await generator.stop()
        ada, bo, *_ = rooms[True]
        commands = [await ada.say(f"{SMALL} --seed 1"), await bo.say(f"{SMALL} --seed 2")]
        async with asyncio.timeout(60):
            await card.woken.wait()
        await generator.start()
        assert [(await ada.drawn(command)).record["seed"] for command in commands] == [1, 2]
        assert card.packets == [b"\xff" * 6 + b"\x01\x23\x45\x67\x89\xab" * 16]
    finally:
        transport.close()


async def test_asleep_it_is_polled_while_a_job_waits_and_left_alone_once_the_job_is_given_up(
    talk, generator, change_settings
):
    await change_settings(wait_hours=3 / 3600)
    await generator.stop()
    asked = asyncio.Queue[None]()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(None)
        writer.close()

    async with await asyncio.start_unix_server(hang_up, generator.socket):
        command = await talk.say(SMALL)
        answer = await talk.reply(command, "answer")
        assert answer.body.endswith("I waited for 3 s and let this go. Ask me again when it's back.")
        assert await talk.end_of(command) == "❌"
        assert not asked.empty()
        while not asked.empty():
            asked.get_nowait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked.get(), PAUSE_S + 1)
