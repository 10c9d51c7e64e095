"""Which cards draw, and what the process of each one sees."""

import os
import stat

import pytest
from pydantic import ValidationError

from generator.settings import InvalidSettings, Settings
from generator.workers import cards
from generator.workers.cards import Card, cards_of
from generator.workers.process import WorkerProcess
from tests.helpers.bad_engines import Colour

TWO_CARDS = "echo 'GPU 0: NVIDIA GeForce GTX 1070 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA GeForce RTX 3060 (UUID: GPU-2)'"


def only(number: int) -> Card:
    return Card(f"cuda:{number}", "cuda", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(number)})


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Return a function that puts a program in nvidia-smi's place, on a machine with a card."""

    def put(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(cards, "has_card", lambda settings: True)

    return put


def test_without_the_setting_one_worker_draws_on_the_device():
    assert cards_of(Settings()) == (Card("cpu", "auto"),)
    assert cards_of(Settings(device="cpu")) == (Card("cpu", "cpu"),)
    assert cards_of(Settings(device="cuda:1")) == (Card("cuda:1", "cuda:1"),)


def test_all_cards_have_a_worker_that_sees_no_other(nvidia_smi):
    nvidia_smi(TWO_CARDS)
    assert cards_of(Settings(cards="all")) == (only(0), only(1))
    assert cards_of(Settings(cards=(1,))) == (only(1),)


def test_without_a_card_all_is_the_processor():
    assert cards_of(Settings(cards="all")) == (Card("cpu", "cpu"),)


def test_several_workers_on_the_processor_share_its_cores():
    share = str(max(1, len(os.sched_getaffinity(0)) // 2))
    first, second = cards_of(Settings(cards=("cpu", "cpu")))
    assert (first.name, second.name) == ("cpu:0", "cpu:1")
    assert first.environment == second.environment == {"OMP_NUM_THREADS": share}


def test_a_driver_that_does_not_answer_is_named_with_its_own_words(nvidia_smi):
    nvidia_smi("echo 'NVIDIA-SMI has failed'; exit 9")
    with pytest.raises(InvalidSettings, match=r"cards: all needs nvidia-smi .* says: NVIDIA-SMI has failed"):
        cards_of(Settings(cards="all"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cards": [0, 0]}, "a list of different cards"),
        ({"cards": []}, "a list of different cards"),
        ({"cards": [-1]}, "greater than or equal to 0"),
        ({"cards": "some"}, "'all'"),
        ({"cards": "all", "device": "cpu"}, "device must stay auto"),
    ],
)
def test_cards_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate(settings)


class Seeing(Colour):
    """Greets with what it sees of the machine's cards."""

    def hello(self):
        hello = super().hello()
        return type(hello)(os.environ["CUDA_VISIBLE_DEVICES"], hello.state)


async def test_a_workers_process_has_its_own_environment():
    workers = [
        WorkerProcess(Seeing, environment=only(number).environment, load_timeout_s=30, step_timeout_s=30)
        for number in (0, 1)
    ]
    try:
        assert [(await worker.hello()).device for worker in workers] == ["0", "1"]
    finally:
        for worker in workers:
            await worker.close()
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
