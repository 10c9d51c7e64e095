"""One picture without a server: the engine, called step by step in this process, with a progress bar."""

from pathlib import Path

from tqdm import tqdm

from generator.api import EarlierFacts, Recipe
from generator.engine import DiffusionEngine
from generator.gallery import Gallery
from generator.lane import Draw
from generator.settings import Settings


def draw_alone(
    settings: Settings, recipe: Recipe, earlier: EarlierFacts | None, *, folder: Path, job: str
) -> tuple[Path, tuple[str, ...]]:
    """Where the picture was written, its recipe beside it, and what is to be told of it. Raises DrawingFailed."""
    engine = DiffusionEngine(settings)
    drawing = engine.start(Draw(recipe, earlier))
    with tqdm(total=drawing.steps, unit="step") as bar:
        while drawing.step < drawing.steps:
            engine.step(drawing)
            bar.update()
    drawn = engine.finish(drawing)
    gallery = Gallery(folder)
    return gallery.path(gallery.save(drawn, recipe, job, 0)), drawn.notes
