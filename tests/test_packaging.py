"""The packages that ship: the plugin's archive with its tracked files only, the locks, and the generator's wheel."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.choose_torch import PASCAL_VERSION
from deploy.plugin import ROOT, build_plugin, read_meta

# maubot's own loader in a separate process: it loads the archives in the given order, then looks at both.
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


def make_plugin(checkout: Path, target: str = "plugin") -> None:
    """Build the plugin as on a machine that has only git and Python's standard library."""
    build = ["make", "--silent", target, f"PYTHON={sys.executable} -S -E"]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True, text=True)


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_only_tracked_files_are_packed(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", str(ROOT), str(clone))
    for stray in ("bot/easel/notes.txt", "bot/easel/__pycache__/plugin.pyc", "bot/easel/unfinished.py"):
        (clone / stray).parent.mkdir(exist_ok=True)
        (clone / stray).touch()
    make_plugin(clone)
    tracked = git("ls-files", "bot", "maubot.yaml", "avatar.png", "base-config.yaml", "LICENSE", cwd=clone).split()
    (built,) = (clone / "dist").iterdir()
    assert built.match("household.easel-v*.mbp")
    assert sorted(zipfile.ZipFile(built).namelist()) == sorted(tracked)


def test_where_git_does_not_list_the_files_its_reason_is_shown(tmp_path: Path) -> None:
    """As in an archive that was downloaded, or in a checkout that belongs to another user."""
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", str(ROOT), str(clone))
    shutil.rmtree(clone / ".git")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        make_plugin(clone)
    assert f"git does not list the plugin's files in {clone}. It says:\nfatal: " in failed.value.stderr
    assert "Traceback" not in failed.value.stderr


def test_the_plugin_is_what_maubot_would_build(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--shared", str(ROOT), str(clone))
    theirs = tmp_path / "theirs.mbp"
    mbc_build = [sys.executable, "-m", "maubot.cli", "build", str(clone), "--output", str(theirs)]
    subprocess.run(mbc_build, check=True, capture_output=True)
    make_plugin(clone)
    (ours,) = (clone / "dist").iterdir()
    expected, built = contents(theirs), contents(ours)
    # mbc writes maubot.yaml again with defaults for missing keys.
    defaults = {"dependencies": [], "soft_dependencies": []}
    assert yaml.safe_load(expected.pop("maubot.yaml")) == yaml.safe_load(built.pop("maubot.yaml")) | defaults
    assert built == expected


def test_a_release_is_the_same_from_every_checkout_and_has_checksum_and_notes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        git("clone", "--quiet", "--shared", str(ROOT), str(tmp_path / name))
        make_plugin(tmp_path / name, "release")
    one, two = (tmp_path / name / "dist" for name in ("one", "two"))
    subprocess.run(["sha256sum", "--check", "--strict", one / "SHA256SUMS"], cwd=two, check=True, capture_output=True)
    assert (one / "SHA256SUMS").read_text().split()[0] in (one / "notes.md").read_text()
    assert (one / "notes.md").read_text().startswith("The first whole version")


def test_a_release_with_uncommitted_edits_is_refused(tmp_path: Path) -> None:
    git("clone", "--quiet", "--shared", str(ROOT), str(tmp_path / "clone"))
    with (tmp_path / "clone/README.md").open("a") as readme:
        readme.write("more")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        make_plugin(tmp_path / "clone", "release")
    assert "uncommitted edits:\n M README.md" in failed.value.stderr


def test_the_plugins_description_is_read_like_yaml() -> None:
    text = (ROOT / "maubot.yaml").read_text()
    words, lists = read_meta(text)
    assert words | lists == yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it reads all scalars as texts


@pytest.mark.parametrize(
    "line", ["version: 0.1.0 # soon", "modules: [bot]", "- bot", "license: 'MIT'", "id : easel", "?"]
)
def test_a_description_with_other_yaml_syntax_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="only `name: word` and lists of words"):
        read_meta(f"id: household.easel\n{line}\n")


def test_the_plugin_asks_for_the_maubot_that_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (tested,) = (asked for asked in project["dependency-groups"]["household"] if asked.startswith("maubot"))
    assert tested == f"maubot[encryption]=={read_meta((ROOT / 'maubot.yaml').read_text())[0]['maubot']}"


def test_the_settings_fit_into_the_editor_of_maubots_page() -> None:
    # The editor shows 66 columns and does not wrap.
    assert max(map(len, (ROOT / "base-config.yaml").read_text(encoding="utf-8").splitlines())) <= 66


def locked(role: str) -> set[str]:
    """Return the packages of a role's lock, which may contain only versions, markers and hashes."""
    lines = (ROOT / f"requirements/{role}.txt").read_text().splitlines()
    lines = [line.removesuffix(" \\") for line in lines if line and not line.lstrip().startswith("#")]
    packages = {line for line in lines if re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^@/]+)?", line)}
    for line, following in pairwise([*lines, ""]):
        assert line in packages or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line), line
        assert line not in packages or following.startswith("    --hash="), line
    return packages


def test_each_roles_lock_satisfies_its_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked, packages = [], set()
    for role in ("generator", "household", "dev"):
        asked += project["project"]["dependencies"] if role == "generator" else project["dependency-groups"][role]
        assert {line.split(" ;")[0] for line in packages} <= {line.split(" ;")[0] for line in locked(role)}
        packages = locked(role)
        versions = dict(line.split(" ;")[0].split("==") for line in packages)
        assert not any(re.match("torch$|nvidia-", name) for name in versions)
        for requirement in map(Requirement, asked):
            if requirement.name != "torch":
                assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_set_for_pascal_is_whole_and_left_alone_by_new_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {line.split("==")[0] for line in locked("pascal")}
    asked = {canonicalize_name(Requirement(line).name) for line in project["project"]["dependencies"]}
    assert asked - {"torch"} <= named
    makefile = (ROOT / "Makefile").read_text()
    assert "pascal" not in makefile[makefile.index("LOCK :=") :]
    head = (ROOT / "requirements/pascal.txt").read_text().split("\naccelerate")[0]
    versions = dict(line.split(" ;")[0].split("==") for line in locked("pascal"))
    assert f"torch {PASCAL_VERSION}+cu126" in head
    for name in ("diffusers", "transformers", "compel"):
        assert f"{name} {versions[name]}" in head


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
def test_it_loads_beside_another_package_named_bot(tmp_path: Path, first: str) -> None:
    neighbour = shutil.make_archive(str(tmp_path / "neighbour"), "zip", ROOT / "tests/neighbour")
    archives = [build_plugin(tmp_path), neighbour]
    paths = [str(path) for path in (archives if first == "ours" else reversed(archives))]
    result = subprocess.run([sys.executable, "-c", LOAD, *paths], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_unit_confines_the_service_but_leaves_it_the_card() -> None:
    lines = (ROOT / "deploy/easel-generator.service").read_text().splitlines()
    for needed in (
        "CapabilityBoundingSet=",
        "DeviceAllow=char-nvidia* rw",
        "ExecStartPre=+-/usr/bin/nvidia-modprobe -u -c 0",
        "MemoryMax=75%",
        "NoNewPrivileges=yes",
        "ProtectProc=invisible",
        "RestrictNamespaces=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "UMask=0077",
    ):
        assert needed in lines
    # CUDA needs its devices, and kernels are compiled on the spot.
    assert not [line for line in lines if line.startswith(("PrivateDevices=", "MemoryDenyWriteExecute="))]
