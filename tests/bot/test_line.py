"""The order in which jobs reach a generator that comes back, and what the queue shows meanwhile."""

import asyncio

from bot.easel.jobs.job import Job, job_id
from bot.easel.jobs.line import Line
from bot.easel.language import parse_all
from bot.easel.room.messages import Message
from generator.api import types as api
from tests.helpers.fake_generator import FakeGenerator

BOB = "@bob:example.com"


def job(name: str, sender: str, received_ms: int) -> Job:
    message = Message(room_id="!here", event_id=f"${name}", sender=sender, body="otter")
    return Job(id=name, message=message, asked=parse_all("otter"), seed=1, received_ms=received_ms)


async def order(line: Line, *jobs: Job) -> list[str]:
    """Submit the jobs of the line all at once; return the order in which they get their turns."""
    turns: list[str] = []

    async def submit(job: Job) -> None:
        await line.turn(job)
        # Each takes a while.
        await asyncio.sleep(0)
        turns.append(job.id)
        line.leave(job.id)

    await asyncio.gather(*map(submit, jobs))
    return turns


async def test_one_persons_jobs_go_in_their_order_and_begun_ones_before_all():
    line = Line()
    a1, a2, b1, b2 = job("a1", "@a", 1), job("a2", "@a", 2), job("b1", "@b", 3), job("b2", "@b", 4)
    for one in (b2, a2, a1):
        line.join(one)
    line.join(b1, is_begun=True)
    turns = await order(line, a2, b2, a1, b1)
    assert turns[0] == "b1"
    assert turns.index("a1") < turns.index("a2")


async def test_nobody_waits_for_a_begun_job_that_cannot_be_submitted():
    line = Line()
    a1, b1 = job("a1", "@a", 1), job("b1", "@b", 2)
    line.join(a1, is_begun=True)
    line.join(b1)
    line.let_others_go("a1")
    async with asyncio.timeout(60):
        await line.turn(b1)


class Drawing(FakeGenerator):
    """Draws the jobs of a certain requester until it is killed; all others wait."""

    def __init__(self, requester: str) -> None:
        super().__init__()
        self.requester = requester
        self.is_killed = asyncio.Event()
        self.sins["events"] = self._hold

    async def _hold(self, request):
        name = request.match_info["job"]
        state = "running" if self.jobs[name].requester == self.requester else "queued"
        position = 1 if state == "queued" else None
        status = self.status(name, state, position=position, eta_s=4)
        response = await self.stream(request, [api.StateEvent(job=status)])
        await self.is_killed.wait()
        return response


async def test_after_a_kill_the_job_that_was_being_drawn_comes_first(room, homeserver, serve, socket):
    killed, back = Drawing(BOB), FakeGenerator()
    await serve.unix(killed.app(), socket)
    ada = [await room.say("!draw otter"), await room.say("!draw owl")]
    bob = await room.say("!draw fox", sender=BOB)
    await homeserver.until(lambda: killed.asked.count("events") == 3)
    await room.say("!easel queue")
    (queue,) = await homeserver.answers()
    assert "fox · drawing, 4 s left" in queue.content["body"]

    await serve.stop_unix(socket)
    killed.is_killed.set()
    ada.append(await room.say("!draw dove"))
    await homeserver.until(lambda: [event for event in homeserver.events if event.kind == "note"])
    await room.say("!easel queue")
    queue = (await homeserver.answers(3))[-1]
    lines = queue.content["body"].splitlines()
    assert [line.split(": ")[-1] for line in lines[1:]] == ["fox", "otter", "owl", "dove"]

    await serve.unix(back.app(), socket)
    await homeserver.files(4)
    submitted = list(back.jobs)
    assert submitted[0] == job_id(bob)
    assert [name for name in submitted if name != job_id(bob)] == [job_id(event) for event in ada]


async def test_what_is_drawn_is_on_its_way_and_in_the_queue_no_longer(
    drawing_room, homeserver, fake_generator, maubot_plugin_config_dict, plugin
):
    """At usual rate limits the recipe comes long after the picture."""
    maubot_plugin_config_dict.update(rate_limit_per_second=0.2, rate_limit_burst=2)
    await plugin.on_external_config_update()
    await drawing_room.say("!draw otter")
    await homeserver.until(lambda: [event for event in homeserver.events if event.kind == "picture"])
    assert plugin.runner._tasks, "its recipe is still on its way"
    jobs = await plugin.runner._store.open_jobs()
    assert jobs
    await drawing_room.say("!easel queue")
    (queue,) = await homeserver.answers()
    assert queue.content["body"].splitlines() == ["1 picture is drawn and being sent.", "Nobody else is waiting."]
