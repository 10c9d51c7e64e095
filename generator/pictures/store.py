"""The pictures on disk: ``<theme>/<date>-<time>-<slug>-<seed>-<job>-<n>.png``, each with its recipe beside it.

The files are the only truth; nothing about them is kept in memory. Everything here blocks: call it in a thread. Knows
neither jobs' states nor HTTP.
"""

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from PIL import Image

from generator.api.types import Facts, Picture, Recipe
from generator.errors import DrawingFailed, Refused
from generator.pictures import encoding, png
from generator.pictures.file_names import PictureName, job_and_n, words_name
from generator.pictures.image_files import UNREADABLE
from generator.pictures.parameters import a1111_parameters
from generator.recipes import prompt, recipe_file
from generator.workers.messages import Drawn

log = logging.getLogger(__name__)

_UNFINISHED = ".unfinished-"

# The suffix, beside a picture, of the image that it was drawn from, byte for byte as uploaded.
_DRAWN_FROM = ".image"


def _words(recipe: Recipe) -> str:
    """Return the words of a recipe's prompt, as somebody reads them in a file's name."""
    try:
        return prompt.words(recipe.prompt)
    except prompt.PromptError:
        return recipe.prompt


class Gone(Refused):
    """The picture is not on disk any more."""


class PictureStore:
    """One folder of pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A theme's folder is removed with its last file, but never between its creation and its first file.
        self._folders = threading.Lock()

    def save(self, drawn: Drawn, recipe: Recipe, job: str, n: int, *, image: bytes | None = None) -> Picture:
        """Write the picture, its recipe and the ``image`` it was drawn from, each file whole or not at all.

        Raises DrawingFailed.
        """
        encoding.check(drawn.image, recipe)
        enlarged = encoding.enlarged(drawn.image, drawn.enlarge)
        when = datetime.now().astimezone().replace(microsecond=0)
        facts = Facts(
            job=job,
            drawn=when.isoformat(),
            seconds=round(drawn.seconds, 2),
            model_revision=drawn.model_revision,
            plan=drawn.plan,
            notes=drawn.notes,
        )
        text = recipe_file.write(recipe, facts)
        parameters = a1111_parameters(recipe, enlarged=drawn.enlarge)
        data = png.encode(enlarged, {"parameters": parameters, "easel": text})
        name = PictureName(when, _words(recipe), recipe.seed, job, n)
        try:
            with self._folders:
                path = self._theme_folder(recipe.theme) / f"{name}.png"
                try:
                    # The picture comes last: once it is visible, its recipe is, too.
                    write_whole(path.with_suffix(".yml"), text.encode())
                    if image is not None:
                        write_whole(beside(path), image)
                    write_whole(path, data)
                except OSError:
                    with contextlib.suppress(OSError):
                        _delete(path)
                    raise
        except OSError as error:
            raise DrawingFailed(
                "not_written", f"The picture could not be written to disk: {error.strerror}."
            ) from error
        return _picture(enlarged, n, path, len(data), recipe, facts)

    def restore(self, job: str, recipes: tuple[Recipe, ...]) -> tuple[Picture, ...]:
        """Find the job's first pictures on disk, up to the first that is missing or was drawn from another recipe."""
        files = list(self._files_of(job))
        pictures: list[Picture] = []
        for n, recipe in enumerate(recipes):
            found = (_restored(path, job, n, recipe) for path, number in files if number == n)
            picture = next((picture for picture in found if picture is not None), None)
            if picture is None:
                break
            pictures.append(picture)
        return tuple(pictures)

    def png(self, picture: Picture) -> bytes:
        """Read the picture's PNG. Raises Gone."""
        return self._read(picture, ".png")

    def recipe(self, picture: Picture) -> bytes:
        """Read the picture's recipe as YAML. Raises Gone."""
        return self._read(picture, ".yml")

    def thumbnail(self, picture: Picture) -> bytes:
        """Make the picture's thumbnail, anew each time. Raises Gone."""
        try:
            with Image.open(self.path(picture)) as image:
                return encoding.thumbnail(image)[0]
        except UNREADABLE as error:
            raise gone(picture) from error

    def forget(self, job: str) -> None:
        """Delete all files of a job. Raises Refused."""
        try:
            with self._folders:
                for path, _ in self._files_of(job):
                    _delete(path)
        except OSError as error:
            message = f"The pictures could not be deleted: {error.strerror}."
            raise Refused("not_deleted", message, field="id", value=job) from error

    def delete_older_than(self, days: int) -> None:
        """Delete the pictures that were drawn more than ``days`` ago."""
        self._delete_older_than(days, lambda path: job_and_n(path.stem) is not None)

    def delete_unfinished(self) -> None:
        """Delete the unfinished files of killed processes, once they are a day old."""
        self._delete_older_than(1, lambda path: path.name.startswith(_UNFINISHED))

    def _delete_older_than(self, days: int, is_meant: Callable[[Path], bool]) -> None:
        with self._folders:
            for theme in self._themes():
                delete_older_than(days, filter(is_meant, theme.iterdir()))
                _remove_if_empty(theme)

    def path(self, picture: Picture) -> Path:
        """Return the picture's path, even if it is gone."""
        return self.folder / words_name(picture.recipe.theme) / picture.filename

    def _read(self, picture: Picture, suffix: str) -> bytes:
        try:
            return self.path(picture).with_suffix(suffix).read_bytes()
        except OSError as error:
            raise gone(picture) from error

    def _theme_folder(self, theme: str) -> Path:
        folder = self.folder / words_name(theme)
        make_private(folder)
        if folder.is_symlink():
            raise DrawingFailed(
                "not_written", "The folder of this theme is a link, and Easel does not write through links."
            )
        return folder

    def _themes(self) -> Iterator[Path]:
        if self.folder.is_dir():
            folders = (path for path in self.folder.iterdir() if path.is_dir() and not path.is_symlink())
            # A hidden folder is not a theme's.
            yield from (path for path in folders if not path.name.startswith("."))

    def _files_of(self, job: str) -> Iterator[tuple[Path, int]]:
        """Yield path and n of the job's pictures. Looks for recipes, which are written first and deleted last."""
        for theme in self._themes():
            for path in theme.glob(f"*-{job}-*.yml"):
                if (whose := job_and_n(path.stem)) and whose[0] == job and not path.is_symlink():
                    yield path.with_suffix(".png"), whose[1]


def _picture(image: Image.Image, n: int, path: Path, size: int, recipe: Recipe, facts: Facts) -> Picture:
    return Picture(
        n=n,
        filename=path.name,
        mimetype="image/png",
        size=size,
        **encoding.described(image, encoding.thumbnail(image)),
        prompt=recipe.prompt,
        recipe=recipe,
        facts=facts,
    )


def _restored(path: Path, job: str, n: int, recipe: Recipe) -> Picture | None:
    """Read a picture back from its files; None if it was drawn from another recipe or cannot be read."""
    try:
        text = path.with_suffix(".yml").read_text(encoding="utf-8")
        facts = recipe_file.read_facts(text)
        if recipe_file.write(recipe, facts) != text:
            return None
        with Image.open(path) as image:
            return _picture(image.convert("RGB"), n, path, path.stat().st_size, recipe, facts)
    except (*UNREADABLE, Refused) as error:
        # Most of these errors name the file, which has words of the prompt in its name.
        log.warning("job %s: picture %d is drawn again, since its files cannot be read", job, n)
        log.debug("%s: %s", path, error)
        return None


def beside(path: Path) -> Path:
    """Return the path of the image that the picture or recipe at ``path`` was drawn from."""
    return path.with_suffix(_DRAWN_FROM)


def make_private(folder: Path) -> None:
    """Make a missing folder, and those above it, for this user only: their names have words of prompts."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def delete_older_than(days: int, paths: Iterable[Path]) -> None:
    """Delete each of the files that is older and can be deleted. A folder stays."""
    oldest = time.time() - days * 24 * 3600
    for path in paths:
        try:
            if path.lstat().st_mtime < oldest:
                path.unlink()
        except OSError as error:
            # The names of files and folders contain words of the prompt.
            log.warning("an old file could not be deleted: %s", error.strerror)
            log.debug("%s", error)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, even through a power cut."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    beside(path).unlink(missing_ok=True)
    path.with_suffix(".yml").unlink(missing_ok=True)
    _remove_if_empty(path.parent)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def gone(picture: Picture) -> Gone:
    """Make the error for a picture that cannot be read."""
    return Gone("gone", "This picture is not kept any more.", field="n", value=picture.n)
