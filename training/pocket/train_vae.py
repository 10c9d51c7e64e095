"""Train the VAE, the first part of the training: the later parts cannot become better than it is."""

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from diffusers.training_utils import EMAModel

from training.pocket.architecture import make_vae
from training.pocket.canvas import SIDE
from training.pocket.training import Training

log = logging.getLogger(__name__)

# Side of a piece of a picture: the network sees no further, and a step costs a quarter.
_PIECE = 32
# Pieces per step; 256 gave no better pictures.
_BATCH = 16
_LEARNING_RATE = 1.5e-3

# Weak enough that the latents keep what a picture needs; with a larger weight, or a wider start, they collapsed.
_KL_WEIGHT = 3e-5
_FIRST_LOG_VARIANCE = -6.0

_LOG_EVERY = 100


def train_vae(pictures: np.ndarray, folder: Path, *, steps: int, device: torch.device, seed: int) -> AutoencoderKL:
    """Train an AutoencoderKL (Kingma and Welling, arXiv 1312.6114) on the pictures, (n, 64, 64, 3) bytes.

    Resumes from the last checkpoint in ``folder``.
    """
    torch.manual_seed(seed)
    vae = make_vae().to(device)
    with torch.no_grad():
        # Every residual block starts as its shortcut alone, which learns several times faster.
        for block in vae.modules():
            if isinstance(block, ResnetBlock2D):
                block.conv2.weight.zero_()
        vae.quant_conv.bias[vae.config.latent_channels :] = _FIRST_LOG_VARIANCE
    optimizer = torch.optim.AdamW(vae.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    average = EMAModel(vae.parameters(), decay=0.998, use_ema_warmup=True, power=3 / 4, foreach=True)
    training = Training(vae, optimizer, average, folder / "vae.pt", steps=steps)
    training.resume()

    while training.step < steps:
        # 1. Pieces of some pictures, the same ones for the same step.
        rng = np.random.default_rng((seed, training.step))
        chosen = rng.integers(len(pictures), size=_BATCH)
        top, left = 4 * rng.integers((SIDE - _PIECE) // 4 + 1, size=2)
        target = to_tensor(pictures[chosen, top : top + _PIECE, left : left + _PIECE]).to(device)

        # 2. The loss: how far the decoded picture is from the original, and the latents from a normal distribution.
        latents = vae.encode(target).latent_dist
        drawn = vae.decode(latents.sample()).sample
        error = (drawn - target).square().mean() + 0.3 * (drawn - target).abs().mean()
        loss = error + _KL_WEIGHT * latents.kl().mean() / latents.mean[0].numel()

        # 3. A step against the loss.
        training.learn(loss)
        if training.step % _LOG_EVERY == 0:
            psnr = _psnr(drawn, target)
            log.info("vae %d of %d: error %.5f, PSNR %.1f dB", training.step, steps, error.item(), psnr)

    training.finish()
    return vae


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """Convert bytes (n, height, width, 3) to floats (n, 3, height, width), -1 to 1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _psnr(drawn: torch.Tensor, target: torch.Tensor) -> float:
    """Compute the peak signal-to-noise ratio in decibels; the values span 2."""
    return float(10 * torch.log10(4 / (drawn.detach() - target).square().mean()))
