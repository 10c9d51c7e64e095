"""The generator is stopped, starting, killed at work or paused: each has its sentence, and nothing hangs."""

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "!draw otter --steps 2"
# Long enough to be caught at work, and short enough to wait for.
LONG = "!draw otter --steps 100"


@pytest_asyncio.fixture(loop_scope="session")
async def generator(home):
    """Ready again after the test, whatever it did."""
    yield home.generator
    if not home.generator.child.is_running:
        await home.generator.start()


async def at_work(talk, generator, command):
    """The command's job is on the card."""
    await talk.reply(command, "working")
    await generator.child.wait_until(lambda: is_drawing(generator))


async def is_drawing(generator):
    return (await generator.health())["running"] == 1


async def test_stopped_then_started(encrypted, generator):
    assert await generator.stop() == 0
    assert "not running" in await encrypted.answer(SMALL)
    assert "not running" in await encrypted.answer("!easel status")
    await generator.start()
    await encrypted.draw(SMALL)


async def test_starting(encrypted, generator):
    await generator.stop()
    await generator.child.start()
    await generator.child.wait_until(generator.answers)
    await encrypted.draw(SMALL)


async def test_killed_at_work(encrypted, generator):
    command = await encrypted.say(LONG)
    await at_work(encrypted, generator, command)
    await generator.kill()
    answer = await encrypted.reply(command, "answer")
    assert "generator" in answer.body
    await encrypted.reply(command, "failed")
    await generator.start()
    await encrypted.draw(SMALL)


async def test_stopped_at_work_finishes_first(encrypted, generator):
    command = await encrypted.say(LONG)
    await at_work(encrypted, generator, command)
    status = await generator.stop()
    await encrypted.drawn(command)
    assert status == 0


async def test_paused_at_work(encrypted, generator):
    command = await encrypted.say(LONG)
    await at_work(encrypted, generator, command)
    await generator.pause()
    assert "in use for something else" in (await encrypted.reply(command, "waiting")).body
    await generator.resume()
    await encrypted.drawn(command)
