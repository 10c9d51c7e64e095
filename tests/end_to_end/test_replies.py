"""A reply to a picture, its recipe or a recipe file changes one thing: two people in a plain and an encrypted room."""

import io
import sqlite3

import pytest
from PIL import Image

from bot.easel.room.replies import UNREADABLE, UNSEEN

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL = "--steps 2"


def replying(to: str, **more) -> dict:
    return {"m.relates_to": {**more, "m.in_reply_to": {"event_id": to}}}


async def test_a_reply_changes_what_it_names_and_keeps_the_rest(rooms):
    ada, bo, *_ = rooms[True]
    first = await ada.draw(f"!draw otter, (cowboy hat)++ | style: watercolor --seed 7 --no text {SMALL}")

    second = await bo.draw("!draw outfit: boots", **replying(first.picture.event_id))
    assert second.record["slots"] == {**first.record["slots"], "outfit": ["boots"]}
    kept = ("seed", "steps", "model", "negative_prompt", "theme", "width")
    assert [second.record[key] for key in kept] == [first.record[key] for key in kept]
    assert "Now: outfit +boots" in second.picture.body

    third = await ada.draw("!draw -hat +scarf --steps 3 --seed new", **replying(second.recipe.event_id))
    assert third.record["slots"] == {"subject": ["otter", "scarf"], "outfit": ["boots"], "style": ["watercolor"]}
    assert third.record["steps"] == 3
    assert third.record["seed"] != 7
    assert "Now: scarf (was: (cowboy hat)++) · another roll · steps 3" in third.picture.body

    fourth = await bo.draw("!draw owl", **replying(third.picture.event_id))
    assert fourth.record["slots"] == {"subject": ["owl"], "outfit": ["boots"], "style": ["watercolor"]}

    refusal = await ada.answer("!draw -spaceship", **replying(fourth.picture.event_id))
    assert refusal == "There's no “spaceship” in that recipe. It has “owl”, “boots” and “watercolor”."


async def test_a_reply_to_a_persons_own_recipe_file_draws(rooms):
    ada, bo, *_ = rooms[True]
    text = "slots:\n  subject: [fox]\n  style: [pop art]\nseed: 5\nsteps: 2\n"
    file = await ada.person.send_file(ada.room_id, text.encode(), filename="mine.yaml", mimetype="application/yaml")
    drawn = await bo.draw("!draw environment: beach", **replying(file))
    assert drawn.record["slots"] == {"subject": ["fox"], "environment": ["beach"], "style": ["pop art"]}
    assert drawn.record["seed"] == 5
    too_large = await ada.person.send_file(
        ada.room_id, b"#" * 70_000, filename="mine.yaml", mimetype="application/yaml"
    )
    assert await bo.answer(f"!draw owl {SMALL}", **replying(too_large)) == UNREADABLE


async def test_in_a_thread_only_a_real_reply_changes_a_recipe(rooms):
    ada, bo, *_ = rooms[False]
    first = await ada.draw(f"!draw otter, scarf {SMALL}")
    thread = {"rel_type": "m.thread", "event_id": first.picture.event_id}
    last = replying(first.picture.event_id, **thread, is_falling_back=True)
    plain = await bo.draw(f"!draw owl | style: pop art {SMALL}", **last)
    assert plain.record["slots"] == {"subject": ["owl"], "style": ["pop art"]}
    changed = await bo.draw("!draw -scarf", **replying(first.picture.event_id, **thread, is_falling_back=False))
    assert changed.record["slots"] == {"subject": ["otter"]}
    assert changed.picture.content["m.relates_to"]["rel_type"] == "m.thread"


async def test_the_rooms_own_events_restore_a_lost_recipe_and_other_rooms_events_do_not(home, rooms):
    ada, bo, *_ = rooms[True]
    image = io.BytesIO()
    Image.linear_gradient("L").save(image, "PNG")
    content = {"filename": "a.png", "mimetype": "image/png", "msgtype": "m.image"}
    photo = await ada.person.send_file(ada.room_id, image.getvalue(), **content)
    first = await ada.draw(f"!draw otter, scarf --seed 9 --strength 0.5 {SMALL}", **replying(photo))
    await home.maubot.child.kill()
    (database,) = home.folder.glob("maubot/plugins/easel.db")
    with sqlite3.connect(database) as connection:
        for table in ("recipe", "posted", "image"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()
    await home.maubot.start()
    for event in (first.picture, first.recipe):
        changed = await bo.draw("!draw -scarf", **replying(event.event_id))
        assert (changed.record["slots"], changed.record["seed"]) == ({"subject": ["otter"]}, 9)
        assert changed.record["image"] == first.record["image"]

    elsewhere = rooms[False][1]
    assert await elsewhere.answer(f"!draw owl {SMALL}", **replying(first.picture.event_id)) == UNSEEN
