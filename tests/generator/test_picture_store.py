"""Pictures on disk are written whole or not at all, found by their job, and deleted after their time."""

import errno
import hashlib
import os
import stat
import threading
import time
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from generator.errors import DrawingFailed, Refused
from generator.pictures import png
from generator.pictures import store as store_module
from generator.pictures.store import Gone, PictureStore, write_whole
from generator.pictures.uploads import Uploads
from tests.helpers.bad_engines import drawn
from tests.helpers.running_generator import recipe_of

DAY_S = 24 * 3600
PNG = png.encode(Image.new("RGB", (8, 8)), {})


@pytest.fixture
def store(tmp_path) -> PictureStore:
    return PictureStore(tmp_path / "pictures")


def save(store: PictureStore, job: str = "job-1", n: int = 0, subject: str = "otter", theme: str = "otter"):
    recipe = recipe_of(subject=(subject,)).model_copy(update={"theme": theme})
    image = Image.merge("RGB", [Image.linear_gradient("L").resize((recipe.width, recipe.height))] * 3)
    return recipe, store.save(drawn(image), recipe, job, n)


def files(store: PictureStore) -> set[str]:
    return {path.name for path in store.folder.rglob("*") if path.is_file()}


def age(store: PictureStore, name: str, days: float) -> None:
    for path in store.folder.rglob(f"{name}*"):
        os.utime(path, (time.time() - days * DAY_S,) * 2)


@pytest.mark.parametrize("theme", ["../../etc", "/etc/passwd", "..", "a/b/../../..", "\0", "con", "ö" * 64, "🦦"])
def test_no_theme_escapes_the_folder(store, theme):
    _, picture = save(store, theme=theme)
    assert store.png(picture).startswith(b"\x89PNG")
    for path in store.folder.parent.rglob("*.*"):
        assert store.folder in path.parents
        assert path.parent.parent == store.folder


def test_a_job_finds_its_pictures_and_no_others(store):
    recipe, picture = save(store, "1")
    save(store, "a-1")
    save(store, "1-0")
    assert store.restore("1", (recipe,)) == (picture,)
    assert store.restore("-1", (recipe,)) == ()
    store.forget("1")
    assert store.restore("1", (recipe,)) == ()
    assert len(files(store)) == 4


def test_pictures_are_restored_up_to_the_first_missing_one(store):
    recipe, first = save(store, n=0)
    save(store, n=2)
    assert store.restore("job-1", (recipe,) * 3) == (first,)


def test_a_picture_of_another_recipe_is_not_restored(store):
    recipe, _ = save(store)
    assert store.restore("job-1", (recipe.model_copy(update={"seed": 8}),)) == ()


@pytest.mark.parametrize("suffix", [".png", ".yml"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00rubbish", "a damaged chunk", None])
def test_unreadable_files_are_not_restored(store, suffix, content):
    recipe, picture = save(store)
    path = next(store.folder.rglob(f"*{suffix}"))
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_bytes(path.read_bytes()[:37] + b"\xff" * 40)
    else:
        path.write_bytes(content)
    assert store.restore("job-1", (recipe,)) == ()
    if suffix == ".png":
        with pytest.raises(Gone):
            store.thumbnail(picture)


def test_an_empty_store_finds_nothing(store):
    recipe, picture = save(store)
    store.forget("job-1")
    store.forget("job-1")
    assert files(store) == set()
    for read in (store.png, store.recipe, store.thumbnail):
        with pytest.raises(Gone):
            read(picture)
    assert store.restore("job-1", (recipe,)) == ()


def test_forgetting_deletes_a_recipe_without_a_picture(store):
    save(store)
    next(store.folder.rglob("*.png")).unlink()
    store.forget("job-1")
    assert files(store) == set()


def test_a_folder_emptied_while_a_picture_arrives_still_exists(tmp_path):
    class Meeting(PictureStore):
        def _theme_folder(self, theme):
            folder = super()._theme_folder(theme)
            self.forgetting = threading.Thread(target=self.forget, args=("old",))
            self.forgetting.start()
            self.forgetting.join(0.2)  # long enough for a thread that does not wait
            return folder

    store = Meeting(tmp_path / "pictures")
    save(store, "old")
    recipe, picture = save(store, "new")
    store.forgetting.join()
    assert store.restore("new", (recipe,)) == (picture,)
    assert len(files(store)) == 2


def test_an_enlarged_picture_has_its_own_size_and_its_recipe_the_drawn_size(store):
    recipe = recipe_of(subject=("otter",))
    image = Image.merge("RGB", [Image.linear_gradient("L").resize((recipe.width, recipe.height))] * 3)
    picture = store.save(replace(drawn(image), enlarge=10), recipe, "job-1", 0)

    assert (picture.width, picture.height) == (640, 960)
    assert (picture.thumbnail_width, picture.thumbnail_height) == (533, 800)
    assert (picture.recipe.width, picture.recipe.height) == (64, 96)
    with Image.open(BytesIO(store.png(picture))) as png:
        assert png.size == (640, 960)
        assert png.text["parameters"].endswith(
            "Size: 64x96, Model: stand-in, Theme: otter, Postprocess upscale by: 10, Postprocess upscaler: Lanczos"
        )
    assert b"\nwidth: 64\nheight: 96\n" in store.recipe(picture)
    assert store.restore("job-1", (recipe,)) == (picture,)


def test_old_pictures_are_deleted_with_their_recipes_and_empty_folders(store):
    _, old = save(store, "old", theme="yesterday")
    _, new = save(store, "new")
    mine = store.folder / "yesterday" / "notes.txt"
    age(store, old.filename[:-4], days=8)
    store.delete_older_than(7)
    assert files(store) == {new.filename, new.filename.replace(".png", ".yml")}
    assert not mine.parent.exists()


def test_files_of_others_stay(store, tmp_path):
    _, old = save(store, theme="yesterday")
    (store.folder / "yesterday" / "notes.txt").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / old.filename).write_text("mine")
    (store.folder / "link").symlink_to(elsewhere)
    age(store, "", days=8)
    store.delete_older_than(7)
    store.forget("job-1")
    assert files(store) == {"notes.txt"}
    assert (elsewhere / old.filename).exists()


@pytest.mark.parametrize("name", ["20260101-000000-otter-7-job-0.png", ".unfinished-x"])
def test_what_cannot_be_deleted_stops_nothing_else(store, name):
    """A folder in a picture's place, as root can delete any file."""
    save(store, "1", theme="a")
    save(store, "2", theme="z")
    for theme in ("a", "z"):
        (store.folder / theme / name).mkdir()
        (store.folder / theme / ".unfinished-y").touch()
    age(store, "", days=10)
    store.delete_unfinished()
    store.delete_older_than(7)
    assert files(store) == set()


def test_an_old_folder_among_uploads_stops_nothing_else(store):
    uploads = Uploads(store.folder / ".images")
    for name in ("a" * 64, "z" * 64):
        (store.folder / ".images" / "m").mkdir(parents=True, exist_ok=True)
        (store.folder / ".images" / name).touch()
    age(store, "", days=10)
    uploads.delete_old(but=())
    assert files(store) == set()


def test_pictures_that_cannot_be_deleted_are_a_sentence(store):
    _, picture = save(store)
    path = store.path(picture)
    path.unlink()
    path.mkdir()
    with pytest.raises(Refused, match=r"^The pictures could not be deleted: Is a directory\.$"):
        store.forget("job-1")


def test_only_this_user_can_list_the_folders(store):
    """Their names have words of prompts."""
    save(store)
    Uploads(store.folder / ".images").keep(hashlib.sha256(PNG).hexdigest(), PNG)
    folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
    assert {path.name for path in folders} == {"pictures", "otter", ".images"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_unfinished_files_are_deleted_too(store):
    save(store)
    left = store.folder / "otter" / ".unfinished-x"
    left.write_text("half")
    age(store, ".unfinished", days=2)
    store.delete_older_than(1)
    store.delete_unfinished()
    assert not left.exists()
    assert len(files(store)) == 2


def test_a_failed_write_leaves_no_file(tmp_path):
    in_the_way = tmp_path / "picture.png"
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(in_the_way, b"data")
    assert list(tmp_path.iterdir()) == [in_the_way]


def test_a_picture_that_finds_no_room_on_disk_leaves_nothing_there(store, monkeypatch):
    def full(path, data) -> None:
        if path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, data)

    monkeypatch.setattr(store_module, "write_whole", full)
    with pytest.raises(DrawingFailed, match="No space left on device"):
        save(store)
    assert files(store) == set()
