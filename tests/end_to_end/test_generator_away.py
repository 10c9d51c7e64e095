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
    await talk.reply(command, "reaction")
    await generator.child.wait_until(lambda: is_drawing(generator))


async def is_drawing(generator):
    return (await generator.health())["running"] == 1


async def test_what_was_asked_while_it_was_off_is_drawn_when_it_is_back(encrypted, generator):
    assert await generator.stop() == 0
    commands = [await encrypted.say(f"{SMALL} --seed {seed}") for seed in (1, 2)]
    for command, place in zip(commands, ("1st", "2nd"), strict=True):
        said = (await encrypted.reply(command, "waiting")).body
        assert "not running" in said
        assert f"I'll draw it when it is back, you are {place}." in said
    assert "not running" in await encrypted.answer("!easel status")
    queue = await encrypted.answer("!easel queue")
    assert "not running" in queue
    assert "2. @ada" in queue
    await generator.start()
    drawn = [await encrypted.drawn(command) for command in commands]
    assert [one.record["seed"] for one in drawn] == [1, 2]
    assert all(len(encrypted.replies(command, "waiting")) == 1 for command in commands)


async def test_starting(encrypted, generator):
    await generator.stop()
    await generator.child.start()
    await generator.child.wait_until(generator.answers)
    await encrypted.draw(SMALL)


async def test_killed_at_work_draws_the_same_picture_when_it_is_back(encrypted, generator):
    command = await encrypted.say(LONG)
    await at_work(encrypted, generator, command)
    await generator.kill()
    await generator.start()
    drawn = await encrypted.drawn(command)
    again = await encrypted.draw(f"{LONG} --seed {drawn.record['seed']}")
    assert again.pixels == drawn.pixels
    assert len(encrypted.replies(command, "picture", "recipe")) == 2


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
    assert "in use for something else" in (await encrypted.reply(command, "reason")).body
    await generator.resume()
    await encrypted.drawn(command)
