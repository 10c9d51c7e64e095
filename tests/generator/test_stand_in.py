"""The stand-in has SSD-1B's block pattern in diffusers' layout, so that tests with it also hold for SSD-1B."""

import json

from safetensors.torch import load_file

from tests.helpers.stand_in_weights import save_stand_in


def test_it_is_laid_out_as_a_pipeline_with_safetensors_only(stand_in_folder):
    index = json.loads((stand_in_folder / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionXLPipeline"
    assert {file.name for file in stand_in_folder.glob("*/*.safetensors")} == {
        "model.safetensors",
        "diffusion_pytorch_model.safetensors",
    }
    assert not list(stand_in_folder.rglob("*.bin"))


def test_its_unet_has_ssd_1bs_block_pattern(stand_in_folder):
    config = json.loads((stand_in_folder / "unet/config.json").read_text())
    assert config["mid_block_type"] == "UNetMidBlock2D"
    # Lists in lists, with different counts up and down.
    assert config["transformer_layers_per_block"] == [0, [1, 1], [1, 1]]
    assert config["reverse_transformer_layers_per_block"] == [[1, 1, 2], [2, 1, 1], 1]
    weights = load_file(stand_in_folder / "unet/diffusion_pytorch_model.safetensors")
    transformer_blocks = {name.split(".attn1.")[0] for name in weights if ".attn1." in name}
    assert len(transformer_blocks) == 12
    assert not any(name.startswith("mid_block.attentions") for name in weights)


def test_it_is_the_same_everywhere(stand_in_folder, tmp_path):
    save_stand_in(tmp_path)
    first, second = (
        load_file(folder / "unet/diffusion_pytorch_model.safetensors") for folder in (stand_in_folder, tmp_path)
    )
    assert all((first[name] == second[name]).all() for name in first)
