"""Which commands count as lost, and which as delivered twice."""

import pytest

from household.heard import Heard
from tests.torture.reckoning import Command, cut_short, deliveries

COMMAND = Command("$said", "!room", 7)


@pytest.mark.parametrize(
    ("pictures", "recipes", "is_lost", "is_twice"),
    [
        pytest.param(["$said"], [("$said", 7)], False, False, id="one of each"),
        pytest.param([], [], True, False, id="nothing"),
        pytest.param([], [("$said", 7)], True, False, id="no picture"),
        pytest.param(["$said"], [], True, False, id="no recipe"),
        pytest.param(["$said"], [("$said", 8)], True, False, id="another seed"),
        pytest.param(["$said"] * 2, [("$said", 7)], False, True, id="two pictures"),
        pytest.param(["$said"], [("$said", 7)] * 2, False, True, id="two recipes"),
        pytest.param(["$said"] * 2, [("$said", 7), ("$said", 8)], True, True, id="drawn again with another seed"),
        pytest.param(["$other", None], [("$other", 7)], True, False, id="for somebody else"),
    ],
)
def test_a_delivery_is_lost_or_twice(
    pictures: list[str | None], recipes: list[tuple[str | None, int]], is_lost: bool, is_twice: bool
) -> None:
    (delivery,) = deliveries([COMMAND], pictures, recipes)
    assert (delivery.is_lost, delivery.is_twice) == (is_lost, is_twice)


def test_open_jobs_are_counted_by_stage_at_each_kill() -> None:
    shown = [
        bot_event("working", 20, {"rel_type": "m.annotation", "event_id": "$said"}),
        bot_event("recipe", 40, {"m.in_reply_to": {"event_id": "$said"}}),
        bot_event("picture", 60, {"m.in_reply_to": {"event_id": "$said"}}),
    ]
    stages = cut_short({"$said": 10}, shown, kills_at_ms=(5, 15, 25, 45, 55, 65))
    assert stages == {"only sent": 1, "acknowledged": 1, "recipe without picture": 2}


def bot_event(kind: str, sent_at_ms: int, relation: dict[str, object]) -> Heard:
    content = {"household.easel": {"kind": kind}, "m.relates_to": relation}
    return Heard("!room", f"${kind}", "@easel:localhost", "m.room.message", content, False, sent_at_ms)
