"""Many pictures in one event, and reactions that draw: two people in a plain and an encrypted room."""

import io

import pytest
import yaml
from PIL import Image

from bot.easel.commands.starter_styles import STARTER_STYLES

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def talks(request, rooms):
    return rooms[request.param][:2]


async def test_lists_come_on_one_labelled_sheet_whose_pictures_can_be_picked(talks):
    ada, bo = talks
    command = await ada.say("!draw otter | style: {watercolor | pop art} --steps 2,3 --seed 7")
    file, sheet = await ada.reply(command, "recipes"), await ada.reply(command, "sheet")
    assert (await ada.reply(command, "reaction")).content["m.relates_to"]["key"] == "🎨 ×4"
    assert not ada.replies(command, "picture", "recipe")
    assert sheet.body.splitlines()[0] == "4 pictures: watercolor, pop art × steps 2, steps 3"
    assert (sheet.was_encrypted, file.was_encrypted) == (ada.is_encrypted,) * 2

    image = Image.open(io.BytesIO(await ada.person.fetch(sheet.content)))
    info = sheet.content["info"]
    assert image.size == (info["w"], info["h"])
    assert info["size"] == len(await ada.person.fetch(sheet.content))
    recipes = yaml.safe_load(await ada.person.fetch(file.content))
    assert recipes["sheet"] == {"columns": ["steps 2", "steps 3"], "rows": ["watercolor", "pop art"]}
    cells = recipes["cells"]
    assert [(cell["slots"]["style"], cell["steps"]) for cell in cells] == [
        (["watercolor"], 2),
        (["watercolor"], 3),
        (["pop art"], 2),
        (["pop art"], 3),
    ]
    assert {cell["seed"] for cell in cells} == {7}

    refusal = await bo.answer("!draw +hat", **{"m.relates_to": {"m.in_reply_to": {"event_id": sheet.event_id}}})
    assert refusal.startswith("That's a sheet of several pictures.")

    await bo.person.react(bo.room_id, sheet.event_id, "4️⃣")
    picked = await bo.drawn(sheet.event_id)
    assert {key: picked.record[key] for key in ("slots", "steps", "seed")} == {
        key: cells[3][key] for key in ("slots", "steps", "seed")
    }

    await ada.person.react(ada.room_id, picked.picture.event_id, "🎲")
    again = await ada.drawn(picked.picture.event_id)
    assert again.record["slots"] == picked.record["slots"]
    assert again.record["seed"] != 7
    assert "Now: another roll" in again.picture.body

    await bo.person.react(bo.room_id, picked.picture.event_id, "📋")
    command = await bo.reply(picked.picture.event_id, "answer")
    assert command.body == "!draw otter | style: pop art --seed 7 --steps 3"
    assert (await bo.draw(command.body)).pixels == picked.pixels


async def test_several_pictures_of_one_prompt_vary_the_seed(rooms):
    ada, bo, *_ = rooms[True]
    command = await bo.say("!draw otter -n 3 --seed 7 --steps 2")
    file = await bo.reply(command, "recipes")
    recipes = yaml.safe_load(await bo.person.fetch(file.content))
    assert [cell["seed"] for cell in recipes["cells"]] == [7, 8, 9]
    sheet = await bo.reply(command, "sheet")

    # 🎲 draws the sheet again with new seeds.
    await ada.person.react(ada.room_id, sheet.event_id, "🎲")
    again = yaml.safe_load(await ada.person.fetch((await ada.reply(sheet.event_id, "recipes")).content))
    first, *others = [cell["seed"] for cell in again["cells"]]
    assert others == [first + 1, first + 2]
    assert first != 7
    assert [cell["slots"] for cell in again["cells"]] == [cell["slots"] for cell in recipes["cells"]]
    await ada.reply(sheet.event_id, "sheet")

    await bo.person.react(bo.room_id, sheet.event_id, "🗑️")
    await ada.gone(sheet.event_id)
    await ada.gone(file.event_id)


async def test_models_and_seeds_are_compared_on_a_sheet(rooms):
    ada, bo, *_ = rooms[True]
    # Each model has its own limits.
    command = await bo.say("!draw otter --model pocket,ssd-1b --seed 3,4 --steps 2 --size 128x128")
    sheet, file = await bo.reply(command, "sheet"), await bo.reply(command, "recipes")
    assert sheet.body.splitlines()[0] == "4 pictures: pocket, ssd-1b × seed 3, seed 4"
    assert "pocket draws 64×64 only, not 128×128." in sheet.body
    recipes = yaml.safe_load(await bo.person.fetch(file.content))
    assert recipes["sheet"] == {"columns": ["seed 3", "seed 4"], "rows": ["pocket", "ssd-1b"]}
    assert [(cell["model"], cell["seed"]) for cell in recipes["cells"]] == [
        ("pocket", 3),
        ("pocket", 4),
        ("ssd-1b", 3),
        ("ssd-1b", 4),
    ]
    assert await ada.answer("!draw otter --seed 1,2 -n 2") == ("Use a list of seeds or -n, not both.")


async def test_a_rooms_own_styles_are_for_everybody_in_it_and_for_no_other_room(rooms):
    ada, bo, cleo, _ = rooms[True]
    made = await ada.answer("!easel style add cosy = (watercolor)+, soft light")
    assert made == "@cosy now means: (watercolor)+, soft light"
    assert "@cosy: (watercolor)+, soft light (by ada)" in await bo.answer("!easel style")
    drawn = await bo.draw("!draw otter | style: @cosy --steps 2")
    assert drawn.record["slots"]["style"] == ["(watercolor)+", "soft light"]
    elsewhere = rooms[False][1]
    assert (await elsewhere.answer("!draw otter | style: @cosy")).startswith("There's no style “@cosy”")
    assert (await cleo.answer("!easel style remove cosy")).startswith("@cosy is somebody else's.")
    assert await ada.answer("!easel style remove cosy") == "@cosy is gone."


async def test_the_seed_chooses_from_a_word_list_of_the_settings(rooms, change_settings):
    ada, bo, *_ = rooms[False]
    await change_settings(wildcards={"animal": ["otter", "owl", "fox"]})
    drawn = await ada.draw("!draw __animal__, scarf --seed 3 --steps 2")
    again = await bo.draw("!draw __animal__, scarf --seed 3 --steps 2")
    assert drawn.record["slots"]["subject"][0] in ("otter", "owl", "fox")
    assert drawn.record["slots"] == again.record["slots"]
    assert await ada.answer("!draw __animals__") == ("There's no word list “__animals__”. Did you mean __animal__?")


async def test_one_subject_in_all_styles_comes_on_two_sheets(rooms):
    ada, *_ = rooms[False]
    command = await ada.say("!easel style sheet otter --steps 1")
    await ada.replies_in_all(command, "sheet", number=2)
    files = await ada.replies_in_all(command, "recipes", number=2)
    recipes = [yaml.safe_load(await ada.person.fetch(file.content)) for file in files]
    columns = [column for sheet in recipes for column in sheet["sheet"]["columns"]]
    assert sorted(columns) == sorted(f"@{name}" for name in STARTER_STYLES)
    assert len({cell["seed"] for sheet in recipes for cell in sheet["cells"]}) == 1


async def test_a_sheet_too_large_is_refused_before_anything_is_drawn(rooms):
    ada, *_ = rooms[False]
    answer = await ada.answer("!draw {otter | owl | fox} --steps 1,2,3,4")
    assert answer == "3 × 4 makes 12 pictures. One !draw draws up to 9."
