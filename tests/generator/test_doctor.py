"""The doctor's findings and advice."""

import asyncio
import os
import platform
import subprocess
import sys

import pytest
import torch

from generator import doctor
from generator.api.types import Memory, WorkerHealth
from generator.doctor import GIB, Level, can_draw, card_found, examine, held_by_the_service, room, speed
from generator.engine.diffusion import DiffusionEngine
from generator.engine.needs import Arrangement, Needs
from generator.engine.remembered_ways import Remembered, Ways
from generator.engine.torch_build import index_of, mismatch, unusable
from generator.models import registry
from generator.models.cards import CardSettings
from generator.settings import Settings
from tests.helpers.stand_in import stand_in_settings

CU126 = ["sm_50", "sm_60", "sm_61", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU130 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((6, 1), CU126, True),
        ((6, 1), CU130, False),
        ((6, 2), ["sm_60"], True),
        ((6, 0), ["sm_61"], False),
        ((8, 9), CU130, True),
        ((12, 0), CU130, True),
        ((12, 1), ["sm_90", "compute_90"], True),
        ((9, 0), ["sm_90a"], True),
        ((9, 0), [], False),
    ],
)
def test_the_build_is_compared_with_the_card(capability, architectures, runs):
    problem = mismatch("GTX 1070", capability, architectures)
    assert (problem is None) is runs


def test_jobs_wait_for_a_card_only_where_it_may_come_back():
    for_cards = {"version": "2.13.0", "is_for_cards": True}
    asleep = unusable("CUDA unknown error - this may be due to", **for_cards)
    without_uvm = unusable("No CUDA GPUs are available", **for_cards, has_uvm=False)
    assert "nvidia-modprobe -u -c 0" in without_uvm.advice
    assert asleep.may_pass and without_uvm.may_pass
    assert not unusable("", version="2.13.0+cpu", is_for_cards=False).may_pass
    assert not unusable("The NVIDIA driver on your system is too old", **for_cards, has_uvm=False).may_pass


def test_the_cards_of_a_machine_with_two_are_listed():
    two = card_found(["NVIDIA GeForce GTX 1070", "NVIDIA GeForce RTX 5090"], index_of("cuda:1"))
    assert two.message == (
        "NVIDIA GeForce RTX 5090 draws; there is cuda:0 (NVIDIA GeForce GTX 1070), cuda:1 (NVIDIA GeForce RTX 5090)."
    )
    assert card_found(["NVIDIA GeForce GTX 1070"], index_of("auto")).message == "NVIDIA GeForce GTX 1070."
    assert index_of("cuda") == 0


def test_a_card_that_the_settings_name_and_that_is_not_there_is_a_problem(tmp_path):
    findings = examine(Settings(device="cuda:9", pictures=tmp_path, socket=tmp_path / "none.sock"))
    assert not can_draw(findings)
    assert "The settings say device: cuda:9" in " ".join(finding.message for finding in findings)


def test_a_card_without_code_is_reported_with_what_to_install():
    assert str(mismatch("NVIDIA GeForce GTX 1070", (6, 1), ["sm_75", "sm_80"])) == (
        "NVIDIA GeForce GTX 1070 has compute capability 6.1, for which this build of torch has no code (sm_75, sm_80). "
        "Install one that has: make setup TORCH=cu126."
    )


@pytest.mark.parametrize(
    ("free", "level", "part"),
    [
        (7.5, Level.OK, "takes up to 5.1 GiB, all of it in the memory of what draws."),
        (4.2, Level.OK, "takes up to 3.6 GiB, with its text encoders in RAM."),
        (3.3, Level.OK, "takes up to 2.8 GiB, its parts taking turns on the card, which is slow."),
        (1, Level.WARNING, "Other programs hold 7.0 of 8.0 GiB"),
    ],
)
def test_the_models_fit_into_memory_is_reported(free, level, part):
    needs = Needs(unet=1331 * 2_000_000, text=818 * 2_000_000, vae=84 * 4_000_000, bytes_per_number=2)
    memory = {"free": int(free * GIB), "total": 8 * GIB}
    finding = room("ssd-1b", needs, **memory, pixels=768 * 768, possible=tuple(Arrangement))
    assert finding.level is level
    assert part in finding.message


def test_a_small_model_takes_a_tenth_of_a_gibibyte_and_not_none():
    needs = Needs(unet=2_000_000, text=1_000_000, vae=1_000_000, bytes_per_number=4)
    finding = room("pocket", needs, free=GIB, total=GIB, pixels=64 * 64, possible=tuple(Arrangement))
    assert "pocket takes up to 0.1 GiB" in finding.message


def test_a_model_that_can_never_fit_is_a_problem(tmp_path, monkeypatch, stand_in_folder):
    monkeypatch.setattr("generator.engine.needs.SPARE_BYTES", 10**15)
    findings = examine(Settings(**stand_in_settings(stand_in_folder), device="cpu", pictures=tmp_path))
    memory = next(finding for finding in findings if finding.name == "memory")
    assert memory.level is Level.PROBLEM
    assert "stand-in needs 931322.6 GiB of memory for 65,536 pixels; the drawing computer has" in memory.message
    assert not can_draw(findings)


def test_the_fastest_ways_found_are_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = torch.device("cpu")
    assert list(speed("ssd-1b", here)) == []
    card = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    Remembered().put(f"{card}; torch 1; ssd-1b rev torch.float16 768x768; True 8", Ways(at_once=2))
    Remembered().put(f"{card}; torch 2; ssd-1b rev torch.float16 768x768; True 8", Ways(fused=True, step_ms=12.34))
    Remembered().put(f"{card}; torch 2; mine rev torch.float16 768x768; True 8", Ways(at_once=4))
    Remembered().put("another card; torch 3; ssd-1b rev torch.float16 768x768; True 8", Ways(at_once=8))
    (found,) = speed("ssd-1b", here)
    assert (found.name, found.level) == ("speed", Level.OK)
    fastest = "fused kernels, launched calls, decoding in fp32, one drawing at a time, 12.3 ms a step"
    assert found.message == f"ssd-1b is fastest here with {fastest}."


def test_missing_weights_are_a_problem_with_the_command_that_fetches_them(tmp_path, no_hub_cache):
    findings = examine(Settings(device="cpu", default_model="ssd-1b", pictures=tmp_path, socket=tmp_path / "none.sock"))
    weights = next(finding for finding in findings if finding.name == "weights")
    assert (weights.level, weights.advice) == (Level.PROBLEM, "Run python -m generator fetch ssd-1b")
    assert not can_draw(findings)


def test_the_built_in_model_is_here_and_a_larger_one_can_be_fetched(tmp_path):
    findings = examine(Settings(device="cpu", default_model="pocket", pictures=tmp_path, socket=tmp_path / "none.sock"))
    weights = next(finding for finding in findings if finding.name == "weights")
    assert (weights.level, weights.message) == (Level.OK, "pocket draws here: small pictures, few words.")
    assert weights.advice == "For large pictures of anything: python -m generator fetch ssd-1b"
    assert can_draw(findings)


def test_pocket_that_stands_in_for_a_larger_model_is_a_warning_with_the_command(monkeypatch, no_hub_cache):
    monkeypatch.setattr(registry, "has_card", lambda _: True)
    finding = doctor._weights(Settings())
    assert (finding.level, finding.advice) == (Level.WARNING, "Run python -m generator fetch ssd-1b")
    assert finding.message.endswith("until the weights of ssd-1b are here.")


def test_a_missing_lora_for_drafts_is_a_warning_with_advice(tmp_path, stand_in_folder):
    draft, sizes = {"lora": {"file": tmp_path / "lora.safetensors"}}, {"square": (512, 512)}
    card = CardSettings(family="sdxl", folder=stand_in_folder, sizes=sizes, draft=draft)
    settings = Settings(device="cpu", default_model="mine", models={"mine": card}, pictures=tmp_path, socket=tmp_path)
    weights = next(finding for finding in examine(settings) if finding.name == "weights")
    message = "The weights of mine are here, the LoRA of its drafts is not."
    assert (weights.level, weights.message) == (Level.WARNING, message)
    assert weights.advice == f"There is no file {tmp_path / 'lora.safetensors'}."


def test_a_folder_without_weights_is_named(tmp_path):
    card = CardSettings(family="sdxl", folder=tmp_path / "mine", sizes={"square": (512, 512)})
    settings = Settings(device="cpu", default_model="mine", models={"mine": card}, socket=tmp_path / "none.sock")
    weights = next(finding for finding in examine(settings) if finding.name == "weights")
    assert weights.advice == f"Put them into {tmp_path / 'mine'}, in diffusers' layout, as safetensors."


@pytest.mark.parametrize(
    "error",
    ["ImportError('libtorch_cpu.so: file too short')", "OSError('libtorch_global_deps.so: file too short')"],
)
def test_a_broken_torch_is_a_problem_with_what_installs_it_anew(tmp_path, error):
    """As after a set-up on a full disk."""
    (tmp_path / "torch.py").write_text(f"raise {error}")
    (tmp_path / "settings.yml").write_text(f"{{socket: {tmp_path}/s, pictures: {tmp_path}}}")
    command = [sys.executable, "-m", "generator", "--settings", tmp_path / "settings.yml", "doctor"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ torch: torch cannot be imported: libtorch" in done.stdout
    assert "\n    Install it anew: make -B setup\n" in done.stdout


@pytest.mark.parametrize("pictures", ["file", "file/pictures", "link"])
def test_a_file_in_place_of_the_pictures_folder_is_a_problem(tmp_path, pictures):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    settings = Settings(device="cpu", pictures=tmp_path / pictures, socket=tmp_path / "s")
    disk = next(finding for finding in examine(settings) if finding.name == "disk")
    assert (disk.level, disk.advice) == (Level.PROBLEM, "Move it away, or set pictures.")


def test_beside_a_running_service_its_own_arrangement_is_reported(tmp_path, stand_in_folder):
    """Not that other programs hold the memory."""
    engine = DiffusionEngine(Settings(**stand_in_settings(stand_in_folder), device="cpu", pictures=tmp_path))
    engine.models.get("stand-in")
    state = engine.state()
    worker = WorkerHealth(
        name="cuda:0",
        state="ready",
        device="cpu",
        models=state.models,
        arrangement=state.arrangement,
        memory=state.memory or Memory(used_bytes=5 * GIB, total_bytes=8 * GIB),
    ).model_dump(mode="json")
    (finding,) = held_by_the_service({"workers": [worker]})
    assert (finding.name, finding.level) == ("memory", Level.OK)
    assert finding.message.startswith("The service has loaded stand-in, all of it in the memory of what draws; ")

    other = {**worker, "name": "cuda:1", "models": [], "trouble": "It died."}
    findings = held_by_the_service({"workers": [worker, other]})
    assert [finding.name for finding in findings] == ["card cuda:0", "memory cuda:0", "card cuda:1"]
    assert findings[0].message == f"{worker['device']} is ready."
    assert findings[2].message == "It died."
    for busy, message in (
        ({"jobs": ["one", "two"]}, f"{worker['device']} draws one, two."),
        ({"device": None, "state": "paused", "models": []}, "It is paused."),
    ):
        assert held_by_the_service({"workers": [{**worker, **busy}, other]})[0].message == message
    assert held_by_the_service({}) == held_by_the_service({"workers": [{**worker, "models": []}]}) == []


async def test_a_running_generator_is_found(generator, tmp_path):
    settings = Settings(device="cpu", socket=generator.socket, pictures=tmp_path)
    findings = await asyncio.to_thread(examine, settings)
    socket = next(finding for finding in findings if finding.name == "socket")
    assert socket.level is Level.OK
    assert socket.message.startswith(f"A generator answers on {generator.socket}; it is ")


@pytest.mark.parametrize(
    ("reason", "is_for_cards", "advice"),
    [
        ("Torch not compiled with CUDA enabled", False, "make setup TORCH=auto."),
        ("CUDA unknown error - this may be due to an incorrectly set up environment", True, "modprobe nvidia_uvm"),
        ("Error 803: system has unsupported display driver / cuda driver combination", True, "Restart the machine."),
        ("Failed to initialize NVML: Driver/library version mismatch", True, "Restart the machine."),
        ("The NVIDIA driver on your system is too old (found version 11040).", True, "TORCH=cu126"),
        ("No CUDA GPUs are available", True, "CUDA_VISIBLE_DEVICES"),
        ("Something new\nat length", True, "It says: Something new. See whether nvidia-smi finds the card."),
        ("", True, "See whether nvidia-smi finds the card."),
    ],
)
def test_each_reason_for_an_unusable_card_has_its_advice(reason, is_for_cards, advice):
    problem = str(unusable(reason, version="2.13", is_for_cards=is_for_cards))
    assert advice in problem and problem.startswith("This machine has an NVIDIA card, but torch 2.13 cannot use it.")
    assert ("TORCH=auto" in problem) is not is_for_cards
