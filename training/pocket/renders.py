"""The training pictures: so many scenes drawn once and kept in a folder, since drawing costs as much as learning."""

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from training.pocket.canvas import SIDE
from training.pocket.render import render
from training.pocket.scene import Scene


def name_of(scenes: list[Scene]) -> str:
    """For files made of the scenes: after a change to what is drawn, the pictures of before fit no caption."""
    return f"{len(scenes)}-{hashlib.sha256(repr(scenes).encode()).hexdigest()[:12]}"


def training_pictures(folder: Path, scenes: list[Scene], *, side: int = SIDE) -> np.ndarray:
    """(n, side, side, 3) bytes, read from ``folder`` or drawn on all cores and kept there. Picture n has the seed n."""
    file = folder / f"renders-{side}-{name_of(scenes)}.npy"
    if not file.exists():
        pictures = np.empty((len(scenes), side, side, 3), dtype=np.uint8)
        drawn = partial(_rendered, side=side)
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for n, picture in enumerate(pool.map(drawn, scenes, range(len(scenes)), chunksize=256)):
                pictures[n] = picture
        unfinished = file.with_suffix(".part.npy")
        np.save(unfinished, pictures)
        unfinished.rename(file)
    loaded: np.ndarray = np.load(file, mmap_mode="r")
    return loaded


def _rendered(scene: Scene, seed: int, *, side: int) -> np.ndarray:
    return np.asarray(render(scene, seed, side=side))
