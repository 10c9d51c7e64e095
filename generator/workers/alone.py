"""Draw one picture without a server: call the engine step by step in this process, with a progress bar."""

from pathlib import Path

from tqdm import tqdm

from generator.api.types import EarlierFacts, Recipe
from generator.engine.diffusion import DiffusionEngine, make_engine
from generator.errors import DrawingFailed
from generator.pictures.image_files import read_file
from generator.pictures.store import PictureStore
from generator.settings import Settings
from generator.workers.child import or_failed
from generator.workers.messages import Draw, Drawn, Failed


def draw_alone(
    settings: Settings,
    recipe: Recipe,
    earlier: EarlierFacts | None,
    *,
    image: Path | None = None,
    folder: Path,
    job: str,
) -> tuple[Path, tuple[str, ...]]:
    """Draw one recipe and save its picture. Returns the path and the notes. Raises DrawingFailed and Refused."""
    draw = Draw(job, recipe, earlier, image)
    drawn = or_failed(lambda: _draw(make_engine(settings.model_copy(update={"max_at_once": 1})), draw))
    if isinstance(drawn, Failed):
        raise DrawingFailed(drawn.error.code, drawn.error.message)
    store = PictureStore(folder)
    return store.path(store.save(drawn, recipe, job, 0, image=read_file(image) if image else None)), drawn.notes


def _draw(engine: DiffusionEngine, draw: Draw) -> Drawn:
    drawing = engine.start(draw)
    with tqdm(total=drawing.steps, unit="step") as bar:
        while drawing.step < drawing.steps:
            engine.step([drawing])
            bar.update()
    return engine.finish(drawing)
