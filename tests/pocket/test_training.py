"""The training, at a size that takes seconds, from an empty folder to weights that load like any other model's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compel import Compel, ReturnedEmbeddingsType
from diffusers import StableDiffusionXLPipeline
from diffusers.training_utils import EMAModel
from torch import nn

from training.pocket import checkpoint, training
from training.pocket.architecture import LATENT_CHANNELS, make_tokenizers
from training.pocket.canvas import SIDE
from training.pocket.captions import known_words
from training.pocket.scene import training_scenes
from training.pocket.schedule import learning_rate_factor
from training.pocket.train import train
from training.pocket.train_unet import encode, make_networks, tokenized, train_unet
from training.pocket.train_vae import train_vae
from training.pocket.training import Training

CPU = torch.device("cpu")


def test_from_an_empty_folder_to_a_pipeline(tmp_path: Path):
    out = tmp_path / "weights"
    train(device=CPU, folder=tmp_path / "t", out=out, vae_steps=2, unet_steps=1, batch=16, pictures=128, seed=3)
    pipeline = StableDiffusionXLPipeline.from_pretrained(out, add_watermarker=False, local_files_only=True)
    assert pipeline.unet.config.reverse_transformer_layers_per_block
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert sum(file.stat().st_size for file in out.rglob("*")) < 16 * 1024**2
    assert "otter" in (out / "words.txt").read_text().split()


def test_training_continues_from_finished_weights_with_their_own_vae(tmp_path: Path):
    options: dict[str, Any] = {"device": CPU, "vae_steps": 1, "batch": 16, "pictures": 128, "seed": 3}
    train(folder=tmp_path / "t", out=tmp_path / "first", unet_steps=1, **options)
    train(folder=tmp_path / "u", out=tmp_path / "second", unet_steps=1, start=tmp_path / "first", **options)
    first, second = (
        StableDiffusionXLPipeline.from_pretrained(tmp_path / name, add_watermarker=False, local_files_only=True)
        for name in ("first", "second")
    )
    assert all(torch.equal(a, b) for a, b in zip(first.vae.parameters(), second.vae.parameters(), strict=True))
    moved = [(a - b).abs().max() for a, b in zip(first.unet.parameters(), second.unet.parameters(), strict=True)]
    # One step of Adam moves a number by at most the learning rate.
    assert 0 < max(moved) < 2e-3
    for file in (
        "unet/config.json",
        "vae/config.json",
        "tokenizer/tokenizer.json",
        "tokenizer_2/tokenizer_config.json",
    ):
        assert (tmp_path / "first" / file).read_text() == (tmp_path / "second" / file).read_text()


def three_vae_steps(folder: Path) -> nn.Module:
    pictures = np.random.default_rng(1).integers(256, size=(8, SIDE, SIDE, 3), dtype=np.uint8)
    return train_vae(pictures, folder, steps=3, device=CPU, seed=1)


def three_unet_steps(folder: Path) -> nn.Module:
    scenes = training_scenes(8, seed=1)
    noise = torch.Generator().manual_seed(1)
    latents = [torch.randn(count, LATENT_CHANNELS, side, side, generator=noise) for count, side in ((8, 16), (3, 24))]
    networks = make_networks(seed=1)
    train_unet(networks, latents, scenes, folder, steps=3, batch=16, device=CPU, seed=1)
    return networks.trained()


@pytest.mark.parametrize("train_three_steps", [three_vae_steps, three_unet_steps])
def test_a_stopped_training_continues_to_the_same_weights(tmp_path: Path, monkeypatch, train_three_steps):
    monkeypatch.setattr(training, "SAVE_EVERY", 1)
    save = checkpoint.save

    def save_and_stop(state: dict[str, Any], file: Path) -> None:
        save(state, file)
        if state["step"] == 2:
            raise KeyboardInterrupt

    def trained(folder: Path) -> dict[str, torch.Tensor]:
        folder.mkdir(exist_ok=True)
        return train_three_steps(folder).state_dict()

    whole = trained(tmp_path / "whole")
    with monkeypatch.context() as stopped:
        stopped.setattr(checkpoint, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "parts")
    parts = trained(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.filterwarnings("ignore:.*a meta parameter.*no-op")
def test_a_training_resumes_on_the_device_of_its_networks(tmp_path: Path):
    """A checkpoint loads on the CPU. "meta" stands in for a card: tensors of either device do not mix with it."""

    def training(device: str) -> tuple[Training, EMAModel]:
        network = nn.Linear(2, 2, device=device)
        average = EMAModel(network.parameters())
        return Training(network, torch.optim.AdamW(network.parameters()), average, tmp_path / "t.pt", steps=2), average

    training("cpu")[0].save()
    goes_on, average = training("meta")
    goes_on.resume()
    assert {parameter.device.type for parameter in average.shadow_params} == {"meta"}


@pytest.mark.parametrize(("done", "factor"), [(0.01, 0.505), (0.1, 1), (0.69, 1), (0.85, 0.5), (1, 0)])
def test_the_learning_rate_rises_stays_and_falls(done, factor):
    assert learning_rate_factor(done) == pytest.approx(factor, abs=0.01)


def test_any_text_encodes_and_known_words_are_one_token():
    tokenizer, tokenizer_2 = make_tokenizers()
    assert tokenizer.get_vocab() == tokenizer_2.get_vocab() == make_tokenizers()[0].get_vocab()
    for word in known_words():
        if word.isalpha():
            assert len(tokenizer.tokenize(word)) == 1, word
    odd = "größe 🦦 кот \x07 spaceship"
    assert tokenizer.unk_token_id not in tokenizer(odd, add_special_tokens=False)["input_ids"]


def test_training_encodes_captions_as_compel_does():
    networks = make_networks(seed=1)
    captions = [[("otter, ", 1.0), ("cowboy hat", 0.656), (", beach", 1.0)], [("an owl", 1.0)], None]
    ours = encode(tokenized(captions, networks.tokenizer, networks.tokenizer_2), networks)
    kind = ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
    compels = [
        Compel(tokenizer, encoder, truncate_long_prompts=False, returned_embeddings_type=kind).conditioning_provider
        for tokenizer, encoder in (
            (networks.tokenizer, networks.text_encoder),
            (networks.tokenizer_2, networks.text_encoder_2),
        )
    ]
    for row, fragments in enumerate(captions[:2]):
        texts, weights = [text for text, _ in fragments], [weight for _, weight in fragments]
        theirs = [provider.get_embeddings_for_weighted_prompt_fragments([texts], [weights]) for provider in compels]
        torch.testing.assert_close(ours.embeds[row], torch.cat(theirs, dim=-1)[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(ours.pooled[row], compels[1].get_pooled_embeddings(["".join(texts)])[0])
    assert not ours.embeds[2].any()
    assert not ours.pooled[2].any()
