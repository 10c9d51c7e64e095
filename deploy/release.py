"""Make the files of a release page, in dist/: the plugin, its checksum, and the notes from the changelog.

Runs before anything is installed: standard library only. The same commit gives the same bytes on every machine.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from deploy.plugin import ROOT, build_plugin, read_meta


def notes(version: str, plugin: str, digest: str) -> str:
    """Return the changelog's part on that version, and how to check what was downloaded."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"CHANGELOG.md has no part on {version}.")
    return f"{found[1].strip()}\n\ndocs/install.md shows how to install {plugin}. Its SHA-256:\n\n    {digest}\n"


def main(folder: Path) -> None:
    edited = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    if edited:
        sys.exit(f"A release is a commit, and these files have uncommitted edits:\n{edited}")
    version = read_meta((ROOT / "maubot.yaml").read_text())[0]["version"]
    plugin = build_plugin(folder)
    digest = hashlib.sha256(plugin.read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {plugin.name}\n")
    (folder / "notes.md").write_text(notes(version, plugin.name, digest), encoding="utf-8")
    print(*(path.relative_to(ROOT) for path in (plugin, folder / "SHA256SUMS", folder / "notes.md")), sep="\n")


if __name__ == "__main__":
    main(ROOT / "dist")
