"""A job's pictures on one sheet, which is composed from the files and readable for people and programs."""

import io

import pytest
import yaml
from PIL import Image

from generator.api.limits import MAX_HEADING_CHARS
from generator.api.types import Sheet
from generator.pictures import sheets
from generator.pictures.contact_sheet import CELL_SIDE, contact_sheet
from generator.recipes import recipe_file

COLUMNS, ROWS = ["watercolor", "pop art", "(pointillism)++"], ["steps 2", "steps 3"]


def body(pictures: int = 6, **sheet) -> dict:
    recipes = [{"slots": {"subject": ["otter"]}, "steps": 2 + n // 3, "seed": n} for n in range(pictures)]
    return {"requester": "@ann:home", "recipes": recipes, "sheet": {"columns": COLUMNS, "rows": ROWS, **sheet}}


async def test_the_pictures_of_a_job_come_on_one_sheet_with_all_their_recipes(generator):
    path = "/v1/jobs/job-1"
    assert (await generator.call("PUT", path, json=body())).status == 201
    await generator.end("job-1")
    answer = await generator.call("GET", f"{path}/sheet")
    described = Sheet.model_validate_json(answer.body)
    image, thumbnail, recipes = [
        await generator.call("GET", f"{path}/sheet/{part}") for part in ("image", "thumbnail", "recipes")
    ]
    assert [one.headers["Content-Type"] for one in (image, thumbnail, recipes)] == [
        "image/jpeg",
        "image/jpeg",
        "application/yaml",
    ]
    assert (len(image.body), len(thumbnail.body)) == (described.size, described.thumbnail_size)
    assert Image.open(io.BytesIO(image.body)).size == (described.width, described.height)
    assert Image.open(io.BytesIO(thumbnail.body)).size == (described.thumbnail_width, described.thumbnail_height)
    assert described.filename.endswith("-job-1-sheet.jpg")

    text = recipes.body.decode()
    file = yaml.safe_load(text)
    assert file["sheet"] == {"columns": COLUMNS, "rows": ROWS}
    assert [cell["seed"] for cell in file["cells"]] == list(range(6))
    assert "&" not in text and "*" not in text.replace("**", "")
    for cell in file["cells"]:
        # Each document is a full recipe.
        assert recipe_file.read(yaml.safe_dump(cell)).seed == cell["seed"]

    again = await generator.call("GET", f"{path}/sheet/image")
    assert again.body == image.body


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"rows": []}, 422, "The sheet has 3 places, and there are 6 recipes."),
        ({"columns": []}, 422, "columns needs at least 1."),
        ({"columns": ["a" * (MAX_HEADING_CHARS + 1)] * 3}, 422, f"can have at most {MAX_HEADING_CHARS} characters."),
        ({"columns": ["a"] * 10}, 422, "columns can have at most 9."),
    ],
)
async def test_a_sheet_that_does_not_fit_its_pictures_is_refused(generator, changes, status, sentence):
    answer = await generator.call("PUT", "/v1/jobs/job-1", json=body(**changes))
    assert answer.status == status
    assert sentence in answer.json["error"]["message"]


async def test_only_a_finished_job_that_requested_a_sheet_has_one(slow_generator):
    await slow_generator.submit("plain")
    assert (await slow_generator.call("GET", "/v1/jobs/plain/sheet")).status == 404
    await slow_generator.call("PUT", "/v1/jobs/job-1", json=body())
    for part in ("", "/image", "/thumbnail", "/recipes"):
        answer = await slow_generator.call("GET", f"/v1/jobs/job-1/sheet{part}")
        assert answer.status == 409
        assert "its sheet is there when it is done" in answer.json["error"]["message"]


async def test_a_sheet_whose_pictures_were_deleted_is_gone(generator):
    await generator.call("PUT", "/v1/jobs/job-1", json=body())
    await generator.end("job-1")
    next(generator.pictures.rglob("*.png")).unlink()
    assert (await generator.call("GET", "/v1/jobs/job-1/sheet/image")).status == 404


@pytest.mark.parametrize(
    ("number", "rows", "across"),
    [(1, (), 1), (2, (), 2), (3, (), 2), (4, (), 2), (5, (), 3), (9, (), 3), (6, ("a", "b"), 3)],
)
def test_the_pictures_lie_in_rows_under_their_headings(number, rows, across):
    colours = [(20 * n, 255 - 20 * n, 60) for n in range(number)]
    pictures = [Image.new("RGB", (512, 512), colour) for colour in colours]
    columns = [f"column {n}" for n in range(number if not rows else across)]
    sheet = contact_sheet(pictures, columns=columns, rows=rows)
    assert across * CELL_SIDE < sheet.width < (across + 1) * CELL_SIDE
    blank = contact_sheet(pictures, columns=[""] * len(columns), rows=[""] * len(rows))
    assert sheet.height >= blank.height

    def areas(image: Image.Image) -> dict[tuple[int, ...], int]:
        return {colour: count for count, colour in image.getcolors(image.width * image.height)}

    # Each picture has its number in a corner and its heading above.
    corner = {CELL_SIDE * CELL_SIDE - areas(sheet)[colour] for colour in colours}
    assert len(corner) == 1 and 1000 < corner.pop() < 2000
    assert areas(blank)[(0, 0, 0)] > 15 * number
    assert areas(sheet)[(0, 0, 0)] > areas(blank)[(0, 0, 0)] + 50 * number


@pytest.mark.parametrize("size", [(512, 512), (512, 768), (768, 512), (64, 640)])
@pytest.mark.parametrize("number", range(1, 10))
def test_a_sheet_is_at_least_as_wide_as_high(size, number):
    """Element shows a higher one 183 pixels wide."""
    pictures, headings = [Image.new("RGB", size, "red")] * number, ["a heading"] * number
    for columns, rows in ((headings, []), (headings[:1], headings)):
        sheet = contact_sheet(pictures, columns=columns, rows=rows, notes=["How to have one of them."])
        assert sheet.width >= sheet.height


def test_notes_are_below_the_pictures():
    def noted(*notes: str) -> Image.Image:
        pictures = [Image.new("RGB", (128, 64), "red")] * 3
        return contact_sheet(pictures, columns=["", "", ""], rows=[""], notes=notes)

    plain, one, two = noted(), noted("a"), noted("a", "b")
    assert plain.height < one.height < two.height
    assert one.crop((0, 0, plain.width, plain.height)).tobytes() == plain.tobytes()


def test_the_font_has_the_letters_of_headings():
    def headed(text: str) -> bytes:
        return contact_sheet([Image.new("RGB", (64, 64), "red")], columns=[text], rows=[]).tobytes()

    letters = "aäàáåßéñøçčřłđőğ¿жщλω€—“"
    assert len({headed(letter) for letter in letters}) == len(letters)


def test_a_row_heading_that_is_too_long_is_cut_to_the_room():
    def headed(row: str) -> bytes:
        return contact_sheet([Image.new("RGB", (64, 64), "red")] * 2, columns=["", ""], rows=[row]).tobytes()

    assert headed(f"a {'w' * 200}") == headed(f"a {'w' * 100}") != headed("a")


def test_a_heading_that_is_too_long_is_cut_and_stays_over_its_picture():
    pictures = [Image.new("RGB", (128, 64), "red")] * 2
    short = contact_sheet(pictures, columns=["a", "b"], rows=[""])
    long = contact_sheet(pictures, columns=["word " * 60, "w" * 200], rows=[""])
    assert long.width == short.width
    assert long.height <= short.height + 40


async def test_a_sheet_is_composed_once_for_all_its_parts(generator, monkeypatch):
    composed = []

    def counted(*args, **kwargs):
        composed.append(args)
        return contact_sheet(*args, **kwargs)

    monkeypatch.setattr(sheets, "contact_sheet", counted)
    await generator.call("PUT", "/v1/jobs/job-1", json=body())
    await generator.end("job-1")
    for part in ("", "/image", "/thumbnail", "/image"):
        assert (await generator.call("GET", f"/v1/jobs/job-1/sheet{part}")).status == 200
    assert len(composed) == 1
    next(generator.pictures.rglob("*.png")).unlink()
    assert (await generator.call("GET", "/v1/jobs/job-1/sheet")).status == 404
