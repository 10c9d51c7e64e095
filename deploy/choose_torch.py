"""Choose the build of torch for this machine's card, and the versions that go with it.

Prints the lock of the other packages and the arguments of `pip install` for torch, and the reason to stderr.

Runs before anything is installed: standard library only, and old Pythons must get as far as the sentence below.
"""

import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets this sentence
    sys.exit("Easel needs Python 3.11 or newer. If there is one, name it: make setup PYTHON=python3.11")

VERSION = "2.13.0"
# PyTorch drops Pascal after 2.14. What draws there is kept apart from the newest, with a lock of its own.
PASCAL_VERSION = "2.13.0"
PASCAL_BUILD = "cu126"
INDEX = "https://download.pytorch.org/whl"

# Long enough for a slow line; behind a firewall there may never be an answer.
PROBE_TIMEOUT_S = 5

# Here as long as the driver's kernel module is loaded.
DRIVER_IS_LOADED = Path("/proc/driver/nvidia/version")


class Capability(NamedTuple):
    """A card's compute capability. Pascal has 6.x, Turing 7.5, Ampere 8.x, Blackwell 10.0 and 12.0."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Card:
    name: str
    capability: Capability


@dataclass(frozen=True)
class Build:
    """A build for cards: the capabilities that it has code for, and the oldest driver that runs it.

    The capabilities are those of PyTorch's release matrix for 2.13, the drivers those of NVIDIA's CUDA release notes.
    """

    name: str
    oldest: Capability
    newest: Capability
    driver: int

    def has_code_for(self, capability: Capability) -> bool:
        return self.oldest <= capability <= self.newest


# The preferred one first.
BUILDS = (
    Build("default", Capability(7, 5), Capability(12, 1), driver=580),
    Build(PASCAL_BUILD, Capability(5, 0), Capability(9, 0), driver=525),
)


def build_arguments(build: str) -> list[str]:
    """Return the lock, then pip's arguments to install that build; ``default`` is the package index's own."""
    if build == PASCAL_BUILD:
        return ["requirements/pascal.txt", f"torch=={PASCAL_VERSION}+{build}", "--index-url", f"{INDEX}/{build}"]
    if build == "default":
        return ["requirements/generator.txt", f"torch=={VERSION}"]
    return ["requirements/generator.txt", f"torch=={VERSION}+{build}", "--index-url", f"{INDEX}/{build}"]


def build_for(cards: list[Card], driver: str) -> tuple[str, str]:
    """Choose the build for the newest card, which draws unless the settings name another; return it with the reason.

    Ends with a sentence if the driver is too old for every build that has code for that card.
    """
    card = max(cards, key=lambda card: card.capability)
    fitting = [build for build in BUILDS if build.has_code_for(card.capability)]
    if not fitting:
        sys.exit(f"No build of torch {VERSION} has code for the {card.name} (compute capability {card.capability}).")
    running = [build for build in fitting if int(driver.split(".")[0]) >= build.driver]
    if not running:
        least = min(build.driver for build in fitting)
        sys.exit(
            f"The NVIDIA driver {driver} is too old for the {card.name}: install {least} or newer, start the machine"
            " again, then make setup again. To draw on the processor meanwhile: make setup TORCH=cpu"
        )
    reason = f"the {card.name} has compute capability {card.capability} and driver {driver}"
    others = [other.name for other in cards if not running[0].has_code_for(other.capability)]
    return running[0].name, "; ".join([reason, *(f"the {other} cannot draw with it" for other in others)])


def build_without_cards() -> tuple[str, str]:
    """Return a build for the processor, with the reason."""
    if reachable(f"{INDEX}/cpu/"):
        return "cpu", "no NVIDIA card found"
    return "default", "no NVIDIA card found, and PyTorch's index of CPU builds cannot be reached"


def cards_and_driver() -> tuple[list[Card], str]:
    """This machine's NVIDIA cards and the driver's version, as nvidia-smi reports them; no cards without a driver.

    Ends with a sentence if the driver is loaded and does not report its cards: a build for the processor would draw,
    and a hundred times more slowly.
    """
    command = ["nvidia-smi", "--query-gpu=compute_cap,driver_version,name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        answer, works = done.stdout.strip(), done.returncode == 0
    except (OSError, subprocess.SubprocessError) as error:
        answer, works = str(error), False
    cards = re.findall(r"^(\d+)\.(\d+), ([\d.]+), (.+)$", answer, re.MULTILINE) if works else []
    if not cards and DRIVER_IS_LOADED.exists():
        sys.exit(
            f"The NVIDIA driver is loaded, but nvidia-smi does not report the card: {answer}\n"
            "After an update of the driver, start the machine again. If that does not help, name the build:"
            " make setup TORCH=cu126, or TORCH=cpu to draw without the card"
        )
    return [Card(name, Capability(int(major), int(minor))) for major, minor, _, name in cards], cards[0][
        2
    ] if cards else ""


def reachable(url: str) -> bool:
    """Whether the address answers within PROBE_TIMEOUT_S."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S):  # noqa: S310 - a fixed https address
            return True
    except OSError:
        return False


def main(build: str) -> None:
    if build == "auto":
        cards, driver = cards_and_driver()
        build, reason = build_for(cards, driver) if cards else build_without_cards()
    else:
        reason = "as asked"
    print(f"torch: the {build} build, {reason}.", file=sys.stderr)
    print(*build_arguments(build))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "auto")
