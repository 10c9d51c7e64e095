"""Events as no client sends them: seeded changes at any place of good ones."""

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

POISONS: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**31, 2**63, 10**20, 10**400, float("inf")),
    *("", "x", "\0", "\ud83d", "!draw", "!easel help", "x" * 3000, "@ada:example.com", "m.replace", "m.file"),
    *([], [[]], {}, {"self": 1}, {"event_id": 5}, ["!draw otter"]),
)
NEW_KEYS = ("info", "file", "filename", "m.relates_to", "m.new_content", "formatted_body", "unsigned", "state_key")


def mutated(event: dict[str, Any], random: Random) -> dict[str, Any]:
    """A copy of the event with one to three changes: a value replaced, taken away or added."""
    event = copy.deepcopy(event)
    for _ in range(random.randint(1, 3)):
        parent = random.choice([event, *_objects(event)])
        poison = copy.deepcopy(random.choice(POISONS))
        match random.randrange(5):
            case 0 if parent:
                del parent[random.choice(list(parent))]
            case 1:
                parent[random.choice(NEW_KEYS)] = poison
            case _ if parent:
                parent[random.choice(list(parent))] = poison
    return event


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects within an event, at every depth."""
    for inside in value.values():
        if isinstance(inside, dict):
            yield inside
            yield from _objects(inside)
