"""The fair queue: requesters take turns."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from generator.service.eta import NO_WORK, Work
from generator.service.fair_queue import MAX_OVERTAKEN, FairQueue, Full, Place
from tests.helpers.simple_queue import SimpleQueue

PEOPLE = ("ann", "bob", "cat")
MODELS = ("ssd-1b", "pocket")
WORKERS = st.sampled_from(("one", "two"))


def queue(*jobs: str) -> FairQueue:
    """A queue of jobs named after their requester's initial, each with its name and its initial as labels."""
    turns = FairQueue(limit=100)
    for job in jobs:
        turns.add(job, requester=job[0], labels=(job, job[0]))
    return turns


def take(turns, *suiting, worker="one", **more):
    place = turns.choose(*suiting, worker=worker, **more)
    if place is not None:
        turns.take(place, worker=worker)
    return place


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
    take(turns)
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
    place = take(turns)
    turns.add("a2", "a")
    with pytest.raises(Full, match="1"):
        turns.add("b1", "b")
    turns.give_back(place)
    assert turns.order() == ["a1", "a2"]
    turns.exchange("a1", "new")
    assert turns.order() == ["new", "a2"]


def overtaken_too_often() -> FairQueue:
    """A queue whose first job, a1, was overtaken as often as may be; b0, b1 and others follow."""
    turns = queue("a1", *(f"b{n}" for n in range(MAX_OVERTAKEN + 2)))
    assert [take(turns, "b").job for _ in range(MAX_OVERTAKEN)] == [f"b{n}" for n in range(MAX_OVERTAKEN)]
    return turns


def test_a_suiting_job_goes_first_but_overtakes_others_only_so_often():
    assert take(overtaken_too_often(), "b").job == "a1"


def test_a_job_overtaken_too_often_holds_the_queue_until_it_suits():
    turns = overtaken_too_often()
    assert take(turns, "b", only_suiting=True) is None
    assert take(turns, "a", only_suiting=True).job == "a1"


def test_only_jobs_whose_turn_it_is_count_how_often_they_are_overtaken():
    turns = overtaken_too_often()
    turns.add("c1", "c", labels=("c",))
    assert take(turns, "b").job == "a1"
    assert take(turns, "c").job == "c1", "nobody was overtaken while a1 was first"


def test_another_worker_may_overtake_as_often_again():
    turns = overtaken_too_often()
    assert take(turns, "b", worker="two").job == f"b{MAX_OVERTAKEN}"
    assert take(turns, "b").job == "a1"


def test_a_worker_that_cannot_draw_the_first_job_leaves_it_to_others():
    turns = overtaken_too_often()
    place = turns.choose(["b"], able=["b"])
    turns.take(place, able=["b"])
    assert place.job == f"b{MAX_OVERTAKEN}"
    assert turns.choose(able=["none of these"]) is None
    assert turns.choose(["b"], worker="one").job == "a1"


def test_an_overtaken_job_is_still_before_newcomers():
    turns = queue("a1", "b1", "b2")
    take(turns, ["b1"])
    take(turns, ["b2"])
    turns.add("c1", "c")
    assert turns.order() == ["a1", "c1"]


def test_jobs_that_are_given_back_keep_their_order():
    turns = queue("a1", "b1", "c1")
    first, second = take(turns), take(turns)
    for place in (second, first):
        turns.give_back(place)
    assert turns.order() == ["a1", "b1", "c1"]


def test_a_job_that_was_given_back_can_be_removed():
    turns = queue("a1", "b1")
    first, second = take(turns), take(turns)
    for place in (second, first):
        turns.give_back(place)
    turns.remove("a1")
    turns.add("a2", "a")
    assert turns.order() == ["b1", "a2"]


def test_a_job_is_removed_after_cancels_and_returns():
    """The shortest sequence after which the queue once knew no turn of a requester who waits."""
    turns = queue("a1", "b1")
    first, second = take(turns), take(turns)
    turns.add("a2", "a")
    turns.remove("a2")
    turns.give_back(first)
    turns.give_back(second)
    assert take(turns).job == "b1"
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


def test_a_replacement_inherits_how_often_its_place_was_overtaken():
    turns = overtaken_too_often()
    turns.exchange("a1", "new")
    assert take(turns, "b").job == "new"


class AnyUse(RuleBasedStateMachine):
    """After any sequence of calls the queue is as the simple one.

    No job is lost or doubled, and each requester's jobs keep their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.simple = FairQueue(limit=1000), SimpleQueue(limit=1000)
        self.waiting: dict[str, list[int]] = {person: [] for person in PEOPLE}
        self.count = 0
        self.taken: list[Place] = []
        self.models: dict[str, str] = {}

    def new(self, model: str) -> str:
        self.count += 1
        self.models[str(self.count)] = model
        return str(self.count)

    def about(self, job: str) -> dict[str, object]:
        """Each job has its model as a label, and its number as its work."""
        model = self.models[job]
        return {"labels": (model,), "work": Work({(model, "exact"): int(job)}, {}, model, model)}

    @rule(person=st.sampled_from(PEOPLE), model=st.sampled_from(MODELS))
    def add(self, person, model):
        job = self.new(model)
        self.turns.add(job, person, **self.about(job))
        self.simple.add(job, person)
        self.waiting[person].append(int(job))

    @rule()
    def take(self):
        promised = self.turns.order()
        self.took(take(self.turns), self.simple.take())
        assert self.turns.order() == promised[1:]

    @rule(model=st.sampled_from(MODELS), how=st.fixed_dictionaries({"only_suiting": st.booleans(), "worker": WORKERS}))
    def take_what_suits(self, model, how):
        """A worker that draws one model for a while takes jobs out of turn."""
        place = take(self.turns, [model], **how)
        self.took(place, self.simple.take(lambda job: self.models[job] == model, **how))

    def took(self, place: Place | None, simple: Place | None) -> None:
        assert (place and place.job) == (simple and simple.job)
        if place:
            self.taken.append(place)
            self.waiting[place.requester].remove(int(place.job))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data):
        """Jobs return in any order, or never: cancelled while they were drawn."""
        place = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.turns.give_back(place, **self.about(place.job))
        self.simple.give_back(place)
        assert self.turns.head.job == place.job
        self.waiting[place.requester].insert(0, int(place.job))

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def remove(self, data):
        job = data.draw(st.sampled_from(sorted(chain(*self.waiting.values()))))
        self.turns.remove(str(job))
        self.simple.remove(str(job))
        for jobs in self.waiting.values():
            if job in jobs:
                jobs.remove(job)

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data(), model=st.sampled_from(MODELS))
    def exchange(self, data, model):
        job = data.draw(st.sampled_from(sorted(chain(*self.waiting.values()))))
        new = self.new(model)
        self.turns.exchange(str(job), new, **self.about(new))
        self.simple.exchange(str(job), new)
        for jobs in self.waiting.values():
            jobs[:] = [int(new) if waiting == job else waiting for waiting in jobs]

    @rule()
    def remove_what_is_not_there(self):
        self.turns.remove("nobody's")

    @invariant()
    def is_as_the_simple_one(self):
        order = self.turns.order()
        assert order == self.simple.order()
        assert len(self.turns) == len(order)
        assert sorted(map(int, order)) == sorted(chain(*self.waiting.values()))
        for jobs in self.waiting.values():
            assert [int(job) for job in order if int(job) in jobs] == jobs

    @invariant()
    def knows_what_is_before_each_job(self):
        before = NO_WORK
        for index, job in enumerate(self.turns.order()):
            assert self.turns.before(job) == (index, before)
            before += self.about(job)["work"]

    @invariant()
    def finds_the_first_with_a_label(self):
        for model in MODELS:
            first = self.turns.first([model])
            fitting = [job for job in self.turns.order() if self.models[job] == model]
            assert (first.job if first else None) == next(iter(fitting), None)


TestAnyUse = AnyUse.TestCase
