"""What ships: the plugin's tracked files and nothing else, in an archive that gets on with others; a generator."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.plugin import ROOT, build_plugin

# maubot's own loader, in a process of its own: it loads the archives in the order given, then looks at both.
LOAD = """
import asyncio, sys
from maubot.loader.zip import ZippedPluginLoader

async def main():
    loaders = [ZippedPluginLoader.get(path) for path in sys.argv[1:]]
    classes = {loader.meta.id: await loader.load() for loader in loaders}
    ours, theirs = classes["household.easel"], classes["neighbour.bot"]
    assert sys.modules[theirs.__module__].greeting() == "The neighbour says hello."
    assert sys.modules["bot.easel.room.routing"].read_command("!draw otter").text == "otter"
    assert ours.get_config_class().__module__.startswith("bot.easel.")

asyncio.run(main())
"""


def git(*arguments: str, cwd: Path = ROOT) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_only_tracked_files_are_packed(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", str(ROOT), str(clone))
    for stray in ("bot/easel/notes.txt", "bot/easel/__pycache__/plugin.pyc", "bot/easel/unfinished.py"):
        (clone / stray).parent.mkdir(exist_ok=True)
        (clone / stray).touch()
    subprocess.run([sys.executable, "-m", "deploy.plugin"], cwd=clone, check=True, capture_output=True)
    tracked = git("ls-files", "bot", "maubot.yaml", "base-config.yaml", "LICENSE", cwd=clone).split()
    (built,) = (clone / "dist").iterdir()
    assert built.match("household.easel-v*.mbp")
    assert sorted(zipfile.ZipFile(built).namelist()) == sorted(tracked)


def test_an_installed_generator_has_its_cards_its_model_and_its_font(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", str(ROOT), str(clone))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(clone)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    data = set(git("ls-files", "generator/pocket/weights", "generator/pictures/fonts", cwd=clone).split())
    assert {"generator/pocket/weights/words.txt", "generator/pictures/fonts/LICENSE"} <= data
    assert {"generator/models/cards.yml", *data} <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_it_loads_beside_another_package_called_bot(tmp_path: Path, first: str) -> None:
    neighbour = shutil.make_archive(str(tmp_path / "neighbour"), "zip", ROOT / "tests/neighbour")
    archives = [build_plugin(tmp_path), neighbour]
    paths = [str(path) for path in (archives if first == "ours" else reversed(archives))]
    result = subprocess.run([sys.executable, "-c", LOAD, *paths], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
