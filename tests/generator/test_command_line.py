"""The command line in real processes, and the real engine with the stand-in."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from PIL import Image

from generator.__main__ import SPIN_COUNT, main
from generator.client import NotAllowed, NotRunning, call
from generator.cluster import join
from generator.service.server import DISPATCHER
from generator.service.sockets import unix_socket
from generator.settings import Settings
from generator.workers import cards
from tests.helpers.stand_in import stand_in_settings


@pytest.fixture
def settings_file(tmp_path, stand_in_folder) -> Path:
    """Settings with all paths below ``tmp_path``, except the stand-in's, which is built once for all tests."""
    file = tmp_path / "generator.yml"
    places = {"pictures": str(tmp_path / "pictures"), "socket": str(tmp_path / "generator.sock")}
    file.write_text(yaml.safe_dump({"device": "cpu", **places, **stand_in_settings(stand_in_folder)}))
    return file


@pytest.fixture
def easel(settings_file):
    """Run ``python -m generator`` as a process."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "EASEL_SETTINGS": str(settings_file)}
        command = [sys.executable, "-m", "generator", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    return run


def written(process: subprocess.CompletedProcess[str]) -> tuple[Path, dict]:
    assert process.returncode == 0, process.stderr
    picture, recipe = map(Path, process.stdout.split("\n")[:2])
    return picture, yaml.safe_load(recipe.read_text())


def test_draw_writes_picture_and_recipe_names_the_model_and_draws_again(easel, settings_file, tmp_path, capsys):
    small = ("--steps", "2", "--width", "64", "--height", "64")
    drawn = easel(
        "draw",
        "otter, (red, wide hat)++",
        "--slot",
        "outfit=denim jacket",
        "--seed",
        "7",
        *small,
        "--out",
        str(tmp_path),
    )
    picture, recipe = written(drawn)
    assert recipe["slots"] == {"subject": ["otter", "(red, wide hat)++"], "outfit": ["denim jacket"]}
    assert (recipe["seed"], recipe["steps"], recipe["model"]) == (7, 2, "stand-in")
    assert picture.parent == tmp_path / "otter"
    assert "2/2" in drawn.stderr
    assert "Drawn by stand-in.\n" in drawn.stderr

    def drawn_again(*options: str) -> tuple[Path, dict]:
        # In this process: a new one spends seconds importing torch.
        arguments = ["--settings", str(settings_file), "draw", "--recipe", str(picture.with_suffix(".yml")), *options]
        return written(subprocess.CompletedProcess(arguments, main(arguments), *capsys.readouterr()))

    again, recipe_again = drawn_again()
    assert again.parent == tmp_path / "pictures/otter"
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    assert recipe_again["facts"]["notes"] == []

    other, changed = drawn_again("--slot", "outfit=boots")
    assert changed["prompt"] == "otter, (red, wide hat)++, boots"
    assert Image.open(other).tobytes() != Image.open(picture).tobytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("draw",), "The prompt is empty. Say what you want to see."),
        (("draw", "otter", "--steps", "1000"), "--steps goes from 1 to 100."),
        (("draw", "otter", "--seed", "-1"), "seed is -1; it must be at least 0."),
        (("draw", "otter", "--slot", "hat=red"), "--slot takes SLOT=TERMS with a slot of subject, outfit, environment, "
         "emotions, style, not “hat=red”."),
        (("draw", "--recipe", "nowhere.yml"), "nowhere.yml cannot be read: No such file or directory."),
        (("--settings", "nowhere.yml", "draw", "x"), "nowhere.yml cannot be read: No such file or directory"),
        (
            ("fetch", "ssd1b"),
            "“ssd1b” is not a model to fetch. There is: ssd-1b, sdxl-turbo, proteus-v0.2, sd-1.5, sd-2.1.",
        ),
    ],
)  # fmt: skip
def test_an_impossible_request_ends_with_one_sentence_and_a_status(settings_file, capsys, arguments, sentence):
    assert main(["--settings", str(settings_file), *arguments]) == 1
    assert capsys.readouterr() == ("", f"{sentence}\n")


@pytest.mark.parametrize(
    ("token", "options", "sentence"),
    [
        (None, (), "The token file {file} cannot be read: [Errno 2] No such file or directory: '{file}'."),
        (" \n", (), "The token file {file} is empty."),
        ("abc", ("--port", "65500"), "--port must be a whole number from 1024 to 65000"),
        ("abc", ("--store-mb", "8"), "--store-mb must be a whole number, 80 or more"),
    ],
)
def test_a_machine_that_cannot_join_as_it_is_says_why(tmp_path, monkeypatch, capsys, token, options, sentence):
    """With these, Ray ended each time, and the log said that the main machine was away."""
    monkeypatch.setattr(join, "join", lambda *_, **__: 0)
    file = tmp_path / "token"
    if token is not None:
        file.write_text(token)
    assert main(["worker", "--join", "127.0.0.1:1", "--token-file", str(file), *options]) == 1
    assert capsys.readouterr() == ("", sentence.format(file=file) + "\n")


def test_a_machine_whose_cards_cannot_be_listed_does_not_join(tmp_path, monkeypatch, capsys):
    """Its part in the cluster would end each time, and neither machine's log say why."""
    monkeypatch.setattr(join, "join", lambda *_, **__: 0)
    monkeypatch.setattr(cards, "has_card", lambda _: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, content in (("settings", "cards: all"), ("token", "abc")):
        (tmp_path / name).write_text(content)
    monkeypatch.setenv("EASEL_SETTINGS", str(tmp_path / "settings"))
    assert main(["worker", "--join", "127.0.0.1:1", "--token-file", str(tmp_path / "token")]) == 1
    assert capsys.readouterr().err.startswith("cards: all needs nvidia-smi to list the cards, and it says: ")


def test_a_bug_of_the_engine_ends_with_a_sentence(settings_file, stand_in_folder, tmp_path, capsys, caplog):
    """Tensors whose shape differs from the configuration fail in the first step."""
    broken = tmp_path / "broken"
    shutil.copytree(stand_in_folder, broken)
    index = json.loads((broken / "unet/config.json").read_text())
    (broken / "unet/config.json").write_text(json.dumps({**index, "addition_time_embed_dim": 16}))
    card = {"family": "sdxl", "folder": str(broken), "sizes": {"square": [64, 64]}, "limits": {"min_side": 64}}
    settings = yaml.safe_load(settings_file.read_text())
    settings_file.write_text(yaml.safe_dump({**settings, "default_model": "mine", "models": {"mine": card}}))
    assert main(["--settings", str(settings_file), "draw", "otter"]) == 1
    assert capsys.readouterr().err.endswith(
        "\nSomething went wrong while I drew this. The drawing computer's log says more.\n"
    )
    assert "the engine failed" in caplog.text


def test_ctrl_c_ends_a_command_without_a_traceback(settings_file, tmp_path):
    """A recipe that somebody still writes keeps the command waiting."""
    recipe = tmp_path / "recipe.yml"
    os.mkfifo(recipe)
    command = [sys.executable, "-m", "generator", "--settings", settings_file, "draw", "--recipe", recipe]
    # A shell that runs the tests in the background would have them ignore Ctrl-C.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    with recipe.open("w"):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pause_without_a_generator_is_refused(settings_file, tmp_path, capsys, command):
    assert main(["--settings", str(settings_file), command]) == 1
    assert capsys.readouterr().err == f"No generator answers on {tmp_path}/generator.sock.\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a moment")
async def test_a_socket_of_another_user_is_not_taken_for_a_generator_that_is_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(socket=tmp_path / "generator.sock")
    # What a first call imports, another user could not read here.
    with pytest.raises(NotRunning, match="No generator answers on"):
        await call(settings, "POST", "/v1/pause")
    with unix_socket(settings.socket, None):
        os.seteuid(12345)
        try:
            with pytest.raises(NotAllowed) as refused:
                await call(settings, "POST", "/v1/pause")
        finally:
            os.seteuid(0)
    assert str(refused.value) == f"This user may not use {settings.socket}."


async def test_pause_and_resume_report_the_generators_state(generator, settings_file, capsys):
    async def run(command: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(main, ["--settings", str(settings_file), command]), *capsys.readouterr()

    assert await run("pause") == (0, "Paused: the card is free, jobs wait.\n", "")
    assert await run("resume") == (0, "Drawing goes on.\n", "")
    await generator.runner.app[DISPATCHER].drain(timeout_s=0)
    assert await run("pause") == (1, "", "The drawing computer is shutting down.\n")


def test_the_doctor_reports_as_text_and_json(easel, settings_file, capsys):
    done = easel("doctor")
    assert done.returncode == 0
    assert "There is no NVIDIA card here" in done.stdout or "The settings say device: cpu" in done.stdout
    assert "The weights of stand-in are here." in done.stdout
    assert done.stdout.endswith("This machine can draw.\n")

    # In this process: a new one spends seconds importing torch.
    assert main(["--settings", str(settings_file), "doctor", "--json"]) == 0
    in_json = json.loads(capsys.readouterr().out)
    assert in_json["can_draw"] is True
    names = [finding["name"] for finding in in_json["findings"]]
    assert names == ["python", "torch", "card", "memory", "weights", "disk", "socket"]


@pytest.mark.parametrize(("preset", "taken"), [(None, SPIN_COUNT), ("7", "7")])
def test_waiting_threads_leave_the_processor_to_others(monkeypatch, settings_file, preset, taken):
    """The variable is set before anything imports torch, unless the environment has a value of its own."""
    monkeypatch.setenv("GOMP_SPINCOUNT", preset or "")
    if preset is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    main(["--settings", str(settings_file), "doctor"])
    assert os.environ["GOMP_SPINCOUNT"] == taken
    code = "import sys, generator.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
