"""No message keeps the event loop: what may take long is read beside it, in time that grows with the text alone."""

import asyncio
from collections import Counter
from functools import partial
from importlib import import_module
from inspect import isfunction
from pkgutil import iter_modules
from typing import Any

import pytest

from bot.easel.commands.starter_styles import STARTER_STYLES
from bot.easel.language import DrawCommand, as_command, parse_all, pasted, read_command
from bot.easel.language.parse import MAX_MESSAGE_CHARS, parse_recipe
from bot.easel.policy.blocked_words import find_word
from tests.helpers.calls import calls_of, counted, grows
from tests.helpers.hostile_messages import RECIPES, SHEET, Hostile, messages

ROOM = "!kitchen:example.com"

FAMILIES = list(messages(0))

# About 50 ms on a slow machine.
MOST_CALLS = 50_000


@pytest.fixture
def maubot_plugin_config_overrides() -> dict[str, Any]:
    rules = {"blocked_words": ["gun", "horror movie"], "no": ["blood"], "style": ["ink"]}
    return {
        "max_open_jobs": 0,
        "rooms": {"*": rules},
        "wildcards": {"animal": ["otter", "owl"]},
    }


async def note_most(calls: Counter[str], most: list[int]) -> None:
    """Note the most calls between two turns of this task."""
    while True:
        calls.clear()
        await asyncio.sleep(0.001)
        most.append(max(most.pop(), calls.total()))


async def say(room: Any, homeserver: Any, message: Hostile) -> str:
    """Send a message, as a reply to its recipe file."""
    content: dict[str, Any] = {"msgtype": "m.text", "body": message.body}
    if message.recipe is not None or message.body.startswith(">"):
        homeserver.uploads["mxc://example.com/recipe"] = (message.recipe or "").encode()
        file = {"msgtype": "m.file", "body": "a.yml", "url": "mxc://example.com/recipe"}
        event = {"type": "m.room.message", "event_id": "$recipe", "sender": "@eve:example.com", "content": file}
        homeserver.history = {ROOM: [{**event, "origin_server_ts": 1}]}
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": "$recipe"}}
    return await room.put(content)


@pytest.mark.parametrize("size", [1000, 16_000, 64_000])
async def test_the_event_loop_goes_on_while_a_message_is_handled(
    drawing_room, homeserver, fake_generator, refusal, size
):
    # Such a body reaches it, but it would refuse the most of them.
    fake_generator.sins["submit"] = refusal(422, "No.")
    held = {}
    for family, message in messages(size).items():
        most = [0]
        with counted() as calls:
            ticking = asyncio.create_task(note_most(calls, most))
            event_id = await say(drawing_room, homeserver, message)
            if family != "no command":
                await homeserver.until(partial(is_answered, homeserver, event_id))
            ticking.cancel()
        held[family] = most[0]
    assert {family: most for family, most in held.items() if not 0 < most < MOST_CALLS} == {}


def is_answered(homeserver: Any, event_id: str) -> bool:
    answers = (event for event in homeserver.events if event.kind == "answer")
    return any(event.content["m.relates_to"]["m.in_reply_to"]["event_id"] == event_id for event in answers)


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_a_message_takes_time_in_proportion_to_its_length(family):
    def calls(size: int) -> int:
        message = messages(size)[family]
        command = read_command(message.body)
        if not isinstance(command, DrawCommand):
            return 0
        read = partial(parse_all, command.text, recipe=message.recipe, styles=STARTER_STYLES)
        return calls_of(read).total()

    assert not grows(calls(1000), calls(4000))


def test_every_step_of_recognising_what_was_pasted_is_in_a_family():
    called: Counter[str] = Counter()
    for message in messages(250).values():
        command = read_command(message.body)
        if isinstance(command, DrawCommand) and message.recipe is None:
            called += calls_of(partial(parse_all, command.text))
    steps = {
        name
        for module in iter_modules(pasted.__path__, f"{pasted.__name__}.")
        for name, step in vars(import_module(module.name)).items()
        if isfunction(step) and step.__module__ == module.name
    }
    assert not steps - set(called)


@pytest.mark.parametrize("family", RECIPES)
def test_reading_a_recipe_takes_time_in_proportion_to_its_length(family):
    for read in (parse_recipe, as_command):
        small, large = (calls_of(partial(read, RECIPES[family](size))).total() for size in (1000, 4000))
        assert not grows(small, large)


@pytest.mark.parametrize("piece", ["a, ", "1", "\ufdfa", "\u0301\u0316", "g\u200b", "'s", "🔫"])
def test_looking_for_blocked_words_takes_time_in_proportion_to_the_text(piece):
    small, large = (calls_of(partial(find_word, piece * size, ["gun"])).total() for size in (1000, 4000))
    assert not grows(small, large)


def test_the_measure_sees_what_is_quadratic():
    small, large = (calls_of(lambda size=size: [sorted("a") for _ in range(size**2)]).total() for size in (20, 80))
    assert grows(small, large)


def test_a_recipe_is_read_once_for_a_whole_sheet():
    recipe = "prompt: otter\nseed: 7\n"
    assert calls_of(partial(parse_all, "--steps 1,2,3", recipe=recipe))["read_yaml"] == 1


def test_a_recipe_is_not_read_for_a_sheet_that_is_too_large():
    recipe = "prompt: " + "otter, " * 2000
    for text in (f"{SHEET} --seed 1,2", SHEET, ", ".join(f"+hat{n}" for n in range(200))):
        assert not calls_of(partial(parse_all, text, recipe=recipe))["read_yaml"]


@pytest.mark.parametrize("command", ["!draw", "!easel find", "!easel style add", "!easel"])
async def test_a_message_beyond_the_limit_is_answered_with_it(drawing_room, homeserver, command):
    await drawing_room.say(f"{command} a" + "a" * MAX_MESSAGE_CHARS)
    assert f"I read up to {MAX_MESSAGE_CHARS}." in await homeserver.answer()
