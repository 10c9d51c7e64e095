"""Only the present attempt counts: what comes late from an earlier one is dropped."""

import asyncio
import tempfile

from generator.api.types import JobRequest, RecipeRequest, Slots
from generator.cluster.messages import Said
from generator.cluster.models import Models
from generator.cluster.remote import Driver, RemoteWorker, private_folder
from generator.service.job import Job
from generator.workers.conversation import Inbox
from generator.workers.messages import DrawingEvent, Progress, WorkerState
from tests.helpers.running_generator import recipe_of, stand_in_capabilities

STEP = Progress(1, 3, WorkerState())


async def test_an_event_of_an_earlier_start_of_the_job_is_nobodys():
    recipe = recipe_of(subject=("otter",))
    job = Job(
        "one", JobRequest(requester="ann", recipes=(RecipeRequest(slots=Slots(subject=("otter",))),)), (recipe,), ()
    )
    first, job.starts = job.drawing_id(0), job.starts + 1
    inbox = Inbox()
    with inbox.events_of(job.drawing_id(0)) as events:
        inbox.put(DrawingEvent(first, STEP))
        inbox.put(DrawingEvent(job.drawing_id(0), STEP))
        assert (events.get_nowait(), events.empty()) == (STEP, True)


async def test_a_message_of_an_earlier_start_of_the_worker_is_nobodys():
    driver = Driver.__new__(Driver)
    driver._workers, driver._news, said = {}, lambda _: None, []
    driver.send = said.append
    first, second = (driver.start_worker("attic", "cpu", Inbox()) for _ in range(2))
    assert isinstance(first, RemoteWorker)
    await first.kill()
    for start in said[:2]:
        driver._sort(Said(start.key, STEP))
    assert first.inbox.greeting.qsize() == 1, "its end, and nothing after it"
    assert second.inbox.greeting.get_nowait() is STEP
    await asyncio.sleep(0)


def test_models_are_remembered_while_their_machine_is_away(tmp_path):
    models = Models(tmp_path / "machines.json", stand_in_capabilities)
    assert models.look_here() and not models.look_here()
    assert models.draws_here("stand-in") and models.draws_here("never seen")
    models.learn("attic", frozenset({"large"}))
    models.left("attic")
    again = Models(tmp_path / "machines.json", stand_in_capabilities)
    again.look_here()
    assert not again.draws_here("large") and not again.draws("attic", "large")
    assert again.elsewhere() == frozenset()
    again.learn("attic", frozenset({"large"}))
    assert again.draws("attic", "large") and again.elsewhere() == {"large"}


def test_the_folder_of_a_killed_process_is_removed_and_one_in_use_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "easel-left"
    left.mkdir()
    (left / "in-use").touch()
    (left / "photo").touch()
    with private_folder() as used, private_folder() as other:
        assert not left.exists()
        assert used.exists() and other.exists()
    assert not list(tmp_path.iterdir())
