"""A long plan contains every kind of strike and of poison, and depends on its seed alone."""

from tests.torture.plan import SERVERS, Moment, strikes
from tests.torture.poison import Poison


def test_a_plan_kills_everything_at_every_moment_and_several_at_once() -> None:
    plan = list(strikes(seed=1, kills=200))
    assert sum(len(strike.victims) for strike in plan) == 200
    alone = {(strike.moment, *strike.victims) for strike in plan if len(strike.victims) == 1}
    assert alone == {(moment, victim) for moment in Moment for victim in SERVERS}
    assert {len(strike.victims) for strike in plan} == {1, 2, 3}
    assert {(strike.person, strike.room) for strike in plan} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert {strike.poison for strike in plan} == set(Poison)


def test_a_seed_determines_the_plan() -> None:
    assert list(strikes(seed=1, kills=20)) == list(strikes(seed=1, kills=20)) != list(strikes(seed=2, kills=20))
