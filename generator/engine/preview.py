"""Previews: what a drawing looks like so far, by a linear map from latents to colours instead of the VAE.

The map is fitted to the model's own VAE, by least squares, on the first picture that it decodes.
"""

import time
from weakref import WeakKeyDictionary

import torch
from PIL import Image
from torch.nn import functional

from generator.engine.loop import Drawing

# Often enough to watch, seldom enough to cost nothing.
PREVIEW_EVERY_S = 1.0


class Previews:
    """The maps of all models, by name, and the time of each drawing's last preview."""

    def __init__(self, *, every_s: float = PREVIEW_EVERY_S) -> None:
        self._every_s = every_s
        self._maps: dict[str, torch.Tensor] = {}
        self._shown: WeakKeyDictionary[Drawing, float] = WeakKeyDictionary()

    def learn(self, drawing: Drawing, decoded: torch.Tensor) -> None:
        """Fit the model's map to final latents and their picture (1, 3, height, width), -1 to 1; once per model."""
        if drawing.model.name not in self._maps:
            height, width = drawing.latents.shape[-2:]
            small = functional.adaptive_avg_pool2d(decoded.float(), (height, width))
            colours = small[0].flatten(1).T.cpu()
            self._maps[drawing.model.name] = torch.linalg.lstsq(_columns(drawing.latents), colours).solution

    def image(self, drawing: Drawing) -> Image.Image | None:
        """Make a preview, a pixel per latent; None before the model's first picture, or too soon after the last one."""
        fitted = self._maps.get(drawing.model.name)
        now = time.monotonic()
        if fitted is None or now - self._shown.get(drawing, -self._every_s) < self._every_s:
            return None
        self._shown[drawing] = now
        latents = drawing.sampling.clean(drawing.latents)
        height, width = latents.shape[-2:]
        colours = (_columns(latents) @ fitted).view(height, width, 3)
        return Image.fromarray((colours * 127.5 + 127.5).clamp(0, 255).byte().numpy())


def _columns(latents: torch.Tensor) -> torch.Tensor:
    """Reshape latents to (pixels, channels + 1); the last column is 1, for the constant part of the map."""
    values = latents[0].float().flatten(1).T.cpu()
    return torch.cat([values, torch.ones(len(values), 1)], dim=1)
