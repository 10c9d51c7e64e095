"""The states of jobs, how long jobs are kept, and the ETA. Other tests cover jobs over the socket."""

import itertools

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
from generator.service.eta import MEASURED_STEPS, Eta, Work, work_left
from generator.service.jobs import FINISHED_JOB_KEPT_S, Job, Jobs
from generator.service.metrics import Metrics
from generator.service.state import ImpossibleMove, State
from generator.service.stream import Stream
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
    jobs = Jobs(max_queued=10, eta=Eta(), metrics=Metrics(), clock=lambda: now)
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
    jobs = Jobs(max_queued=10, eta=Eta(), metrics=Metrics())
    states = {"running": "running", "ended": "cancelled", "waiting": "queued", "bobs": "queued"}
    for job_id in ("running", "ended"):
        jobs.add(a_job(job_id))
    jobs.take()
    jobs.cancel(jobs.find("ended"))
    jobs.add(a_job("waiting"))
    jobs.add(a_job("bobs", "@bob:home"))
    new = a_job("new", replaces=replaces)
    jobs.add(new)
    if replaces == "waiting":
        states["waiting"] = "cancelled"
    assert {job_id: jobs.find(job_id).state for job_id in states} == states
    assert jobs.status(new).position == position


PICTURE = recipe_of(subject=("otter",))
PIXELS = PICTURE.pixels


def test_the_eta_follows_the_speed_of_the_last_steps():
    eta = Eta()
    assert (eta.steps_per_second, eta.eta_s([work_left(PICTURE)])) == (None, None)
    for _ in range(MEASURED_STEPS):
        eta.note(PICTURE, 100)
    for _ in range(MEASURED_STEPS):
        eta.note(PICTURE, 0.5)
    assert (eta.steps_per_second, eta.eta_s([Work(PICTURE.model, "exact", 10 * PIXELS)])) == (2.0, 5.0)


def test_a_larger_picture_takes_longer():
    eta = Eta()
    eta.note(PICTURE, 0.5)
    large = PICTURE.model_copy(update={"width": 128, "height": 192, "steps": 10})
    job = Job("large", a_job().request, (large, large), ())
    job.step = 4
    assert [work.pixels for work in job.work_left] == [6 * 4 * PIXELS, 10 * 4 * PIXELS]
    assert eta.eta_s(job.work_left) == 16 * 4 * 0.5


def test_each_model_and_tier_has_its_own_speed_and_changing_models_takes_time():
    eta = Eta()
    eta.loaded = "stand-in"
    fast = PICTURE.model_copy(update={"tier": "fast"})
    other = PICTURE.model_copy(update={"model": "other"})
    for recipe, seconds in ((PICTURE, 1), (fast, 0.1)):
        eta.note(recipe, seconds)
    works = [[work_left(recipe)] for recipe in (PICTURE, fast, other, PICTURE)]
    assert eta.etas_s(works) == [3, 3.3, None, None], "the other model was never measured"
    eta.note(other, 2)
    eta.note_load("other", 20)
    eta.note_load("stand-in", 30)
    assert eta.etas_s(works) == [3, 3.3, 29.3, 62.3]


@pytest.mark.parametrize(
    "wrong", [(State.PAUSED, State.IDLE), (State.DRAINING, State.RUNNING), (State.IDLE, State.CARD_BUSY)]
)
def test_the_dispatcher_refuses_an_impossible_change_of_state(wrong):
    before, after = wrong
    with pytest.raises(ImpossibleMove, match=f"is {before.value} and cannot become {after.value}"):
        before.to(after)
