"""Which model a free worker of several should have: the one that it has, or that of the job whose turn it is."""

import pytest

from generator.api.types import JobRequest, RecipeRequest
from generator.service.balance import Balance
from generator.service.eta import Speeds
from generator.service.fair_queue import MAX_OVERTAKEN
from generator.service.job import Job
from generator.service.jobs import Jobs
from generator.service.known_worker import KnownWorker
from generator.service.metrics import Metrics
from generator.service.suiting import Suiting
from generator.workers.messages import WorkerState
from tests.helpers.running_generator import recipe_of

HAS = "large"
OTHER = "small"


def recipe(model):
    return recipe_of(subject=("otter",)).model_copy(update={"model": model})


def waiting(*models):
    """A queue in which everybody asks for one picture, by these models in order."""
    jobs = Jobs(max_queued=1000, speeds=Speeds(), metrics=Metrics())
    for n, model in enumerate(models):
        request = JobRequest(requester=f"@{n}:home", recipes=(RecipeRequest(slots=recipe(model).slots),))
        jobs.add(Job(str(n), request, (recipe(model),), ()))
    return jobs


def team(workers, pixels_per_second=None):
    """So many workers that have loaded the model, of these speeds; else of one that is unknown."""
    known = [KnownWorker(f"card-{n}", None) for n in range(workers)]
    for n, one in enumerate(known):
        load(one, HAS)
        one.eta.pixels_per_second = pixels_per_second and pixels_per_second[n]
    return known


def load(known, model):
    known.state, known.model = WorkerState((model,)), model


def choose(jobs, known, workers):
    """The model of the job that a worker chooses beside the others; it begins that job."""
    suiting = Suiting(known, jobs=jobs, running=())
    suiting.take(suiting.choose(Balance(workers, jobs)))
    load(known, known.model)
    return known.model


async def test_one_of_two_workers_loads_the_model_for_which_half_of_the_jobs_wait():
    jobs = waiting(OTHER, HAS, OTHER, HAS)
    one, two = both = team(2)
    assert choose(jobs, one, both) == OTHER, "though a job for the model that it has waits"
    assert choose(jobs, two, both) == HAS, "the other model has a worker now"


@pytest.mark.parametrize("workers", [1, 3])
async def test_workers_that_have_only_their_share_load_no_more_than_they_must(workers):
    """Everybody wants the other model as much, and one model more or less waits after each picture."""
    jobs = waiting(*[OTHER, HAS] * 60)
    known = team(workers)
    for one in known[1:][::2]:
        load(one, OTHER)
    loads = 0
    for n in range(90):
        one = known[n % workers]
        had = one.model
        loads += choose(jobs, one, known) != had
    assert loads <= 90 // MAX_OVERTAKEN


async def test_a_model_that_few_ask_for_has_its_turn_but_no_worker_of_its_own():
    jobs = waiting(OTHER, *[HAS] * 4 * MAX_OVERTAKEN)
    both = team(2)
    drawn = [choose(jobs, both[n % 2], both) for n in range(2 * MAX_OVERTAKEN)]
    assert drawn == [HAS] * 2 * MAX_OVERTAKEN, "each of two workers may overtake it"
    assert choose(jobs, both[0], both) == OTHER


async def test_of_unequal_workers_the_slow_one_is_spared():
    jobs = waiting(OTHER, *[HAS] * 3)
    fast, slow = both = team(2, (3e6, 1e6))
    assert choose(jobs, fast, both) == HAS, "a quarter of the jobs does not deserve three quarters of the speed"
    assert choose(jobs, slow, both) == OTHER


async def test_a_worker_without_a_known_speed_counts_as_the_mean_of_the_others():
    jobs = waiting(OTHER, *[HAS] * 3)
    known, new, *_ = all_four = team(4, (1e6, None, 1e6, 1e6))
    assert choose(jobs, new, all_four) == OTHER
    assert choose(jobs, known, all_four) == HAS
