"""A job's pictures on a contact sheet, composed once for its description, its image and its thumbnail.

Everything here blocks: call it in a thread.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from generator.api.types import Picture, Sheet, SheetRequest
from generator.pictures import encoding
from generator.pictures.contact_sheet import contact_sheet
from generator.pictures.image_files import UNREADABLE
from generator.pictures.store import PictureStore, gone
from generator.recipes import recipe_file


@dataclass(frozen=True)
class ComposedSheet:
    """A sheet's image and thumbnail as JPEGs, and their description for the client."""

    sheet: Sheet
    image: bytes
    thumbnail: bytes


class Sheets:
    """Composes sheets, and caches the last one: a client fetches its parts one after the other."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._last: tuple[SheetRequest, Sequence[Picture], ComposedSheet] | None = None

    def compose(self, asked: SheetRequest, pictures: Sequence[Picture]) -> ComposedSheet:
        """Compose the sheet, or return the cached one. Raises Gone if a picture is not on disk any more."""
        paths = [self._store.path(picture) for picture in pictures]
        with self._lock:
            if self._last and self._last[:2] == (asked, pictures) and all(path.exists() for path in paths):
                return self._last[2]
            try:
                images = [Image.open(path).convert("RGB") for path in paths]
            except UNREADABLE as error:
                raise gone(pictures[0]) from error
            notes = (_facts(pictures), *asked.notes)
            sheet = contact_sheet(images, columns=asked.columns, rows=asked.rows, notes=notes)
            composed = _composed(sheet, pictures[0])
            self._last = asked, pictures, composed
            return composed


def sheet_recipes(asked: SheetRequest, pictures: Sequence[Picture]) -> bytes:
    """Format the recipes of all pictures as one YAML file."""
    return recipe_file.write_sheet(asked, [(picture.recipe, picture.facts) for picture in pictures]).encode()


def _facts(pictures: Sequence[Picture]) -> str:
    """What all pictures share, since some clients show no caption: the seed and the model, or how many there are."""
    seeds = dict.fromkeys(f"seed {picture.recipe.seed}" for picture in pictures)
    models = dict.fromkeys(picture.recipe.model for picture in pictures)
    return " · ".join((f"{len(pictures)} pictures", *(seeds if len(seeds) == 1 else ()), *models))


def _composed(image: Image.Image, first: Picture) -> ComposedSheet:
    data, thumbnail = encoding.sheet(image), encoding.thumbnail(image)
    sheet = Sheet(
        filename=f"{first.filename.rpartition('-')[0]}-sheet.jpg",
        mimetype=encoding.SHEET_MIMETYPE,
        size=len(data),
        **encoding.described(image, thumbnail),
    )
    return ComposedSheet(sheet, data, thumbnail[0])
