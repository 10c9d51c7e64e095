"""The training pictures, drawn once and kept in a folder: drawing costs as much as learning. Knows no captions."""

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
    """Make a name for files that depend on the scenes: when scenes change, older pictures fit no caption."""
    return f"{len(scenes)}-{hashlib.sha256(repr(scenes).encode()).hexdigest()[:12]}"


def training_pictures(folder: Path, scenes: list[Scene], *, side: int = SIDE) -> np.ndarray:
    """Read pictures (n, side, side, 3) bytes from ``folder``, or draw and save them there. Picture n has the seed n."""
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
