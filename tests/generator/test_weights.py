"""Weights are fetched from a hub and loaded without one, in the right variant and only if complete."""

import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import yaml

from generator.engine.diffusion import DiffusionEngine
from generator.errors import DrawingFailed, WeightsMissing
from generator.models.cards import CardSettings, built_in_cards
from generator.models.weights import is_complete, is_here, locate
from generator.settings import load_settings
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.generator_command import run_generator
from tests.helpers.miniatures import save_lora
from tests.helpers.model_hub import COMMIT, model_hub
from tests.helpers.running_generator import recipe_of
from tests.helpers.stock import denoised

REPOSITORY = "someone/tiny-sdxl"
LORA = "someone/tiny-lora"


@pytest.fixture(scope="module")
def fp16_folder(stand_in_folder, tmp_path_factory) -> Path:
    """The stand-in with a hub's file names for a variant, and other files that must not be fetched."""
    folder = tmp_path_factory.mktemp("hub") / "repository"
    shutil.copytree(stand_in_folder, folder)
    for weights in folder.glob("*/*.safetensors"):
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    (folder / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"the variant that was not asked for")
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "unet/model.py").write_text("raise SystemExit('remote code')")
    (folder / "README.md").write_text("# Tiny")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker/model.fp16.safetensors").write_bytes(b"a part that does not draw")
    (folder / "unet/diffusion_pytorch_model.non_ema.fp16.safetensors").write_bytes(b"other weights")
    return folder


@pytest.fixture
def settings_file(tmp_path) -> Path:
    return settings_of(tmp_path, tiny={"repository": REPOSITORY, "variant": "fp16"})


def settings_of(folder: Path, **models: dict[str, object]) -> Path:
    file, small = (
        folder / "generator.yml",
        {"family": "sdxl", "sizes": {"square": [64, 64]}, "limits": {"min_side": 64}},
    )
    cards = {name: {**small, **card} for name, card in models.items()}
    file.write_text(yaml.safe_dump({"models": cards, "device": "cpu", "pictures": str(folder / "pictures")}))
    return file


def test_a_fetched_model_draws_without_a_network(settings_file, fp16_folder):
    before = run_generator(
        "draw", "otter", "--model", "tiny", "--steps", "1", settings=settings_file, hub="http://127.0.0.1:9"
    )
    assert (before.returncode, before.stdout) == (1, "")
    assert "python -m generator fetch tiny" in before.stderr

    with model_hub({REPOSITORY: fp16_folder}) as hub:
        fetched = run_generator("fetch", "tiny", settings=settings_file, hub=hub)
    assert fetched.returncode == 0, fetched.stderr
    folder = Path(fetched.stdout.strip())
    assert folder.name == COMMIT
    assert not [file for file in folder.rglob("*") if file.suffix in (".bin", ".py", ".md")]
    assert {str(file.relative_to(folder)) for file in folder.rglob("*.safetensors")} == {
        f"{part}.fp16.safetensors"
        for part in (
            "unet/diffusion_pytorch_model",
            "vae/diffusion_pytorch_model",
            "text_encoder/model",
            "text_encoder_2/model",
        )
    }
    assert not (folder / "safety_checker").exists()

    drawn = run_generator(
        "draw", "otter", "--model", "tiny", "--steps", "1", settings=settings_file, hub="http://127.0.0.1:9"
    )
    assert drawn.returncode == 0, drawn.stderr
    picture, recipe = map(Path, drawn.stdout.split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert yaml.safe_load(recipe.read_text())["facts"]["model_revision"] == COMMIT


def test_a_models_draft_lora_is_fetched_with_it_and_its_revision_recorded(
    stand_in_folder, fp16_folder, tmp_path, monkeypatch
):
    repository = tmp_path / "lora-repository"
    repository.mkdir()
    save_lora(stand_in_folder, repository / "pytorch_lora_weights.safetensors")
    (repository / "another.safetensors").write_bytes(b"not asked for")
    draft = {"lora": {"repository": LORA}}
    settings = settings_of(tmp_path, tiny={"repository": REPOSITORY, "variant": "fp16", "draft": draft})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub/hub"))
    drafted = {"model": "tiny", "tier": "draft", "sampler": "lcm", "steps": 1, "guidance_scale": 1.0}
    recipe = recipe_of(subject=("otter",)).model_copy(update=drafted)

    with model_hub({REPOSITORY: fp16_folder}) as hub:
        half = run_generator("fetch", "tiny", settings=settings, hub=hub)
    assert half.returncode == 1
    assert half.stderr.splitlines()[-1].startswith(f"tiny could not be fetched from {LORA}: ")
    engine = DiffusionEngine(load_settings(settings))
    message = "The LoRA that tiny draws drafts with is not on the drawing computer. Run python -m generator fetch tiny"
    with pytest.raises(WeightsMissing, match=message):
        engine.start(Draw("drawing", recipe))

    with model_hub({REPOSITORY: fp16_folder, LORA: repository}) as hub:
        fetched = run_generator("fetch", "tiny", settings=settings, hub=hub)
    assert fetched.returncode == 0, fetched.stderr
    _, lora = map(Path, fetched.stdout.split())
    assert [file.name for file in lora.parent.iterdir()] == ["pytorch_lora_weights.safetensors"]
    assert engine.finish(denoised(engine, recipe)).plan["lora"] == COMMIT


def test_a_repository_without_the_cards_lora_is_reported(fp16_folder, tmp_path):
    draft = {"lora": {"repository": LORA, "weight_name": "mine.safetensors"}}
    settings = settings_of(tmp_path, mine={"folder": str(tmp_path), "draft": draft})
    with model_hub({LORA: fp16_folder}) as hub:
        refused = run_generator("fetch", "mine", settings=settings, hub=hub)
    message = f"{LORA} has no mine.safetensors for the drafts of mine."
    assert (refused.returncode, refused.stdout, refused.stderr.splitlines()[-1]) == (1, "", message)


def test_a_hub_without_the_model_is_reported(settings_file, fp16_folder):
    with model_hub({"someone/else": fp16_folder}) as hub:
        refused = run_generator("fetch", "tiny", settings=settings_file, hub=hub)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"tiny could not be fetched from {REPOSITORY}: ")


def test_a_repository_without_safetensors_is_reported(settings_file, fp16_folder, tmp_path):
    shutil.copytree(fp16_folder, tmp_path / "pickles", ignore=shutil.ignore_patterns("*.safetensors"))
    with model_hub({REPOSITORY: tmp_path / "pickles"}) as hub:
        refused = run_generator("fetch", "tiny", settings=settings_file, hub=hub)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        1,
        f"{REPOSITORY} has no complete set of safetensors for tiny.",
    )


def test_only_a_hubs_model_can_be_fetched(settings_file):
    refused = run_generator("fetch", "pocket", settings=settings_file, hub="http://127.0.0.1:9")
    assert (refused.returncode, refused.stderr) == (
        1,
        "“pocket” is not a model to fetch. There is: ssd-1b, sdxl-turbo, proteus-v0.2, sd-1.5, sd-2.1, tiny.\n",
    )


def card(folder: Path) -> CardSettings:
    return CardSettings(family="sdxl", folder=folder, sizes={"square": (512, 512)})


def test_a_local_folder_has_a_digest_of_its_weights_as_revision(stand_in_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(stand_in_folder, copy)
    revision = locate("mine", card(stand_in_folder)).revision
    assert locate("mine", card(copy)).revision == revision
    weights = copy / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert locate("mine", card(copy)).revision != revision


@pytest.mark.parametrize("missing", ["diffusion_pytorch_model.safetensors", "tokenizer.json"])
def test_an_incomplete_folder_is_no_model(stand_in_folder, tmp_path, missing):
    """Without its vocabulary a tokenizer can be loaded, but reads every prompt alike."""
    half = tmp_path / "half"
    shutil.copytree(stand_in_folder, half, ignore=shutil.ignore_patterns(missing))
    assert not is_complete(half, card(half))
    assert not is_complete(tmp_path / "none", card(half))
    with pytest.raises(WeightsMissing, match=r"Put them into .*half, in diffusers' layout, as safetensors"):
        locate("mine", card(half))


def test_a_folder_of_the_other_family_is_reported(stand_in_folder):
    mine = CardSettings(family="sd", folder=stand_in_folder, sizes={"square": (512, 512)})
    engine = engine_of({"mine": mine})
    with pytest.raises(DrawingFailed, match="The settings say that mine is of the family sd; it is sdxl"):
        engine.start(Draw("drawing", recipe_of(subject=("otter",)).model_copy(update={"model": "mine"})))


def test_a_built_in_model_is_found_in_its_package_or_reported(stand_in_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("generator.models.weights.files", {"generator": tmp_path}.__getitem__)
    pocket = built_in_cards()["pocket"]
    assert not is_here(pocket)
    with pytest.raises(WeightsMissing, match=r"weights of pocket are not .* install the generator again\.$"):
        locate("pocket", pocket)
    shutil.copytree(stand_in_folder, tmp_path / "pocket/weights")
    assert is_here(pocket)
    assert locate("pocket", pocket).revision.startswith("files-")


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "text_encoder/model"])
def test_a_broken_file_is_reported_and_named_in_the_log(stand_in_folder, tmp_path, part, caplog):
    copy = tmp_path / "copy"
    shutil.copytree(stand_in_folder, copy)
    weights = copy / f"{part}.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    engine = engine_of({"mine": card(copy)})
    with pytest.raises(DrawingFailed, match="The weights of mine on the drawing computer are broken"):
        engine.start(Draw("drawing", recipe_of(subject=("otter",)).model_copy(update={"model": "mine"})))
    assert str(copy) in caplog.text
