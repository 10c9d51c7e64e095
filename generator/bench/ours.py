"""Easel's engine as the worker calls it, up to the bytes of the PNG. Knows neither the service nor stock diffusers."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from generator.api.types import Recipe
from generator.bench.timing import measured
from generator.engine.diffusion import make_engine
from generator.engine.loop import Drawing
from generator.pictures import encoding, png
from generator.settings import Settings
from generator.workers.messages import Draw


class Ours:
    """The engine with its default model, in this process."""

    def __init__(self, settings: Settings) -> None:
        self.engine = make_engine(settings)
        self._name = settings.default_model
        # Among a household's many pictures the first ones do not matter, so the trace comes early.
        self.engine.models.get(self._name).model.graphs.calls_before_a_trace = 2

    @property
    def device(self) -> torch.device:
        device: torch.device = self.engine.models.get(self._name).model.unet.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        return self.engine.models.get(self._name).model.dtype

    def picture(self, recipe: Recipe, *, previews: bool = False) -> bytes:
        drawing = self.start(recipe)
        while drawing.step < drawing.steps:
            self.engine.step([drawing])
            if previews and (image := self.engine.preview(drawing)) is not None:
                encoding.preview(image)
        return self._finish(drawing)

    def pictures(self, recipes: list[Recipe]) -> None:
        """Draw all together, as many in a call as the engine found fastest; encode PNGs in threads, as the service."""
        drawings = [self.start(recipe) for recipe in recipes]
        while drawings[0].step < drawings[0].steps:
            self.engine.step(drawings)
        with ThreadPoolExecutor() as beside:
            written = [beside.submit(png.encode, self.engine.finish(drawing).image, {}) for drawing in drawings]
        for one in written:
            one.result()

    def latents(self, recipe: Recipe, *, steps: int) -> torch.Tensor:
        """Return the latents after the first ``steps``."""
        drawing = self.start(recipe)
        for _ in range(steps):
            self.engine.step([drawing])
        return drawing.latents

    def pixels(self, recipe: Recipe) -> torch.Tensor:
        """Draw one picture: (height, width, 3) floats, 0 to 255."""
        drawing = self.start(recipe)
        while drawing.step < drawing.steps:
            self.engine.step([drawing])
        return torch.from_numpy(np.asarray(self.engine.finish(drawing).image).astype(np.float32))

    def parts(self, recipe: Recipe) -> dict[str, list[float]]:
        """Draw one picture; return the seconds of every part of it, by kind of work."""
        seconds: defaultdict[str, list[float]] = defaultdict(list)
        drawings: list[Drawing] = []
        seconds["text and noise"].append(measured(lambda: drawings.append(self.start(recipe))))
        (drawing,) = drawings
        while drawing.step < drawing.steps:
            kind = f"{'whole' if drawing.is_whole else 'cached'} step, {drawing.rows} row{'s' * (drawing.rows - 1)}"
            seconds[kind].append(measured(lambda: self.engine.step([drawing])))
        seconds["decoding and PNG"].append(measured(lambda: self._finish(drawing)))
        return dict(seconds)

    def start(self, recipe: Recipe) -> Drawing:
        return self.engine.start(Draw("bench", recipe))

    def _finish(self, drawing: Drawing) -> bytes:
        return png.encode(self.engine.finish(drawing).image, {})
