"""Train the shipped weights from nothing: ``python -m training.pocket.train --device cpu``.

Draws the pictures, trains the VAE, then the UNet with its text encoders, and writes a pipeline in diffusers' layout.
Started again it resumes from its last checkpoint; more ``--unet-steps`` extend a finished training. ``--start`` goes on
from finished weights whose checkpoints are gone: it keeps their VAE, and trains UNet and text encoders further.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline

from training.pocket import checkpoint
from training.pocket.architecture import make_scheduler, make_vae
from training.pocket.canvas import LARGER_SIDE
from training.pocket.captions import known_words
from training.pocket.renders import name_of, training_pictures
from training.pocket.scene import training_scenes
from training.pocket.train_unet import (
    GOING_ON_LEARNING_RATE,
    LEARNING_RATE,
    Networks,
    load_networks,
    load_weights,
    make_networks,
    train_unet,
)
from training.pocket.train_vae import to_tensor, train_vae

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parents[2] / "generator/pocket/weights"

# docs/pocket.md has the results on a large card, and how the shipped weights were made.
PICTURES = 96_000
# The share of the pictures that are drawn once more with LARGER_SIDE, for a part of the steps.
LARGER_SHARE = 0.25
VAE_STEPS = 10_000
UNET_STEPS = 3_200
BATCH = 256
SEED = 1

_ENCODED_AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pocket.train", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, default=Path("pocket-training"), help="for pictures and checkpoints")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the weights go")
    parser.add_argument("--start", type=Path, help="weights to go on from, in place of nothing")
    parser.add_argument("--vae-steps", type=int, default=VAE_STEPS)
    parser.add_argument("--unet-steps", type=int, default=UNET_STEPS)
    parser.add_argument("--batch", type=int, default=BATCH, help="latents in a step of the UNet")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(
        device=torch.device(given.device),
        folder=given.folder,
        out=given.out,
        start=given.start,
        vae_steps=given.vae_steps,
        unet_steps=given.unet_steps,
        batch=given.batch,
        pictures=given.pictures,
        seed=given.seed,
    )


def train(
    *,
    device: torch.device,
    folder: Path,
    out: Path,
    start: Path | None = None,
    vae_steps: int,
    unet_steps: int,
    batch: int,
    pictures: int,
    seed: int,
) -> None:
    began = time.perf_counter()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    folder.mkdir(parents=True, exist_ok=True)

    # 1. The pictures.
    scenes = training_scenes(pictures, seed=seed)
    renders = training_pictures(folder, scenes)
    log.info("%d pictures after %.0f s", len(renders), time.perf_counter() - began)

    # 2. The VAE, and the pictures as its latents, scaled to unit variance like SDXL's.
    vae = load_vae(start).to(device) if start else train_vae(renders, folder, steps=vae_steps, device=device, seed=seed)
    latents = _latents(vae, renders, folder, f"{vae_steps}-{name_of(scenes)}-{seed}", device)
    if not start:
        vae.register_to_config(scaling_factor=round(1 / latents.std().item(), 5))
    log.info("latents after %.0f s, scaled by %s", time.perf_counter() - began, vae.config.scaling_factor)

    # 3. The first scenes once more, as larger pictures.
    larger_scenes = scenes[: max(1, int(pictures * LARGER_SHARE))]
    larger_renders = training_pictures(folder, larger_scenes, side=LARGER_SIDE)
    larger_latents = _latents(vae, larger_renders, folder, f"{vae_steps}-{name_of(larger_scenes)}-{seed}", device)
    log.info("%d larger pictures after %.0f s", len(larger_renders), time.perf_counter() - began)

    # 4. The UNet and the text encoders.
    networks = load_networks(start) if start else make_networks(seed=seed)
    learning_rate = GOING_ON_LEARNING_RATE if start else LEARNING_RATE
    train_unet(
        networks,
        [latents.mul_(vae.config.scaling_factor), larger_latents.mul_(vae.config.scaling_factor)],
        scenes,
        folder,
        steps=unet_steps,
        batch=batch,
        learning_rate=learning_rate,
        device=device,
        seed=seed,
    )

    # 5. The pipeline, as it is shipped.
    save(networks, vae, out)
    log.info("%s after %.0f s", out, time.perf_counter() - began)


def load_vae(weights: Path) -> AutoencoderKL:
    """Load the VAE of a finished training, in fp32, with its scaling factor."""
    vae = make_vae()
    load_weights(vae, weights / "vae/diffusion_pytorch_model.safetensors")
    config = json.loads((weights / "vae/config.json").read_text(encoding="utf-8"))
    vae.register_to_config(scaling_factor=config["scaling_factor"])
    return vae


def save(networks: Networks, vae: AutoencoderKL, out: Path) -> None:
    """Write a pipeline in diffusers' layout, in fp16, and ``words.txt`` with the words of the captions."""
    pipeline = StableDiffusionXLPipeline(
        unet=networks.unet,
        vae=vae,
        text_encoder=networks.text_encoder,
        text_encoder_2=networks.text_encoder_2,
        tokenizer=networks.tokenizer,
        tokenizer_2=networks.tokenizer_2,
        scheduler=make_scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.to("cpu", torch.float16).save_pretrained(out, safe_serialization=True)
    (out / "words.txt").write_text("\n".join(known_words()) + "\n", encoding="utf-8")


@torch.no_grad()
def _latents(vae: AutoencoderKL, pictures: np.ndarray, folder: Path, name: str, device: torch.device) -> torch.Tensor:
    """Read latents (n, channels, side / 4, side / 4) floats from ``folder``, or encode and save them there."""
    file = folder / f"latents-{pictures.shape[1]}-{name}.pt"
    if not file.exists():
        batches = np.array_split(pictures, max(1, len(pictures) // _ENCODED_AT_ONCE))
        modes = [vae.encode(to_tensor(batch).to(device)).latent_dist.mode().cpu() for batch in batches]
        checkpoint.save({"latents": torch.cat(modes)}, file)
    state = checkpoint.load(file)
    assert state is not None
    latents: torch.Tensor = state["latents"]
    return latents


if __name__ == "__main__":
    main()
