"""``python -m generator bench`` measures and reports. The values depend on the machine and are not checked."""

import json
import sys

import pytest
import torch

from generator.__main__ import main
from generator.bench import run, service
from generator.bench.figures import Report, figure
from generator.bench.operations import operations
from generator.bench.ours import Ours
from generator.bench.random_weights import make_unet
from generator.bench.run import bench
from generator.bench.subject import Subject
from generator.bench.timing import in_turns
from generator.models.cards import CardSettings
from generator.models.registry import all_cards
from generator.settings import Settings
from tests.helpers.stand_in import stand_in_settings

SIZES = {"square": [64, 64], "portrait": [64, 128]}


def test_it_measures_every_row_possible_on_this_machine(tmp_path, monkeypatch, capsys):
    # A tenth of the time makes a drawing long, and a cold start gives a figure, too.
    monkeypatch.setattr(service, "LONG_S", service.LONG_S / 10)
    monkeypatch.setattr(service, "LONG_DRAWING_S", service.LONG_DRAWING_S / 10)
    monkeypatch.setattr(service, "COLD_STARTS", 0)
    file = tmp_path / "generator.yml"
    quick = {
        "like": "pocket",
        "defaults": {"steps": 2},
        "sizes": SIZES,
        "limits": {"max_side": 128, "max_pixels": 8192},
    }
    file.write_text(json.dumps({"device": "cpu", "models": {"quick": quick}, "max_at_once": 1}))
    arguments = ["--settings", str(file), "bench", "--model", "quick", "--json", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["generator", *arguments])
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    for row in ("R6", "R7", "R9", "R11", "R12"):
        assert {"value", "target", "met"} <= result[row].keys()
        assert result[row]["value"] > 0 and isinstance(result[row]["met"], bool)
    sizes = {"64x64", "64x128"}
    assert result["R6"]["parts"].keys() == {f"{tier}, {size}" for tier in ("balanced", "fast") for size in sizes}
    assert result["R12"]["parts"].keys() == sizes
    assert {"row": "R1", "reason": "there is no card here"} in result["not_measured"]
    assert not {missing["row"] for missing in result["not_measured"]} & result.keys()
    assert result["command"].endswith("bench --model quick --json --repeats 1")
    assert result["model"] == "quick, its own weights"


def test_a_model_of_one_size_is_measured_at_twice_and_four_times_its_sides():
    card = all_cards(Settings(device="cpu"))["pocket"]
    assert Subject("pocket", card, "a test").sizes == ((64, 64), (128, 128), (256, 256))


def test_it_measures_the_requested_rows(tmp_path):
    quick = {"like": "pocket", "defaults": {"steps": 1}}
    report = bench(Settings(device="cpu", models={"quick": quick}), "quick", repeats=1, rows=["R9", "R4"])
    assert report.rows.keys() == {"R9"}
    assert report.not_measured["R4"] == "there is no card here"
    assert "R8" not in report.not_measured


def test_a_row_that_fails_is_reported_in_its_place_and_the_others_are_measured(monkeypatch):
    async def hangs(*_, **__) -> None:
        raise TimeoutError("the service was not ready")

    monkeypatch.setattr(run, "measure_service", hangs)
    quick = {"like": "pocket", "defaults": {"steps": 1}}
    report = bench(Settings(device="cpu", models={"quick": quick}), "quick", repeats=1, rows=["R7", "R9"])
    assert report.rows.keys() == {"R9"}
    assert report.not_measured["R7"] == "TimeoutError: the service was not ready"
    result = json.loads(json.dumps(report.as_json()))
    assert {"row": "R7", "reason": "TimeoutError: the service was not ready"} in result["not_measured"]
    assert "R7  not measured: TimeoutError" in report.table()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "pockt"), "“pockt” is not a model. There is: ssd-1b, "),
        (("--rows", "R1", "R99"), "“R99” is not a row that is measured here. There is: R1, R2, R3, "),
        (("--model", "from-nowhere"), "The weights of from-nowhere are not here, and random ones are for a card. "),
    ],
)
def test_an_impossible_measurement_is_refused_with_a_sentence(tmp_path, capsys, arguments, sentence):
    file = tmp_path / "generator.yml"
    card = {"like": "ssd-1b", "folder": str(tmp_path / "nowhere")}
    file.write_text(json.dumps({"device": "cpu", "models": {"from-nowhere": card}}))
    assert main(["--settings", str(file), "bench", *arguments]) == 1
    assert capsys.readouterr().err.startswith(sentence)


def test_the_value_of_a_row_is_its_worst_part():
    report = Report(rows={"R12": {"small": figure([1.2, 1.3, 1.1], 1.0, at_least=True)}})
    report.rows["R12"]["large"] = figure([0.5, 0.9, 0.9, 0.9, 1.5], 1.0, at_least=True)
    report.rows["R7"] = {"short": figure([0.05], 0.1, unit="s"), "long": figure([1.02], 1.03)}
    result = report.as_json()
    assert (result["R12"]["value"], result["R12"]["met"], result["R12"]["parts"]["small"]["met"]) == (0.9, False, True)
    assert (result["R7"]["value"], result["R7"]["met"]) == (1.02, True)
    table = report.table().splitlines()
    assert table[2].split() == ["R7", "long", "1.020", "0.000", "≤", "1.03", "met"]
    assert table[4].split() == ["R12", "large", "0.900", "0.000", "≥", "1", "MISSED"]


def test_ways_are_measured_alternately_after_warming_up():
    calls = []
    taken = in_turns(
        {name: lambda turn, name=name: calls.append((name, turn)) for name in "ab"}, repeats=2, what="a test"
    )
    assert calls == [(name, turn) for turn, names in ((-2, "ba"), (-1, "ab"), (0, "ba"), (1, "ab")) for name in names]
    assert [len(one.seconds) for one in taken.values()] == [2, 2]


def test_the_tiers_operations_are_counted(stand_in_folder):
    """Of five steps, ``balanced`` computes both rows in three."""
    settings = Settings(**stand_in_settings(stand_in_folder), device="cpu", max_at_once=1)
    subject = Subject("stand-in", all_cards(settings)["stand-in"], "a test")
    ours = Ours(settings)
    exact, balanced, fast = (
        operations(ours, subject.recipe(0, (64, 64), tier=tier, steps=5)) for tier in ("exact", "balanced", "fast")
    )
    assert balanced / exact == pytest.approx(0.8, abs=0.001)
    assert fast < 0.5 * exact
    assert subject.tiers == ("exact", "balanced", "fast", "draft")
    draft = subject.recipe(0, (64, 64), tier="draft")
    assert draft.steps == round(subject.card.defaults.steps * 2 / 3)
    assert operations(ours, draft) < operations(ours, subject.recipe(0, (64, 64), tier="fast"))


def test_the_draft_tier_is_not_measured_without_its_lora(tmp_path):
    draft = {"lora": {"file": str(tmp_path / "lora.safetensors")}}
    card = CardSettings.model_validate({"like": "ssd-1b", "folder": str(tmp_path), "draft": draft})
    assert Subject("mine", card, "a test").tiers == ("exact", "balanced", "fast")


@pytest.mark.parametrize(
    ("name", "millions"), [("ssd-1b", 1331), ("sdxl-turbo", 2567), ("sd-1.5", 860), ("sd-2.1", 866)]
)
def test_random_weights_have_the_true_architecture(name, millions):
    with torch.device("meta"):
        unet = make_unet(name)
    assert sum(one.numel() for one in unet.parameters()) // 1_000_000 in (millions - 1, millions)
