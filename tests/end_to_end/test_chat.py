"""`make run` prints paths of pictures on stdout and words on stderr."""

from pathlib import Path

import pytest
import yaml

from household.chat import Chat

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def chat(encrypted, tmp_path):
    return Chat(
        encrypted.person, room_id=encrypted.room_id, bot=encrypted.home.bot.user_id, folder=tmp_path / "pictures"
    )


async def test_lists_print_the_path_of_their_sheet(chat, capsys):
    assert await chat.say_once("!draw {otter | owl} --steps 2 --seed 3")
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    (recipes,) = [file for file in files if file.suffix == ".yml"]
    assert len(yaml.safe_load(recipes.read_text())["cells"]) == 2
    assert len(files) == 2


async def test_a_command_that_draws_nothing_prints_no_path(chat, capsys):
    assert not await chat.say_once("!draw otter --colour `$5`")
    out, err = capsys.readouterr()
    assert out == "" and "--colour" in err
