"""`make run`, typed in a terminal."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from deploy.plugin import ROOT
from household.processes import claim

# The environment that runs this test suffices: this tells make that it is up to date.
MAKE = ["make", "--silent", "--old-file=.venv/household", "run"]

# Every character that has a meaning for make or a shell.
RAW = """!draw
subject: owl, "it's" `date` $5 $(HOME) $$ #1
--steps 2 --seed 3"""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> dict[str, str]:
    """Environment variables of a new household, which two tests start in turn."""
    folder = tmp_path_factory.mktemp("run")
    own = {"EASEL_HOUSEHOLD": str(folder / "household"), "XDG_DATA_HOME": str(folder / "data")}
    # Some machines set it for all programs; at home nobody does.
    return {**os.environ, **env, **own, "PYTHONUNBUFFERED": ""}


def test_a_message_arrives_as_typed(surroundings: dict[str, str]) -> None:
    result = subprocess.run([*MAKE, f"SAY={RAW}"], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    picture, recipe = (Path(line) for line in result.stdout.splitlines())
    with Image.open(picture) as image:
        assert image.size == (512, 512)
    record = yaml.safe_load(recipe.read_text())
    # The bot reads backquotes as a chat's mark for code.
    assert record["prompt"] == 'owl, "it\'s" date $5 $(HOME) $$ #1'
    assert (record["seed"], record["steps"]) == (3, 2)
    assert f"{record['prompt']}\nseed 3 · pocket · 2 steps · " in result.stderr
    assert "\npocket does not know: " in result.stderr


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_neither_make_nor_a_shell_runs_the_message(tmp_path: Path, by: str) -> None:
    """A program that prints its arguments stands in for Python."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf %s "$SAY"\nexit 1\n')
    python.chmod(0o755)
    command, environment = [*MAKE, f"BIN={tmp_path}"], dict(os.environ)
    if by == "argument":
        command.append(f"SAY={RAW}")
    else:
        environment["SAY"] = RAW
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stdout == RAW
    assert result.returncode != 0


async def test_no_process_outlives_a_killed_chat(surroundings: dict[str, str]) -> None:
    chat = await asyncio.create_subprocess_exec(
        ROOT / ".venv/bin/python", "-m", "household",
        cwd=ROOT, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert chat.stdin is not None and chat.stdout is not None
    async with asyncio.timeout(120):
        shown = await read_until(chat.stdout, "Type a message")
        assert "http://127.0.0.1:" in shown and "@you:localhost" in shown and "password" in shown
        chat.stdin.write(b"!easel help\n!draw otter --steps 2\n")
        shown = await read_until(chat.stdout, ".png")
        assert "Easel: " in shown and ".yml" in shown
        chat.send_signal(signal.SIGKILL)
        await chat.wait()
        # Each process of the household holds this lock as long as it lives.
        lock = Path(surroundings["EASEL_HOUSEHOLD"], "processes")
        (await claim(lock, wait_s=60, otherwise="something still runs")).close()


async def read_until(stream: asyncio.StreamReader, mark: str) -> str:
    """Return whole lines, up to the first that contains ``mark``."""
    lines: list[str] = []
    while not lines or mark not in lines[-1]:
        line = await stream.readline()
        assert line, "".join(lines)
        lines.append(line.decode())
    return "".join(lines)
