"""The rate limit counts what a homeserver counts: events and time."""

from dataclasses import dataclass

import pytest

from bot.easel.sending.rate_limit import RateLimit


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("burst", "per_second", "taken", "passed_s", "room", "wait_s"),
    [
        (10, 0.2, 0, 0, 10, 0),
        (10, 0.2, 10, 0, 0, 5),
        (10, 0.2, 10, 5, 1, 0),
        (10, 0.2, 10, 2, 0.4, 3),
        (10, 0.2, 10, 1000, 10, 0),
        (1, 2, 1, 0, 0, 0.5),
        (1, 0, 100, 0, float("inf"), 0),
    ],
)
def test_the_rate_limit_counts_events_and_time(burst, per_second, taken, passed_s, room, wait_s):
    clock = Clock()
    limit = RateLimit(burst, per_second, clock)
    for _ in range(taken):
        limit.take()
    clock.now += passed_s
    assert limit.room() == pytest.approx(room)
    assert limit.wait_s() == pytest.approx(wait_s)


@pytest.mark.parametrize(("per_second", "room_after"), [(0.2, 1), (0, float("inf"))])
def test_a_closed_rate_limit_opens_after_the_homeservers_pause(per_second, room_after):
    clock = Clock()
    limit = RateLimit(10, per_second, clock)
    limit.close(3.7)
    assert limit.room() == 0
    assert limit.wait_s() == pytest.approx(3.7)
    clock.now += 3.7
    assert limit.room() == pytest.approx(room_after)
    assert limit.wait_s() == 0
