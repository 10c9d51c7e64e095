"""Threads give back the memory of the pictures that they handled."""

import subprocess
import sys
from pathlib import Path

import pytest

# After one large picture, each of eight threads handles 20 smaller ones, and something small stays after each.
HANDLE_PICTURES = """
import sys
from pathlib import Path
from threading import Thread
from generator.service.malloc import keep_memory_flat
if sys.argv[1] == "flat":
    keep_memory_flat()
rss_mb = lambda: int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
before, stays = rss_mb(), []
def handle():
    pictures = []
    for _ in range(20):
        pictures.append(b"x" * 1_000_000)
        stays.append(b"x" * 1000)
large = b"x" * 30_000_000
del large
for _ in range(8):
    thread = Thread(target=handle)
    thread.start()
    thread.join()
print(rss_mb() - before)
"""


@pytest.mark.parametrize(("how", "least_mb", "most_mb"), [("usual", 10, 200), ("flat", 0, 5)])
def test_the_memory_of_handled_pictures_returns(how, least_mb, most_mb):
    command = [sys.executable, "-c", HANDLE_PICTURES, how]
    ended = subprocess.run(command, env={"PYTHONPATH": str(Path.cwd())}, capture_output=True, check=True)
    assert least_mb <= float(ended.stdout) <= most_mb
