"""Build the plugin for maubot from tracked files only, including their uncommitted edits.

Runs before anything is installed: standard library only. ``mbc build`` by itself packs everything in the package's
folder: caches, notes, half-written files.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The part of YAML in which maubot.yaml is written: `name: word`, and lists of words.
_ENTRY = re.compile(r"^(\w+):(?: ([\w./-]+)|((?:\n- [\w./-]+)+))\n", re.MULTILINE)


class CannotBuild(Exception):
    """The plugin cannot be built. ``str()`` says why, for the person at the terminal."""


def read_meta(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The words and the lists of a maubot.yaml. Raises ValueError if it has anything else."""
    if rest := _ENTRY.sub("", text):
        raise ValueError(f"maubot.yaml may have only `name: word` and lists of words, but it has: {rest}")
    entries = _ENTRY.findall(text)
    return (
        {name: word for name, word, _ in entries if word},
        {name: items.split("\n- ")[1:] for name, _, items in entries if items},
    )


def build_plugin(folder: Path) -> Path:
    """Write ``<id>-v<version>.mbp`` into ``folder``, replacing an older one; return its path. Raises CannotBuild."""
    words, lists = read_meta((ROOT / "maubot.yaml").read_text())
    target = folder / f"{words['id']}-v{words['version']}.mbp"
    names = ["maubot.yaml", *lists["modules"], *lists["extra_files"]]
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--", *names], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotBuild("The plugin is built with git, which is not installed.") from error
    if listed.returncode:
        raise CannotBuild(f"git does not list the plugin's files in {ROOT}. It says:\n{listed.stderr.strip()}")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).exists():
                # Without the file's date: the same files give the same archive everywhere.
                archive.writestr(zipfile.ZipInfo(name), (ROOT / name).read_bytes())
    unfinished.replace(target)
    return target


def main() -> None:
    try:
        print(build_plugin(ROOT / "dist").relative_to(ROOT))
    except CannotBuild as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
