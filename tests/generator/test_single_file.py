"""A model in one .safetensors file of the original layout loads without a network, or fails with a sentence."""

import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import yaml
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from generator.errors import DrawingFailed, WeightsMissing
from generator.models.cards import CardSettings, built_in_cards
from generator.models.weights import is_here, locate
from generator.workers.messages import Draw
from tests.helpers.engines import engine_of
from tests.helpers.generator_command import run_generator
from tests.helpers.miniatures import save_miniature
from tests.helpers.model_hub import COMMIT, model_hub
from tests.helpers.original_layout import save_in_original_layout
from tests.helpers.running_generator import recipe_of
from tests.helpers.stock import denoised

PIPELINES = {"sd-1.5": StableDiffusionPipeline, "proteus-v0.2": StableDiffusionXLPipeline}


@pytest.fixture(scope="module", params=PIPELINES)
def miniature(request, tmp_path_factory) -> tuple[str, Path, Path]:
    """A model's name, its miniature in diffusers' layout, and the same weights in one file."""
    folder = tmp_path_factory.mktemp("miniature")
    save_miniature(request.param, folder, layers_per_block=2)
    file = tmp_path_factory.mktemp("single") / "one.safetensors"
    save_in_original_layout(PIPELINES[request.param].from_pretrained(folder, use_safetensors=True), file)
    return request.param, folder, file


@pytest.fixture
def configuration(miniature, tmp_path) -> Path:
    """The miniature's folder without its weights."""
    return Path(shutil.copytree(miniature[1], tmp_path / "like", ignore=shutil.ignore_patterns("*.safetensors")))


def card(like: str, **source: Path | str | None) -> CardSettings:
    small = {"sizes": {"square": (64, 64)}, "limits": {"min_side": 64}}
    return CardSettings.model_validate({"like": like, **small, **source})


def latents(card: CardSettings) -> torch.Tensor:
    engine = engine_of({"mine": card})
    drawing = engine.start(Draw("drawing", recipe_of(subject=("otter",)).model_copy(update={"model": "mine"})))
    while drawing.step < drawing.steps:
        engine.step([drawing])
    return drawing.latents


def test_the_file_draws_what_the_folder_draws(miniature, configuration):
    name, folder, file = miniature
    from_file, from_folder = latents(card(name, folder=configuration, file=file)), latents(card(name, folder=folder))
    assert (from_file - from_folder).abs().max() < 1e-5 * from_folder.std()


def test_its_revision_comes_from_the_file(miniature, configuration):
    name, folder, file = miniature
    located = locate("mine", card(name, folder=configuration, file=file))
    assert (located.folder, located.file) == (configuration, file)
    assert located.revision.startswith("files-")
    assert located.revision != locate("mine", card(name, folder=folder)).revision


def test_missing_parts_are_reported_with_advice(miniature, configuration, tmp_path, no_hub_cache):
    name, _, file = miniature
    (configuration / "tokenizer/tokenizer_config.json").unlink()
    for source, sentence in (
        ({"file": file}, "Run python -m generator fetch mine"),
        ({"file": file, "folder": configuration}, f"Put its configuration and tokenizers into {configuration}"),
        ({"file": tmp_path / "none.safetensors"}, f"There is no file {tmp_path}/none.safetensors."),
    ):
        missing = card(name, **source)
        assert not is_here(missing)
        with pytest.raises(WeightsMissing, match=sentence):
            locate("mine", missing)


@pytest.mark.parametrize("damage", ["cut", "empty", "another model", "half"])
def test_a_file_of_another_model_is_refused_with_a_sentence(miniature, configuration, tmp_path, damage, caplog):
    name, _, file = miniature
    broken = tmp_path / "broken.safetensors"
    if damage == "cut":
        broken.write_bytes(file.read_bytes()[:1000])
    elif damage == "empty":
        broken.touch()
    elif damage == "another model":
        save_file({"lora.weight": torch.zeros(2)}, broken)
    else:
        kept = {key: tensor for key, tensor in load_file(file).items() if "output_blocks.3" not in key}
        save_file(kept, broken)
    with pytest.raises(DrawingFailed, match="The weights of mine on the drawing computer are broken"):
        latents(card(name, folder=configuration, file=broken))
    assert str(broken) in caplog.text


def test_fetch_gets_only_the_configuration_and_the_model_then_draws_without_a_network(miniature, tmp_path, monkeypatch):
    name, folder, file = miniature
    source = {"file": str(file), "revision": None}
    settings = tmp_path / "generator.yml"
    settings.write_text(yaml.safe_dump({"models": {"mine": {"like": name, **source}}}))

    with model_hub({card(name).repository: folder}) as hub:
        fetched = run_generator("fetch", "mine", settings=settings, hub=hub)
    assert fetched.returncode == 0, fetched.stderr
    there = Path(fetched.stdout.strip())
    assert there.name == COMMIT
    assert not list(there.rglob("*.safetensors"))

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub/hub"))
    assert (latents(card(name, **source)) - latents(card(name, folder=folder))).abs().max() < 1e-4


def test_a_repository_with_its_weights_in_one_file_is_fetched_and_draws_the_same(
    miniature, configuration, tmp_path, monkeypatch
):
    """Proteus is kept so: the parts' own weights are pickles, which are left where they are."""
    name, folder, file = miniature
    shutil.copy(file, configuration / "one.safetensors")
    (configuration / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (configuration / "another.safetensors").write_bytes(b"not asked for")
    settings = tmp_path / "generator.yml"
    source = {"repository": "someone/one-file", "weight_name": "one.safetensors"}
    settings.write_text(yaml.safe_dump({"models": {"mine": {"like": name, **source}}}))

    with model_hub({"someone/one-file": configuration}) as hub:
        fetched = run_generator("fetch", "mine", settings=settings, hub=hub)
    assert fetched.returncode == 0, fetched.stderr
    there = Path(fetched.stdout.split()[0])
    assert [path.name for path in there.rglob("*") if path.suffix in (".safetensors", ".bin")] == ["one.safetensors"]

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub/hub"))
    mine = card(name, **source)
    located = locate("mine", mine)
    assert (located.file, located.revision) == (there / "one.safetensors", COMMIT)
    assert (latents(mine) - latents(card(name, folder=folder))).abs().max() < 1e-4

    (there / "one.safetensors").unlink()
    with pytest.raises(WeightsMissing, match="Run python -m generator fetch mine"):
        locate("mine", mine)


def test_a_file_without_a_vae_says_what_lacks_and_draws_with_one(miniature, configuration, tmp_path):
    name, folder, file = miniature
    weights = load_file(file)
    without, vae = tmp_path / "without.safetensors", tmp_path / "vae.safetensors"
    save_file({key: tensor for key, tensor in weights.items() if not key.startswith("first_stage_model.")}, without)
    start = "first_stage_model."
    save_file({key.removeprefix(start): tensor for key, tensor in weights.items() if key.startswith(start)}, vae)

    sentence = "The file of mine has no VAE. Name one that has it in the model's card: vae: FILE.safetensors"
    with pytest.raises(DrawingFailed, match=sentence):
        latents(card(name, folder=configuration, file=without))
    with pytest.raises(WeightsMissing, match=r"There is no file .*none\.safetensors"):
        locate("mine", card(name, folder=configuration, file=without, vae=tmp_path / "none.safetensors"))

    mine = card(name, folder=configuration, file=without, vae=vae)
    recipe = recipe_of(subject=("otter",))
    pictures = []
    for one in (mine, card(name, folder=folder)):
        engine = engine_of({"mine": one})
        pictures.append(engine.finish(denoised(engine, recipe.model_copy(update={"model": "mine"}))).image)
    difference = np.abs(np.asarray(pictures[0], dtype=int) - np.asarray(pictures[1], dtype=int))
    assert difference.max() <= 1


def test_proteus_is_one_file_of_its_repository():
    proteus = built_in_cards()["proteus-v0.2"]
    assert (proteus.repository, proteus.weight_name) == ("dataautogpt3/ProteusV0.2", "ProteusV0.2.safetensors")
    # Other sources do not inherit it.
    assert not card("proteus-v0.2", folder=Path("/srv/models/mine")).is_one_file
    assert card("proteus-v0.2", file=Path("/srv/models/mine.safetensors")).weight_name is None
