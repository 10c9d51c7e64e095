"""`make run` prints paths of pictures on stdout and words on stderr."""

import asyncio
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


async def test_a_message_that_is_no_command_is_not_waited_for(chat, capsys, monkeypatch):
    monkeypatch.setattr("household.chat.COMMAND_LIMIT_S", 5)
    # The bot says once in a while how to begin.
    for _ in range(2):
        async with asyncio.timeout(60):
            assert not await chat.say_once("otter, cowboy hat")
    assert "The bot says nothing to that. A command is, for example: !draw otter, cowboy hat" in capsys.readouterr().err
