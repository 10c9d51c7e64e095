"""Build the plugin for maubot from tracked files only, including their uncommitted edits.

``mbc build`` by itself packs everything in the package's folder: caches, notes, half-written files.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def tracked_files() -> list[Path]:
    """List the files that maubot.yaml names and git tracks, relative to the checkout."""
    meta = yaml.safe_load((ROOT / "maubot.yaml").read_text())
    names = ["maubot.yaml", *meta["modules"], *meta["extra_files"]]
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [Path(name) for name in listing.split("\0") if name and (ROOT / name).exists()]


def build_plugin(folder: Path) -> Path:
    """Write ``<id>-v<version>.mbp`` into ``folder``, replacing an older one, and return its path."""
    meta = yaml.safe_load((ROOT / "maubot.yaml").read_text())
    target = folder / f"{meta['id']}-v{meta['version']}.mbp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for file in tracked_files():
            copy = Path(made, "source", file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, copy)
        built = Path(made, target.name)
        subprocess.run(
            [sys.executable, "-m", "maubot.cli", "build", str(Path(made, "source")), "--output", str(built)],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        built.replace(target)
    return target


if __name__ == "__main__":
    print(build_plugin(ROOT / "dist").relative_to(ROOT))
