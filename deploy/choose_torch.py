"""Choose the build of torch for this machine's card; print the arguments for `pip install`, and the reason to stderr.

Runs before anything is installed: standard library only, and old Pythons must get as far as the sentence below.
"""

import subprocess
import sys
import urllib.request

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets this sentence
    sys.exit("Easel needs Python 3.11 or newer. If there is one, name it: make setup PYTHON=python3.11")

VERSION = "2.13.0"
INDEX = "https://download.pytorch.org/whl"

# The default build has no code for cards older than Turing; the cu126 builds have code back to Maxwell.
OLDEST_OF_DEFAULT_BUILD = (7, 5)

# Long enough for a slow line; behind a firewall there may never be an answer.
PROBE_TIMEOUT_S = 5


def build_arguments(build: str) -> list[str]:
    """Return pip's arguments to install that build; ``default`` is the package index's own."""
    if build == "default":
        return [f"torch=={VERSION}"]
    return [f"torch=={VERSION}+{build}", "--index-url", f"{INDEX}/{build}"]


def build_for(capability: tuple[int, int] | None) -> tuple[str, str]:
    """Choose the build for a card of this compute capability, None for no card; return it with the reason."""
    if capability is None:
        if reachable(f"{INDEX}/cpu/"):
            return "cpu", "no NVIDIA card found"
        return "default", "no NVIDIA card found, and PyTorch's index of CPU builds cannot be reached"
    card = f"the card has compute capability {capability[0]}.{capability[1]}"
    if capability < OLDEST_OF_DEFAULT_BUILD:
        return "cu126", f"{card}, too old for the default build"
    return "default", card


def oldest_capability() -> tuple[int, int] | None:
    """The compute capability of this machine's oldest NVIDIA card, as nvidia-smi reports it; None without one."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        return min((int(major), int(minor)) for major, minor in (line.split(".") for line in answer.split()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def reachable(url: str) -> bool:
    """Whether the address answers within PROBE_TIMEOUT_S."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S):  # noqa: S310 - a fixed https address
            return True
    except OSError:
        return False


def main(build: str) -> None:
    if build == "auto":
        build, reason = build_for(oldest_capability())
    else:
        reason = "as asked"
    print(f"torch: the {build} build, {reason}.", file=sys.stderr)
    print(*build_arguments(build))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "auto")
