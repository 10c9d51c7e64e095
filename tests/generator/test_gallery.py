"""Pictures on disk: whole or not at all, found by their job, gone after their time."""

import os
import threading
import time
from dataclasses import replace
from io import BytesIO

import pytest
from bad_engines import drawn
from PIL import Image
from running_generator import recipe_of

from generator.service.gallery import Gallery, Gone, write_whole

DAY_S = 24 * 3600


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    return Gallery(tmp_path / "pictures")


def save(gallery: Gallery, job: str = "job-1", n: int = 0, subject: str = "otter", theme: str = "otter"):
    recipe = recipe_of(subject=(subject,)).model_copy(update={"theme": theme})
    image = Image.merge("RGB", [Image.linear_gradient("L").resize((recipe.width, recipe.height))] * 3)
    return recipe, gallery.save(drawn(image), recipe, job, n)


def files(gallery: Gallery) -> set[str]:
    return {path.name for path in gallery.folder.rglob("*") if path.is_file()}


def age(gallery: Gallery, name: str, days: float) -> None:
    for path in gallery.folder.rglob(f"{name}*"):
        os.utime(path, (time.time() - days * DAY_S,) * 2)


@pytest.mark.parametrize("theme", ["../../etc", "/etc/passwd", "..", "a/b/../../..", "\0", "con", "ö" * 64, "🦦"])
def test_no_theme_leads_out_of_the_folder(gallery, theme):
    _, picture = save(gallery, theme=theme)
    assert gallery.png(picture).startswith(b"\x89PNG")
    for path in gallery.folder.parent.rglob("*.*"):
        assert gallery.folder in path.parents
        assert path.parent.parent == gallery.folder


def test_a_job_finds_its_pictures_and_no_others(gallery):
    recipe, picture = save(gallery, "1")
    save(gallery, "a-1")
    save(gallery, "1-0")
    assert gallery.restore("1", (recipe,)) == (picture,)
    assert gallery.restore("-1", (recipe,)) == ()
    gallery.forget("1")
    assert gallery.restore("1", (recipe,)) == ()
    assert len(files(gallery)) == 4


def test_pictures_are_restored_up_to_the_first_that_is_missing(gallery):
    recipe, first = save(gallery, n=0)
    save(gallery, n=2)
    assert gallery.restore("job-1", (recipe,) * 3) == (first,)


def test_a_picture_of_another_recipe_is_not_restored(gallery):
    recipe, _ = save(gallery)
    assert gallery.restore("job-1", (recipe.model_copy(update={"seed": 8}),)) == ()


@pytest.mark.parametrize("suffix", [".png", ".yml"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00rubbish", "a damaged chunk", None])
def test_what_cannot_be_read_is_not_restored(gallery, suffix, content):
    recipe, picture = save(gallery)
    path = next(gallery.folder.rglob(f"*{suffix}"))
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_bytes(path.read_bytes()[:37] + b"\xff" * 40)
    else:
        path.write_bytes(content)
    assert gallery.restore("job-1", (recipe,)) == ()
    if suffix == ".png":
        with pytest.raises(Gone):
            gallery.thumbnail(picture)


def test_an_empty_gallery_has_nothing(gallery):
    recipe, picture = save(gallery)
    gallery.forget("job-1")
    gallery.forget("job-1")
    assert files(gallery) == set()
    for read in (gallery.png, gallery.recipe, gallery.thumbnail):
        with pytest.raises(Gone):
            read(picture)
    assert gallery.restore("job-1", (recipe,)) == ()


def test_a_recipe_whose_picture_was_not_written_is_forgotten_too(gallery):
    save(gallery)
    next(gallery.folder.rglob("*.png")).unlink()
    gallery.forget("job-1")
    assert files(gallery) == set()


def test_a_folder_that_is_emptied_when_a_picture_comes_is_there_for_it(tmp_path):
    class Meeting(Gallery):
        def _theme_folder(self, theme):
            folder = super()._theme_folder(theme)
            self.forgetting = threading.Thread(target=self.forget, args=("old",))
            self.forgetting.start()
            self.forgetting.join(0.2)  # as long as a thread needs that nothing holds
            return folder

    gallery = Meeting(tmp_path / "pictures")
    save(gallery, "old")
    recipe, picture = save(gallery, "new")
    gallery.forgetting.join()
    assert gallery.restore("new", (recipe,)) == (picture,)
    assert len(files(gallery)) == 2


def test_an_enlarged_picture_is_told_and_kept_in_its_own_size_and_its_recipe_in_the_drawn_one(gallery):
    recipe = recipe_of(subject=("otter",))
    image = Image.merge("RGB", [Image.linear_gradient("L").resize((recipe.width, recipe.height))] * 3)
    picture = gallery.save(replace(drawn(image), enlarge=10), recipe, "job-1", 0)

    assert (picture.width, picture.height) == (640, 960)
    assert (picture.thumbnail_width, picture.thumbnail_height) == (533, 800)
    assert (picture.recipe.width, picture.recipe.height) == (64, 96)
    with Image.open(BytesIO(gallery.png(picture))) as png:
        assert png.size == (640, 960)
        assert png.text["parameters"].endswith(
            "Size: 64x96, Model: stand-in, Postprocess upscale by: 10, Postprocess upscaler: Lanczos"
        )
    assert b"\nwidth: 64\nheight: 96\n" in gallery.recipe(picture)
    assert gallery.restore("job-1", (recipe,)) == (picture,)


def test_old_pictures_go_with_their_recipes_and_empty_folders(gallery):
    _, old = save(gallery, "old", theme="yesterday")
    _, new = save(gallery, "new")
    mine = gallery.folder / "yesterday" / "notes.txt"
    age(gallery, old.filename[:-4], days=8)
    gallery.delete_older_than(7)
    assert files(gallery) == {new.filename, new.filename.replace(".png", ".yml")}
    assert not mine.parent.exists()


def test_what_is_not_ours_stays(gallery, tmp_path):
    _, old = save(gallery, theme="yesterday")
    (gallery.folder / "yesterday" / "notes.txt").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / old.filename).write_text("mine")
    (gallery.folder / "link").symlink_to(elsewhere)
    age(gallery, "", days=8)
    gallery.delete_older_than(7)
    gallery.forget("job-1")
    assert files(gallery) == {"notes.txt"}
    assert (elsewhere / old.filename).exists()


def test_what_was_never_finished_goes_too(gallery):
    save(gallery)
    left = gallery.folder / "otter" / ".unfinished-x"
    left.write_text("half")
    age(gallery, ".unfinished", days=2)
    gallery.delete_older_than(1)
    gallery.delete_unfinished()
    assert not left.exists()
    assert len(files(gallery)) == 2


def test_a_failed_write_leaves_nothing(tmp_path):
    in_the_way = tmp_path / "picture.png"
    in_the_way.mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(in_the_way, b"data")
    assert list(tmp_path.iterdir()) == [in_the_way]
