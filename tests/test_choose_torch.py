"""`make setup` chooses the build of torch for card and driver; a program in place of nvidia-smi reports them."""

import os
import shutil
import subprocess
import sys

import pytest

from deploy import choose_torch
from deploy.plugin import ROOT

PASCAL = "6.1, {driver}, NVIDIA GeForce GTX 1070"
AMPERE = "8.6, {driver}, NVIDIA GeForce RTX 3060"
BLACKWELL = "12.0, {driver}, NVIDIA GeForce RTX 5090"


@pytest.fixture
def nvidia_smi(tmp_path):
    """Return a function that puts an nvidia-smi with that answer and exit status where it is looked for."""

    def put(answer: str, *, status: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {status}\n")
        program.chmod(0o755)

    return put


@pytest.fixture
def choose(tmp_path):
    """Return a function that runs the program as make does, and returns exit status, pip's arguments and the reason."""

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "deploy/choose_torch.py", *arguments]
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    return run


@pytest.mark.parametrize(
    ("cards", "driver", "build"),
    [
        # Debian 12 and 13 bring 535 and 550, on which CUDA 13 finds no card.
        ([AMPERE], "535.247.01", "cu126"),
        ([AMPERE], "550.163.01", "cu126"),
        ([AMPERE], "580.159.04", "default"),
        ([BLACKWELL], "580.159.04", "default"),
        ([PASCAL], "535.247.01", "cu126"),
        ([PASCAL], "580.159.04", "cu126"),
    ],
)
def test_the_build_fits_card_and_driver(nvidia_smi, choose, cards, driver, build):
    nvidia_smi("\n".join(cards).format(driver=driver))
    status, arguments, reason = choose()
    assert (status, arguments.split()) == (0, choose_torch.build_arguments(build))
    assert driver in reason and cards[0].split(", ")[2] in reason


def test_pascal_gets_a_set_of_versions_of_its_own(nvidia_smi, choose):
    nvidia_smi(PASCAL.format(driver="580.159.04"))
    assert choose()[1].split()[:2] == ["requirements/pascal.txt", f"torch=={choose_torch.PASCAL_VERSION}+cu126"]
    nvidia_smi(AMPERE.format(driver="580.159.04"))
    assert choose()[1].split() == ["requirements/generator.txt", f"torch=={choose_torch.VERSION}"]


def test_make_installs_the_lock_and_the_torch_that_were_chosen(nvidia_smi, tmp_path):
    """A Python that only notes what it is asked takes the place of the environment's."""
    nvidia_smi(PASCAL.format(driver="580.159.04"))
    locks = (f"requirements/{name}.txt" for name in ("generator", "pascal", "uv"))
    for name in ("Makefile", "deploy/choose_torch.py", *locks):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n[ $1 = deploy/choose_torch.py ] && exec {sys.executable} "$@"\necho "$@" >>asked\n')
    python.chmod(0o755)
    make = ["make", "--silent", ".venv/generator", f"PYTHON={python}"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def asked(*arguments: str) -> list[str]:
        (tmp_path / "asked").write_text("")
        subprocess.run([*make, *arguments], cwd=tmp_path, env=environment, check=True, capture_output=True)
        return [line for line in (tmp_path / "asked").read_text().splitlines() if "pip install" in line]

    _, lock, torch, _ = asked()
    assert lock.endswith("--no-deps -r requirements/pascal.txt")
    assert torch.endswith(f"torch=={choose_torch.PASCAL_VERSION}+cu126 --index-url {choose_torch.INDEX}/cu126")
    assert (tmp_path / ".venv/lock").read_text() == "requirements/pascal.txt\n"
    # Nothing to be done again, until another build is named: that is installed over what is there.
    assert asked() == []
    assert asked("TORCH=cpu")[1].endswith("-r requirements/generator.txt")
    assert asked() == []
    assert asked("TORCH=auto")[1].endswith("-r requirements/pascal.txt")
    # Another card is looked for only when that is asked for.
    nvidia_smi(AMPERE.format(driver="580.159.04"))
    assert asked() == []
    assert asked("TORCH=auto")[1].endswith("-r requirements/generator.txt")


def test_of_two_cards_the_newest_draws_and_a_card_that_cannot_is_named(nvidia_smi, choose):
    nvidia_smi(f"{PASCAL}\n{BLACKWELL}".format(driver="580.159.04"))
    _, arguments, reason = choose()
    assert arguments.split() == choose_torch.build_arguments("default")
    assert reason.endswith("the NVIDIA GeForce GTX 1070 cannot draw with it.")


@pytest.mark.parametrize(
    ("card", "driver", "least"), [(AMPERE, "470.256.02", 525), (BLACKWELL, "570.195.03", 580), (PASCAL, "390.157", 525)]
)
def test_a_driver_too_old_for_every_build_is_told_with_the_one_to_install(nvidia_smi, choose, card, driver, least):
    nvidia_smi(card.format(driver=driver))
    status, arguments, sentence = choose()
    assert (status, arguments) == (1, "")
    assert f"driver {driver} is too old" in sentence and f"install {least} or newer" in sentence


def test_a_card_without_a_build_is_told(nvidia_smi, choose):
    nvidia_smi("3.5, 470.256.02, Tesla K40c")
    assert choose()[::2] == (
        1,
        f"No build of torch {choose_torch.VERSION} has code for the Tesla K40c (compute capability 3.5).",
    )


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", 18, "Driver/library version mismatch"),
        ("[N/A], 550.163.01, NVIDIA GeForce RTX 3060", 0, "[N/A]"),
        ("[N/A]", 0, "[N/A]"),
    ],
)
def test_a_loaded_driver_that_reports_no_card_stops_instead_of_drawing_on_the_processor(
    nvidia_smi, tmp_path, monkeypatch, answer, status, words
):
    nvidia_smi(answer, status=status)
    loaded = tmp_path / "version"
    loaded.touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(choose_torch, "DRIVER_IS_LOADED", loaded)
    with pytest.raises(SystemExit, match="does not report the card") as ended:
        choose_torch.main("auto")
    assert words in str(ended.value)


def test_without_a_driver_it_is_the_processors_build(nvidia_smi, monkeypatch, tmp_path, capsys):
    nvidia_smi("", status=9)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(choose_torch, "DRIVER_IS_LOADED", tmp_path / "none")
    for index, build in ((ROOT.as_uri(), "cpu"), ("http://127.0.0.1:9", "default")):
        monkeypatch.setattr(choose_torch, "reachable", lambda url, index=index: index.startswith("file:"))
        choose_torch.main("auto")
        assert capsys.readouterr().out.split() == choose_torch.build_arguments(build)


def test_a_build_by_name_is_installed_as_asked(nvidia_smi, choose):
    nvidia_smi("nothing useful", status=1)
    status, arguments, reason = choose("cu126")
    assert (status, arguments.split()) == (0, choose_torch.build_arguments("cu126"))
    assert reason == "torch: the cu126 build, as asked."
