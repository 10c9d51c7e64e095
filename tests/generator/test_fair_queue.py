"""The fair queue: requesters take turns."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from generator.service.fair_queue import MAX_OVERTAKEN, FairQueue, Full, Place

PEOPLE = ("ann", "bob", "cat")


def queue(*jobs: str) -> FairQueue:
    """A queue of jobs named after their requester's initial."""
    turns = FairQueue(limit=100)
    for job in jobs:
        turns.add(job, requester=job[0])
    return turns


@pytest.mark.parametrize(
    ("jobs", "order"),
    [
        ((), []),
        (("a1", "a2", "a3"), ["a1", "a2", "a3"]),
        (("a1", "a2", "a3", "b1"), ["a1", "b1", "a2", "a3"]),
        (("a1", "a2", "b1", "b2", "c1"), ["a1", "b1", "c1", "a2", "b2"]),
    ],
)
def test_requesters_are_served_in_turns(jobs, order):
    assert queue(*jobs).order() == order


def test_the_requester_served_last_waits_for_the_others():
    turns = queue("a1")
    turns.take()
    for job in ("a2", "b1", "a3", "c1"):
        turns.add(job, requester=job[0])
    assert turns.order() == ["b1", "c1", "a2", "a3"]


def test_a_removed_job_gives_its_turn_to_the_next_of_its_requester():
    turns = queue("a1", "b1", "a2", "b2", "a3")
    turns.remove("a1")
    assert turns.order() == ["b1", "a2", "b2", "a3"]


@pytest.mark.parametrize(
    ("job", "order"),
    [
        ("a1", ["new", "b1", "a2", "b2", "a3"]),
        ("a2", ["a1", "b1", "new", "b2", "a3"]),
        ("a3", ["a1", "b1", "a2", "b2", "new"]),
        ("gone", ["a1", "b1", "a2", "b2", "a3"]),
    ],
)
def test_an_exchanged_job_leaves_its_place_to_the_new_one(job, order):
    turns = queue("a1", "b1", "a2", "b2", "a3")
    turns.exchange(job, "new")
    assert turns.order() == order


def test_a_full_queue_refuses_new_jobs_but_takes_jobs_back():
    turns = FairQueue(limit=1)
    turns.add("a1", "a")
    place = turns.take()
    turns.add("a2", "a")
    with pytest.raises(Full, match="1"):
        turns.add("b1", "b")
    turns.give_back(place)
    assert turns.order() == ["a1", "a2"]
    turns.exchange("a1", "new")
    assert turns.order() == ["new", "a2"]


def test_a_suiting_job_goes_first_but_overtakes_others_only_so_often():
    turns = queue("a1", "b1", "c1", "a2", "b2", "c2")
    taken = [turns.take(lambda job: job != "a1").job for _ in range(MAX_OVERTAKEN + 1)]
    assert taken == ["b1", "c1", "a2", "b2", "a1"]
    assert turns.take(lambda job: False, only_suiting=True) is None
    assert turns.take(lambda job: False).job == "c2"


def test_a_job_overtaken_too_often_holds_the_queue_until_it_suits():
    turns = queue("a1", "b1", "b2", "b3", "b4", "b5")
    taken = [turns.take(lambda job: job != "a1", only_suiting=True) for _ in range(MAX_OVERTAKEN + 1)]
    assert [place and place.job for place in taken] == ["b1", "b2", "b3", "b4", None]


def test_an_overtaken_job_is_still_before_newcomers():
    turns = queue("a1", "b1", "b2")
    turns.take(lambda job: job == "b1")
    turns.take(lambda job: job == "b2")
    turns.add("c1", "c")
    assert turns.order() == ["a1", "c1"]


def test_jobs_that_are_given_back_keep_their_order():
    turns = queue("a1", "b1", "c1")
    first, second = turns.take(), turns.take()
    for place in (second, first):
        turns.give_back(place)
    assert turns.order() == ["a1", "b1", "c1"]


def test_a_job_that_was_given_back_can_be_removed():
    turns = queue("a1", "b1")
    first, second = turns.take(), turns.take()
    for place in (second, first):
        turns.give_back(place)
    turns.remove("a1")
    turns.add("a2", "a")
    assert turns.order() == ["b1", "a2"]


def test_a_job_is_removed_after_cancels_and_returns():
    """The shortest sequence after which the queue once knew no turn of a requester who waits."""
    turns = queue("a1", "b1")
    first, second = turns.take(), turns.take()
    turns.add("a2", "a")
    turns.remove("a2")
    turns.give_back(first)
    turns.give_back(second)
    assert turns.take().job == "b1"
    turns.remove("a1")
    assert turns.order() == []


@given(st.lists(st.sampled_from(PEOPLE), max_size=30), st.integers(0, 29))
def test_a_requester_is_overtaken_at_most_once_per_turn(people, index):
    """Before a requester's k-th job, at most k jobs of any other requester are served."""
    if index >= len(people):
        return
    turns = FairQueue(limit=100)
    for number, person in enumerate(people):
        turns.add(str(number), person)
    before = turns.order()[: turns.order().index(str(index))]
    own = people[: index + 1].count(people[index])
    for other in set(PEOPLE) - {people[index]}:
        assert sum(people[int(job)] == other for job in before) <= own


class AnyUse(RuleBasedStateMachine):
    """Any sequence of calls loses or doubles no job, and each requester's jobs keep their order."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = FairQueue(limit=1000)
        self.waiting: dict[str, list[int]] = {person: [] for person in PEOPLE}
        self.count = 0
        self.taken: list[Place] = []

    @rule(person=st.sampled_from(PEOPLE))
    def add(self, person):
        self.count += 1
        self.turns.add(str(self.count), person)
        self.waiting[person].append(self.count)

    @rule()
    def take(self):
        promised = self.turns.order()
        place = self.turns.take()
        assert (place.job if place else None) == (promised[0] if promised else None)
        if place:
            self.taken.append(place)
            self.waiting[place.requester].remove(int(place.job))

    @rule(nth=st.integers(0, 3))
    def take_what_suits(self, nth):
        """A worker that draws one model for a while takes jobs out of turn."""
        order = self.turns.order()
        place = self.turns.take(lambda job: job in order[nth:], only_suiting=True)
        if place:
            self.taken.append(place)
            self.waiting[place.requester].remove(int(place.job))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data):
        """Jobs return in any order, or never: cancelled while they were drawn."""
        place = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.turns.give_back(place)
        assert self.turns.order()[0] == place.job
        self.waiting[place.requester].insert(0, int(place.job))

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def remove(self, data):
        job = data.draw(st.sampled_from(sorted(chain(*self.waiting.values()))))
        self.turns.remove(str(job))
        for jobs in self.waiting.values():
            if job in jobs:
                jobs.remove(job)

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def exchange(self, data):
        job = data.draw(st.sampled_from(sorted(chain(*self.waiting.values()))))
        before = self.turns.order()
        self.count += 1
        self.turns.exchange(str(job), str(self.count))
        assert self.turns.order() == [str(self.count) if waiting == str(job) else waiting for waiting in before]
        for jobs in self.waiting.values():
            jobs[:] = [self.count if waiting == job else waiting for waiting in jobs]

    @rule()
    def remove_what_is_not_there(self):
        self.turns.remove("nobody's")

    @invariant()
    def all_wait_in_order(self):
        order = [int(job) for job in self.turns.order()]
        assert len(self.turns) == len(order)
        for jobs in self.waiting.values():
            assert [job for job in order if job in jobs] == jobs
        assert sorted(order) == sorted(chain(*self.waiting.values()))


TestAnyUse = AnyUse.TestCase
