"""maubot runs all plugins in one interpreter: ours works beside another that ships a package `bot`, in both orders."""

import shutil
from pathlib import Path

import pytest

from deploy.plugin import ROOT, build_plugin

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "!draw otter --steps 2"


def archive(folder: Path) -> bytes:
    return Path(shutil.make_archive(str(folder / "neighbour"), "zip", ROOT / "tests/neighbour")).read_bytes()


async def test_it_works_beside_another_package_named_bot(home, plain, tmp_path):
    neighbour = archive(tmp_path)

    async def both_work():
        command = await plain.say("!neighbour")
        # Ours may give its hint as well, as to anything in a direct chat that it does not know.
        await plain.person.hear(lambda event: (event.reply_to, event.body) == (command, "The neighbour says hello."))
        await plain.draw(SMALL)

    await home.maubot.upload(neighbour)
    await home.maubot.set_instance("neighbour", "neighbour.bot", home.bot, {})
    await both_work()
    # A second upload loads ours after the neighbour.
    await home.maubot.upload(build_plugin(tmp_path).read_bytes())
    await both_work()
