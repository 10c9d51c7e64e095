"""The judge: a small classifier, trained on renders, that reads the attributes off a picture. Knows no prompts."""

import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from training.pocket.renders import training_pictures
from training.pocket.scene import ATTRIBUTES, Scene, training_scenes
from training.pocket.schedule import learning_rate_factor
from training.pocket.train import PICTURES, SEED
from training.pocket.train_vae import to_tensor

log = logging.getLogger(__name__)

_STEPS = 2_000
_BATCH = 48
_LEARNING_RATE = 2e-3


class Judge(nn.Module):
    """Four convolutions, and a linear layer for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 24), (24, 48), (48, 96), (96, 128)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.seen = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1))
        self.read = nn.ModuleDict({name: nn.Linear(128 * 16, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map pictures (n, 3, 64, 64), -1 to 1, to logits (n, values) for each attribute."""
        seen = self.seen(pictures)
        return {name: layer(seen) for name, layer in self.read.items()}

    @torch.inference_mode()
    def scenes(self, pictures: np.ndarray) -> list[Scene]:
        """Read the scene off each picture, (n, 64, 64, 3) bytes."""
        logits = self(to_tensor(pictures))
        best = {name: logits[name].argmax(dim=1).tolist() for name in ATTRIBUTES}
        return [
            Scene(**{name: values[best[name][n]] for name, values in ATTRIBUTES.items()}) for n in range(len(pictures))
        ]


def load_or_train(file: Path, folder: Path) -> Judge:
    """Load the judge from ``file``; if there is none, train it on renders in ``folder`` and save it."""
    judge = Judge()
    if not file.exists():
        _train(judge, folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.half().contiguous() for name, tensor in judge.state_dict().items()}, file)
    judge.load_state_dict(load_file(file))
    return judge.eval()


def _train(judge: Judge, folder: Path) -> None:
    torch.manual_seed(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    scenes = training_scenes(PICTURES, seed=SEED)
    pictures = training_pictures(folder, scenes)
    answers = {
        name: torch.tensor([values.index(getattr(scene, name)) for scene in scenes])
        for name, values in ATTRIBUTES.items()
    }
    optimizer = torch.optim.AdamW(judge.parameters(), lr=_LEARNING_RATE, weight_decay=0.05)
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step / _STEPS))
    judge.train()
    for step in range(_STEPS):
        chosen = np.random.default_rng((SEED, step)).integers(len(pictures), size=_BATCH)
        logits = judge(_worn(to_tensor(pictures[chosen])))
        losses = [functional.cross_entropy(logits[name], answers[name][chosen]) for name in ATTRIBUTES]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            log.info("judge %d of %d: loss %.3f", step + 1, _STEPS, loss.item())


def _worn(pictures: torch.Tensor) -> torch.Tensor:
    """Blur and shift pictures, add noise, change their brightness: drawn pictures are never as clean as renders."""
    soft = functional.avg_pool2d(functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(len(pictures), 1, 1, 1)
    contrast, brightness = 1 + 0.2 * torch.randn(len(pictures), 1, 1, 1), 0.1 * torch.randn(len(pictures), 1, 1, 1)
    worn = (pictures + share * (soft - pictures)) * contrast + brightness
    worn = worn + 0.15 * torch.rand(len(pictures), 1, 1, 1) * torch.randn_like(worn)
    shifts = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(worn, shifts, dims=(2, 3)).clamp(-1, 1)
