"""The states of jobs, how long jobs are kept, and the ETA. Other tests cover jobs over the socket."""

import itertools
from collections.abc import AsyncIterator

import pytest

from generator.api.types import (
    EndEvent,
    JobRequest,
    JobState,
    PositionEvent,
    PreviewEvent,
    ProgressEvent,
    RecipeRequest,
    Slots,
)
from generator.service.eta import MEASURED_STEPS, NO_WORK, Eta, Speeds, work_left
from generator.service.job import Job
from generator.service.jobs import FINISHED_JOB_KEPT_S, RETRY_AFTER_S, Jobs, QueueFull
from generator.service.known_worker import KnownWorker
from generator.service.metrics import Metrics
from generator.service.state import ImpossibleMove, State
from generator.service.stream import Stream
from generator.workers.messages import Draw, Progress, WorkerEvent, WorkerState
from tests.helpers.calls import counted
from tests.helpers.running_generator import recipe_of

POSSIBLE = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("queued", "done"),
    ("running", "queued"),
    ("running", "done"),
    ("running", "failed"),
    ("running", "cancelled"),
}


def a_job(job_id: str = "job-1", requester: str = "@ann:home", replaces: str | None = None) -> Job:
    recipes = (RecipeRequest(slots=Slots(subject=("otter",))),)
    request = JobRequest(requester=requester, recipes=recipes, replaces=replaces)
    return Job(job_id, request, (recipe_of(subject=("otter",)),), ())


def test_a_slow_reader_keeps_only_the_newest_of_replaceable_events():
    stream = Stream()
    for step in range(100):
        stream.put(ProgressEvent(n=0, step=step, steps=100))
        stream.put(PreviewEvent(n=0, image=str(step)))
        stream.put(PositionEvent(position=100 - step))
    stream.put(EndEvent.model_construct(event="done"))
    assert [getattr(event, "step", None) for event in stream._events] == [99, None, None, None]


@pytest.mark.parametrize(("before", "after"), sorted(itertools.product(JobState, repeat=2)))
def test_only_possible_changes_of_state_are_accepted(before, after):
    job = a_job()
    job.state = before
    if (before, after) in POSSIBLE:
        job.move(after)
        assert job.state is after
    else:
        with pytest.raises(ImpossibleMove, match=f"job-1 is {before} and cannot become {after}"):
            job.move(after)


async def test_ended_jobs_expire_and_queued_ones_do_not():
    now = 0.0
    jobs = Jobs(max_queued=10, speeds=Speeds(), metrics=Metrics(), clock=lambda: now)
    ended, queued = a_job("ended"), a_job("queued")
    jobs.add(ended)
    jobs.add(queued)
    jobs.cancel(ended)
    now = FINISHED_JOB_KEPT_S - 1
    assert jobs.find("ended") is ended
    now = FINISHED_JOB_KEPT_S + 1
    assert jobs.find("ended") is None
    assert jobs.find("queued") is queued


@pytest.mark.parametrize(
    ("replaces", "position"),
    [("waiting", 2), ("running", 3), ("ended", 3), ("bobs", 3), ("unknown", 3), ("new", 3)],
)
async def test_only_a_waiting_job_of_the_same_requester_is_replaced(replaces, position):
    jobs = Jobs(max_queued=10, speeds=Speeds(), metrics=Metrics())
    states = {"running": "running", "ended": "cancelled", "waiting": "queued", "bobs": "queued"}
    for job_id in ("running", "ended"):
        jobs.add(a_job(job_id))
    jobs.take(jobs.choose(), Eta())
    jobs.cancel(jobs.find("ended"))
    jobs.add(a_job("waiting"))
    jobs.add(a_job("bobs", "@bob:home"))
    new = a_job("new", replaces=replaces)
    jobs.add(new)
    if replaces == "waiting":
        states["waiting"] = "cancelled"
    assert {job_id: jobs.find(job_id).state for job_id in states} == states
    assert jobs.status(new).position == position


async def test_a_full_queue_says_when_its_first_job_should_be_done():
    eta = Eta()
    jobs = Jobs(max_queued=1, speeds=Speeds(eta), metrics=Metrics())
    jobs.add(a_job("running"))
    jobs.take(jobs.choose(), Eta())
    jobs.add(a_job("waiting"))
    for measured, seconds in ((False, RETRY_AFTER_S), (True, 6)):
        if measured:
            eta.note(PICTURE, 1)
        with pytest.raises(QueueFull) as full:
            jobs.add(a_job("one-more"))
        assert full.value.retry_after_s == seconds


async def test_accepting_a_job_and_asking_for_its_place_take_as_long_in_a_long_queue():
    eta = Eta()
    eta.note(PICTURE, 1)
    steps = {}
    for waiting in (100, 3200):
        jobs = Jobs(max_queued=2 * waiting, speeds=Speeds(eta), metrics=Metrics())
        for n in range(waiting):
            jobs.add(a_job(f"job-{n}", f"@{n % 50}:home"))
        jobs.status(jobs.find(f"job-{waiting - 1}"))
        with counted() as calls:
            for n in range(20):
                job = a_job(f"new-{n}", f"@{n}:home")
                jobs.add(job)
                assert jobs.status(job).eta_s
            jobs.take(jobs.choose(), Eta())
            jobs.cancel(job)
        steps[waiting] = calls.total()
    # The logarithm of 3200 is 1.75 times that of 100, and the shape of the tree is drawn by lot.
    assert steps[3200] < 3 * steps[100]


PICTURE = recipe_of(subject=("otter",))
PIXELS = PICTURE.pixels


def test_the_eta_follows_the_speed_of_the_last_steps():
    eta = Eta()
    assert (eta.steps_per_second, eta.eta_s(work_left(PICTURE))) == (None, None)
    for _ in range(MEASURED_STEPS):
        eta.note(PICTURE, 100)
    for _ in range(MEASURED_STEPS):
        eta.note(PICTURE, 0.5)
    assert (eta.steps_per_second, eta.eta_s(work_left(PICTURE))) == (2.0, 1.5)


def test_a_larger_picture_takes_longer():
    eta = Eta()
    eta.note(PICTURE, 0.5)
    large = PICTURE.model_copy(update={"width": 128, "height": 192, "steps": 10})
    job = Job("large", a_job().request, (large, large), ())
    job.step = 4
    assert job.work_left.pixels == {(PICTURE.model, "exact"): (6 + 10) * 4 * PIXELS}
    assert eta.eta_s(job.work_left) == 16 * 4 * 0.5


def test_each_model_and_tier_has_its_own_speed_and_changing_models_takes_time():
    eta = Eta()
    eta.loaded = "stand-in"
    fast = PICTURE.model_copy(update={"tier": "fast"})
    other = PICTURE.model_copy(update={"model": "other"})
    for recipe, seconds in ((PICTURE, 1), (fast, 0.1)):
        eta.note(recipe, seconds)
    works = list(itertools.accumulate(work_left(recipe) for recipe in (PICTURE, fast, other, PICTURE)))
    assert [eta.eta_s(work) for work in works] == [3, 3.3, None, None], "the other model was never measured"
    eta.note(other, 2)
    eta.note_load("other", 20)
    eta.note_load("stand-in", 30)
    assert [eta.eta_s(work) for work in works] == [3, 3.3, 29.3, 62.3]
    eta.loaded = "other"
    assert [eta.eta_s(work) for work in works] == [33, 33.3, 59.3, 92.3]


async def test_measuring_a_model_for_the_first_time_does_not_count_as_loading_it():
    class Measuring:
        """Measures for a while before its first picture, which the next one need not wait for."""

        is_ready = True

        async def run(self, draw: Draw) -> AsyncIterator[WorkerEvent]:
            yield Progress(0, 1, WorkerState((draw.recipe.model,), load_s=20))

    known = KnownWorker("card", Measuring())
    known.eta.note(PICTURE, 1)
    before = known.eta.eta_s(work_left(PICTURE))
    async for _ in known.run(Draw("one", PICTURE), beside=[a_job()]):
        pass
    assert known.eta.eta_s(work_left(PICTURE)) == before + 20


def test_the_sum_of_work_does_not_depend_on_how_it_is_added_up():
    other = PICTURE.model_copy(update={"model": "other"})
    one, two, three = work_left(PICTURE), work_left(other), work_left(PICTURE, step=1)
    assert (one + two) + three == one + (two + three)
    assert one + NO_WORK == NO_WORK + one == one
    assert (one + two + three).loads == {"other": 1, PICTURE.model: 1}


@pytest.mark.parametrize(
    "wrong", [(State.PAUSED, State.IDLE), (State.STARTING, State.IDLE), (State.IDLE, State.CARD_BUSY)]
)
def test_a_supervisor_refuses_an_impossible_change_of_state(wrong):
    before, after = wrong
    with pytest.raises(ImpossibleMove, match=f"is {before.value} and cannot become {after.value}"):
        before.to(after)
