"""States that follow each other, and what is remembered for how long. The rest is tested over the socket."""

import itertools

import pytest
from running_generator import recipe_of

from generator.api import JobRequest, JobState, RecipeRequest, Slots
from generator.service.jobs import FINISHED_JOB_KEPT_S, ImpossibleMove, Job, Jobs
from generator.service.metrics import Metrics
from generator.service.pace import MEASURED_STEPS, Pace

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


@pytest.mark.parametrize(("before", "after"), sorted(itertools.product(JobState, repeat=2)))
def test_no_state_follows_that_cannot(before, after):
    job = a_job()
    job.state = before
    if (before, after) in POSSIBLE:
        job.move(after)
        assert job.state is after
    else:
        with pytest.raises(ImpossibleMove, match=f"job-1 is {before} and cannot become {after}"):
            job.move(after)


async def test_an_ended_job_is_forgotten_after_its_time_and_a_queued_one_is_not():
    now = 0.0
    jobs = Jobs(max_queued=10, pace=Pace(), metrics=Metrics(), clock=lambda: now)
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
    jobs = Jobs(max_queued=10, pace=Pace(), metrics=Metrics())
    states = {"running": "running", "ended": "cancelled", "waiting": "queued", "bobs": "queued"}
    for job_id in ("running", "ended"):
        jobs.add(a_job(job_id))
    await jobs.next()
    jobs.cancel(jobs.find("ended"))
    jobs.add(a_job("waiting"))
    jobs.add(a_job("bobs", "@bob:home"))
    new = a_job("new", replaces=replaces)
    jobs.add(new)
    if replaces == "waiting":
        states["waiting"] = "cancelled"
    assert {job_id: jobs.find(job_id).state for job_id in states} == states
    assert jobs.status(new).position == position


def test_the_pace_is_that_of_the_last_steps():
    pace = Pace()
    assert (pace.steps_per_second, pace.eta_s(10)) == (None, None)
    for _ in range(MEASURED_STEPS):
        pace.note(100, 64)
    for _ in range(MEASURED_STEPS):
        pace.note(0.5, 64)
    assert (pace.steps_per_second, pace.eta_s(10 * 64)) == (2.0, 5.0)


def test_a_larger_picture_takes_longer():
    pace = Pace()
    pace.note(0.5, 64)
    large = a_job().recipes[0].model_copy(update={"width": 128, "height": 128, "steps": 10})
    job = Job("large", a_job().request, (large, large), ())
    job.step = 4
    assert job.work_left == 16 * 128 * 128
    assert pace.eta_s(job.work_left) == 16 * 0.5 * 128 * 128 / 64
