"""Train the UNet and the two text encoders together, on the latents of the pictures: the training's second part."""

import logging
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from training.pocket.architecture import LATENT_SIDE, make_scheduler, make_text_encoders, make_tokenizers, make_unet
from training.pocket.canvas import SIDE
from training.pocket.captions import Fragments, caption
from training.pocket.scene import Scene
from training.pocket.training import Training

log = logging.getLogger(__name__)

LEARNING_RATE = 1e-3
# The highest learning rate for weights that are trained already.
GOING_ON_LEARNING_RATE = 3e-4

# One step in this many learns from the larger pictures.
_LARGER_EVERY = 4

# The share of captions left out, for classifier-free guidance: half as an empty text, half as an absent one (zeros).
_DROPPED = 0.1

# The times of make_scheduler's schedule, and how many of them, nearest to the picture, the larger pictures are learned
# at: a larger picture is never drawn from noise alone.
_TIMES = 1000
_LARGER_TIMES = 500

_LOG_EVERY = 100

# A card learns faster than one core makes captions.
_WORKERS = {"cpu": 0, "cuda": 8}


@dataclass(frozen=True)
class Networks:
    """The networks that are trained here, and their tokenizers."""

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
    """Load the networks of a finished training, in fp32."""
    networks = make_networks(seed=0)
    load_weights(networks.unet, weights / "unet/diffusion_pytorch_model.safetensors")
    load_weights(networks.text_encoder, weights / "text_encoder/model.safetensors")
    load_weights(networks.text_encoder_2, weights / "text_encoder_2/model.safetensors")
    return networks


def load_weights(network: nn.Module, file: Path) -> None:
    """Load weights into a network that was made here, so that only numbers come from the file."""
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})


def train_unet(
    networks: Networks,
    latents: Sequence[torch.Tensor],
    scenes: list[Scene],
    folder: Path,
    *,
    steps: int,
    batch: int,
    learning_rate: float = LEARNING_RATE,
    device: torch.device,
    seed: int,
) -> None:
    """Train networks to denoise ``latents`` of unit variance, guided by the scenes' captions.

    ``latents`` are (n, channels, side, side) of the first n scenes, in the usual and in a larger size. Resumes from the
    last checkpoint in ``folder``, which may be of a training with fewer ``steps``.
    """
    torch.manual_seed(seed)
    trained = networks.trained().to(device).train()
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    average = EMAModel(trained.parameters(), decay=0.998, use_ema_warmup=True, power=3 / 4, foreach=True)
    training = Training(trained, optimizer, average, folder / "unet.pt", steps=steps)
    training.resume()
    scheduler = make_scheduler()
    latents = [part.to(device) for part in latents]
    lots = _Lots(scenes, networks, [part.shape for part in latents], batch=batch, seed=seed)
    seen_loss = torch.zeros((), device=device)

    for lot in DataLoader(
        lots,
        batch_size=None,
        sampler=range(training.step, steps),
        num_workers=_WORKERS[device.type],
        pin_memory=device.type == "cuda",
    ):
        # 1. A batch of scenes, each at some level of noise, and their captions.
        clean = latents[lot["size"]][lot["chosen"].to(device)]
        noise, times = lot["noise"].to(device), lot["times"].to(device)
        noisy = scheduler.add_noise(clean, noise, times)
        conditioning = encode(lot["words"].to(device), networks)

        # 2. The loss: how far the UNet's velocity is from the true one.
        predicted = _velocity(networks.unet, noisy, times, conditioning)
        loss = (predicted - scheduler.get_velocity(clean, noise, times)).square().mean()

        # 3. A step against the loss.
        training.learn(loss)
        seen_loss += loss.detach() / _LOG_EVERY
        if training.step % _LOG_EVERY == 0:
            log.info("unet %d of %d: loss %.4f", training.step, steps, seen_loss.item())
            seen_loss.zero_()

    training.finish()


@dataclass(frozen=True)
class Words:
    """Captions as both encoders read them: token ids (n, 77) and weights (n, 77), and 1 or 0 for present or absent (n).

    ``weakened`` has the indices of the rows with a weight other than 1.
    """

    ids: tuple[torch.Tensor, torch.Tensor]
    weights: torch.Tensor
    present: torch.Tensor
    weakened: torch.Tensor

    def pin_memory(self) -> "Words":
        return self._each(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> "Words":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Words":
        one, other = self.ids
        return Words((change(one), change(other)), change(self.weights), change(self.present), change(self.weakened))


class _Lots(Dataset[dict[str, Any]]):
    """The random choices of each step, the same for the same step: scenes, their captions, noise and times.

    ``shapes`` has the shape of the usual latents and of the larger ones, whose batches are smaller and cost the same.
    """

    def __init__(
        self, scenes: list[Scene], networks: Networks, shapes: list[torch.Size], *, batch: int, seed: int
    ) -> None:
        self._scenes = scenes
        self._tokenizers = (networks.tokenizer, networks.tokenizer_2)
        self._shapes = shapes
        self._batch = batch
        self._seed = seed

    def __getitem__(self, step: int) -> dict[str, Any]:
        rng = random.Random(f"{self._seed} {step}")
        noise_source = torch.Generator().manual_seed(rng.getrandbits(60))
        size, times = (1, _LARGER_TIMES) if step % _LARGER_EVERY == 0 else (0, _TIMES)
        count, *shape = self._shapes[size]
        batch = max(1, self._batch * self._shapes[0][1:].numel() // math.prod(shape))
        chosen = rng.choices(range(count), k=batch)
        return {
            "size": size,
            "chosen": torch.tensor(chosen),
            "words": tokenized([_caption_or_none(self._scenes[n], rng) for n in chosen], *self._tokenizers),
            "noise": torch.randn((batch, *shape), generator=noise_source),
            "times": torch.randint(times, (batch,), generator=noise_source),
        }


def tokenized(captions: list[Fragments | None], *tokenizers: CLIPTokenizer) -> Words:
    """Tokenize captions for both encoders; None is an absent prompt."""
    present = torch.tensor([fragments is not None for fragments in captions]).float()
    weights = torch.ones(len(captions), tokenizers[0].model_max_length)
    tokens = [_tokens(fragments or [], tokenizers[0], row) for fragments, row in zip(captions, weights, strict=True)]
    one, other = (_padded(tokens, tokenizer) for tokenizer in tokenizers)
    return Words((one, other), weights, present, (weights != 1).any(dim=1).nonzero().flatten())


@dataclass(frozen=True)
class Conditioning:
    """Embeddings (n, 77, 2 x width) and pooled embeddings (n, width)."""

    embeds: torch.Tensor
    pooled: torch.Tensor


def encode(words: Words, networks: Networks) -> Conditioning:
    """Encode a batch of captions as compel and the engine do; an absent prompt becomes zeros.

    compel scales what a weighted word adds to the empty text. It also encodes the text with words of a weight below 1
    masked, and mixes both results.
    """
    halves = []
    for tokenizer, encoder, ids in (
        (networks.tokenizer, networks.text_encoder, words.ids[0]),
        (networks.tokenizer_2, networks.text_encoder_2, words.ids[1]),
    ):
        output = encoder(torch.cat([_padded([[]], tokenizer).to(ids.device), ids]), output_hidden_states=True)
        empty, half = output.hidden_states[-2].split([1, len(ids)])
        half = empty + (half - empty) * words.weights[..., None]
        if len(words.weakened):
            weight = words.weights[words.weakened]
            again = encoder(ids[words.weakened], (weight == 1).long(), output_hidden_states=True)
            hidden = empty + (again.hidden_states[-2] - empty) * weight[..., None]
            share = torch.tan((1 - weight.amin(dim=1)) * math.pi / 2)[:, None, None]
            half = half.index_copy(0, words.weakened, (half[words.weakened] + share * hidden) / (1 + share))
        halves.append(half)
    present = words.present[:, None]
    return Conditioning(torch.cat(halves, dim=-1) * present[..., None], output.text_embeds[1:] * present)


def _velocity(
    unet: UNet2DConditionModel, noisy: torch.Tensor, times: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    side = noisy.shape[-1] * SIDE // LATENT_SIDE
    size = torch.tensor([[side, side, 0, 0, side, side]], dtype=torch.float32, device=noisy.device)
    added = {"text_embeds": conditioning.pooled, "time_ids": size.expand(len(noisy), -1)}
    predicted: torch.Tensor = unet(
        noisy, times, encoder_hidden_states=conditioning.embeds, added_cond_kwargs=added, return_dict=False
    )[0]
    return predicted


def _caption_or_none(scene: Scene, rng: random.Random) -> Fragments | None:
    chance = rng.random()
    if chance < _DROPPED / 2:
        return None
    return [("", 1.0)] if chance < _DROPPED else caption(scene, rng)


def _tokens(fragments: Fragments, tokenizer: CLIPTokenizer, weights: torch.Tensor) -> list[int]:
    """Tokenize fragments into one list, and write their weights into ``weights``, after the start token."""
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
