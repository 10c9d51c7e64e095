"""Run ``python -m generator`` with the test's own model hub."""

import os
import subprocess
import sys
from pathlib import Path


def run_generator(*arguments: str, settings: Path, hub: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(settings.parent / "hub"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "generator", "--settings", str(settings), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
