"""Second part of the training: the UNet and the two text encoders, together, on the latents of the pictures."""

import logging
import math
import random
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from generator.pocket.architecture import make_scheduler, make_text_encoders, make_tokenizers, make_unet
from generator.pocket.canvas import SIDE
from generator.pocket.captions import Fragments, caption
from generator.pocket.scene import Scene
from generator.pocket.training import Training

log = logging.getLogger(__name__)

_BATCH = 32
LEARNING_RATE = 1e-3
# For weights that are good already.
GOING_ON_LEARNING_RATE = 5e-4

# Scenes without headgear, and without an outfit, are met so many times as often as their number. The rarer a thing is,
# the more a negative prompt that names it takes away; docs/pocket.md has the figures.
_BARE_WEIGHT = {"headgear": 5, "outfit": 7}

# Captions left out, for classifier-free guidance: half as an empty text, half as the zeros of an absent one.
_DROPPED = 0.1

_LOG_EVERY = 100


@dataclass(frozen=True)
class Networks:
    """What is trained here, and the tokenizers that go with it."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer
    tokenizer_2: CLIPTokenizer

    def trained(self) -> nn.ModuleList:
        return nn.ModuleList([self.unet, self.text_encoder, self.text_encoder_2])


def make_networks(*, seed: int) -> Networks:
    torch.manual_seed(seed)
    tokenizer, tokenizer_2 = make_tokenizers()
    return Networks(make_unet(), *make_text_encoders(tokenizer, tokenizer_2), tokenizer, tokenizer_2)


def load_networks(weights: Path) -> Networks:
    """Those of a finished training, in fp32."""
    networks = make_networks(seed=0)
    load_weights(networks.unet, weights / "unet/diffusion_pytorch_model.safetensors")
    load_weights(networks.text_encoder, weights / "text_encoder/model.safetensors")
    load_weights(networks.text_encoder_2, weights / "text_encoder_2/model.safetensors")
    return networks


def load_weights(network: nn.Module, file: Path) -> None:
    """Fill a network that was made here, so that nothing but its numbers comes from the file."""
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})


def train_unet(
    networks: Networks,
    latents: torch.Tensor,
    scenes: list[Scene],
    folder: Path,
    *,
    steps: int,
    learning_rate: float = LEARNING_RATE,
    device: torch.device,
    seed: int,
) -> None:
    """Have networks denoise ``latents`` (n, channels, height, width), of unit variance, as the scenes' captions say.

    Goes on from the last checkpoint in ``folder``, also with more ``steps`` than it was made for.
    """
    torch.manual_seed(seed)
    trained = networks.trained().to(device).train()
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    average = EMAModel(trained.parameters(), decay=0.995, use_ema_warmup=True, power=3 / 4, foreach=True)
    training = Training(trained, optimizer, average, folder / "unet.pt", steps=steps)
    training.resume()
    scheduler = make_scheduler()
    weights = list(accumulate(_weight(scene) for scene in scenes))
    seen_loss = 0.0

    while training.step < steps:
        # 1. Scenes of a batch and words for them, the same ones for the same step.
        rng = random.Random(f"{seed} {training.step}")
        noise_source = torch.Generator().manual_seed(rng.getrandbits(60))
        chosen = rng.choices(range(len(scenes)), cum_weights=weights, k=_BATCH)
        conditioning = encode([_caption_or_none(scenes[n], rng) for n in chosen], networks, device)

        # 2. Their latents, each somewhere on its way to noise.
        clean = latents[chosen].to(device)
        noise = torch.randn(clean.shape, generator=noise_source).to(device)
        times = torch.randint(scheduler.config.num_train_timesteps, (_BATCH,), generator=noise_source).to(device)
        noisy = scheduler.add_noise(clean, noise, times)

        # 3. How far the UNet's velocity is from the true one.
        loss = (
            (_velocity(networks.unet, noisy, times, conditioning) - scheduler.get_velocity(clean, noise, times))
            .square()
            .mean()
        )

        # 4. A step against it.
        training.learn(loss)
        seen_loss += loss.item() / _LOG_EVERY
        if training.step % _LOG_EVERY == 0:
            log.info("unet %d of %d: loss %.4f", training.step, steps, seen_loss)
            seen_loss = 0.0

    training.finish()


@dataclass(frozen=True)
class Conditioning:
    """Embeddings (n, 77, 2 x width) and pooled embeddings (n, width)."""

    embeds: torch.Tensor
    pooled: torch.Tensor


def encode(captions: list[Fragments | None], networks: Networks, device: torch.device) -> Conditioning:
    """As compel and the engine encode them, a batch at once; None is an absent prompt, zeros.

    compel scales what a weighted word adds to the empty text. Words with a weight below 1 it also hides from the other
    words in a second reading, and mixes both.
    """
    present = torch.tensor([fragments is not None for fragments in captions], device=device).float()
    weights = torch.ones(len(captions), networks.tokenizer.model_max_length, device=device)
    tokens = [
        _tokens(fragments or [], networks.tokenizer, row) for fragments, row in zip(captions, weights, strict=True)
    ]
    weakened = (weights != 1).any(dim=1).nonzero().flatten()

    halves = []
    for tokenizer, encoder in (
        (networks.tokenizer, networks.text_encoder),
        (networks.tokenizer_2, networks.text_encoder_2),
    ):
        ids = _padded([[], *tokens], tokenizer).to(device)
        output = encoder(ids, output_hidden_states=True)
        empty, half = output.hidden_states[-2].split([1, len(tokens)])
        half = empty + (half - empty) * weights[..., None]
        if len(weakened):
            weight = weights[weakened]
            hidden = encoder(ids[1:][weakened], (weight == 1).long(), output_hidden_states=True).hidden_states[-2]
            hidden = empty + (hidden - empty) * weight[..., None]
            share = torch.tan((1 - weight.amin(dim=1)) * math.pi / 2)[:, None, None]
            mixed = (half[weakened] + share * hidden) / (1 + share)
            half = half.index_copy(0, weakened, mixed)
        halves.append(half)
    pooled = output.text_embeds[1:]
    return Conditioning(torch.cat(halves, dim=-1) * present[:, None, None], pooled * present[:, None])


def _velocity(
    unet: UNet2DConditionModel, noisy: torch.Tensor, times: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    size = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]], dtype=torch.float32, device=noisy.device)
    added = {"text_embeds": conditioning.pooled, "time_ids": size.expand(len(noisy), -1)}
    predicted: torch.Tensor = unet(
        noisy, times, encoder_hidden_states=conditioning.embeds, added_cond_kwargs=added, return_dict=False
    )[0]
    return predicted


def _weight(scene: Scene) -> int:
    return prod(weight for kind, weight in _BARE_WEIGHT.items() if getattr(scene, kind) == "none")


def _caption_or_none(scene: Scene, rng: random.Random) -> Fragments | None:
    chance = rng.random()
    if chance < _DROPPED / 2:
        return None
    return [("", 1.0)] if chance < _DROPPED else caption(scene, rng)


def _tokens(fragments: Fragments, tokenizer: CLIPTokenizer, weights: torch.Tensor) -> list[int]:
    """The tokens of the fragments one after another; their weights go into ``weights``, after the start token."""
    tokens: list[int] = []
    for text, weight in fragments:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        weights[1 + len(tokens) : 1 + len(tokens) + len(ids)] = weight
        tokens += ids
    assert len(tokens) <= tokenizer.model_max_length - 2, "captions are shorter than this"
    return tokens


def _padded(rows: list[list[int]], tokenizer: CLIPTokenizer) -> torch.Tensor:
    length = tokenizer.model_max_length
    framed = [[tokenizer.bos_token_id, *row, tokenizer.eos_token_id] for row in rows]
    return torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in framed])
