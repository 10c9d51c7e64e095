"""Cases of `cases.yml`: replies, photos, sizes and edits as people type them, and recipes that both sides read."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.easel.generator.types import Capabilities, read
from bot.easel.jobs.fitting import fitted
from bot.easel.language import DrawRequest, ParseError, parse_all, parse_draw, parse_recipe
from generator.models.cards import built_in_cards, model_card
from generator.recipes import recipe_file
from tests.helpers.fake_generator import capabilities

CASES = yaml.safe_load((Path(__file__).parent / "cases.yml").read_text(encoding="utf-8"))
RECIPE = """prompt: otter, (cowboy hat)+, fog, watercolor
slots:
  subject: [otter, (cowboy hat)+]
  environment: [fog]
  style: [watercolor]
seed: 7
"""


def cases(kind: str) -> Any:
    return pytest.mark.parametrize("case", CASES[kind], ids=lambda case: case.get("say") or case["to"])


def read_as(text: str, **more: Any) -> DrawRequest:
    (request,) = parse_all(text, **more).requests
    return request


@pytest.mark.parametrize(
    ("case", "more"),
    [(case, {"recipe": RECIPE}) for case in CASES["replies"]]
    + [(case, {"names": ["ssd-1b"]}) for case in CASES["prompts"] + CASES["photos"]],
    ids=lambda part: part.get("say"),
)
def test_replies_prompts_and_photos(case, more):
    if "answer" in case:
        with pytest.raises(ParseError) as error:
            read_as(case["say"], **more)
        assert str(error.value) == case["answer"]
        return
    request, meant = read_as(case["say"], **more), read_as(case["reads"], **more)
    assert replace(request, notes=(), unused=()) == replace(meant, notes=(), unused=())
    unused = case.get("unused", [])
    assert request.unused == ((unused,) if isinstance(unused, str) else tuple(unused))
    assert "note" not in case or case["note"] in request.notes


@cases("phrases")
def test_replies_to_phrases(case):
    recipe = read_as(case["to"])
    if "answer" in case:
        with pytest.raises(ParseError) as error:
            read_as(case["say"], recipe=recipe)
        assert str(error.value) == case["answer"]
        return
    assert replace(read_as(case["say"], recipe=recipe), notes=()) == replace(read_as(case["reads"]), notes=())


@cases("sizes")
def test_sizes_of_pocket(case):
    card = model_card("pocket", built_in_cards()["pocket"], available=True)
    known = read(Capabilities, json.loads(capabilities("0.1.0", card).model_dump_json()))
    known = replace(known, default_model="pocket")
    if "answer" in case:
        with pytest.raises(ParseError) as error:
            parse_draw(case["say"])
        assert str(error.value) == case["answer"]
        return
    fit = fitted(read_as(case["say"]), known, has_photo=False)
    assert (fit.request.size, fit.request.slots.subject) == ((64, 64), ("otter",))
    assert fit.notes == ((f"pocket draws 64×64 only, not {case['not']}.",) if case["not"] else ())


@cases("recipes")
def test_bot_and_generator_read_the_same_recipes(case):
    wanted = {key: value for key, value in case.items() if key != "say"}
    ours, theirs = parse_recipe(case["say"]), recipe_file.read(case["say"])
    assert ours.slots.subject == theirs.slots.subject == ("otter",)
    for one in (ours, theirs):
        for name in {field.name for field in fields(DrawRequest)} & set(type(theirs).model_fields) - {"slots", "facts"}:
            assert getattr(one, name) == wanted.get(name), name


async def test_edits(drawing_room, homeserver, noted):
    """All in one room, one after the other."""
    for case in CASES["edits"]:
        event_id = await drawing_room.say(case["from"])
        said = {"type": "m.room.message", "event_id": event_id, "sender": "@ada:example.com"}
        homeserver.history["!kitchen:example.com"] = [{**said, "content": {"body": case["from"]}}]
        await noted()
        before = len([event for event in homeserver.events if event.kind == case["comes"]])
        new = {"msgtype": "m.text", "body": case["to"]}
        relation = {"rel_type": "m.replace", "event_id": event_id}
        await drawing_room.put(
            {"msgtype": "m.text", "body": f"* {case['to']}", "m.new_content": new, "m.relates_to": relation}
        )

        def has_come(kind: str = case["comes"], before: int = before) -> bool:
            return len([event for event in homeserver.events if event.kind == kind]) > before

        assert await homeserver.until(has_come), case
