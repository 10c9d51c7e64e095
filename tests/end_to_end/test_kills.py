"""Every command brings one picture and one recipe, whichever process dies at any moment. `make torture` kills more."""

import json
import subprocess
import sys

from deploy.plugin import ROOT

KILLS = 8

# With this seed each process dies alone, at five moments, in both rooms; then all die at once.
SEED = 8


def test_nothing_is_lost_and_nothing_comes_twice() -> None:
    command = [sys.executable, "-m", "tests.torture", "--kills", str(KILLS), "--seed", str(SEED)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert report.pop("jobs") > KILLS / 2
    assert report == {"kills": KILLS, "lost": 0, "twice": 0, "not once in the gallery": 0}
