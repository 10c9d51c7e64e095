"""Send commands and poison in two rooms, kill the processes that draw and deliver, and start them again."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from household.heard import Heard
from household.home import Household
from household.json_api import Refusal
from household.person import Person
from tests.torture import poison
from tests.torture.mortals import Mortal
from tests.torture.plan import Moment, Strike
from tests.torture.reckoning import PICTURE, RECIPE, Command

COMMAND = "!draw otter, top hat --steps 2 --seed {seed}"

# If the moment does not come in time, the strike happens anyway.
MOMENT_LIMIT_S = 10

# The generator's states of a job at these moments. A missed state has become the next.
STATES = {Moment.ACKNOWLEDGED: (), Moment.DRAWING: ("running", "done"), Moment.DRAWN: ("done",)}

# Below the bot's limit for one person; enough to have jobs at every point of their life.
MAX_OPEN = 12

# The bot retries a server that was away within a minute.
STUCK_S = 180
QUIET_S = 15


class Campaign:
    """Two people and a hostile stranger who share rooms with the bot, the commands of the two, and the kills so far."""

    def __init__(
        self,
        home: Household,
        people: tuple[Person, Person],
        stranger: Person,
        rooms: tuple[str, str],
        elsewhere: str,
        mortals: Mapping[str, Mortal],
        report: Callable[[str], None],
    ) -> None:
        """Commands are sent in ``rooms`` only; ``elsewhere`` is the stranger's room, where all of them are as well."""
        self._home, self._people, self._rooms, self._report = home, people, rooms, report
        self._stranger, self._elsewhere = stranger, elsewhere
        self._mortals = mortals
        self._seeds = itertools.count()
        self.commands: list[Command] = []
        self.kills_at_ms: list[int] = []

    async def strike(self, strike: Strike) -> None:
        """Send commands, kill and start again. Raises TimeoutError when too many jobs are open for too long."""
        await self._people[0].until(lambda: self._open() < MAX_OPEN, timeout_s=STUCK_S)
        for mortal in self._mortals.values():
            mortal.check()
        person, other = self._people[strike.person], self._people[1 - strike.person]
        room_id, other_room_id = self._rooms[strike.room], self._rooms[1 - strike.room]
        if strike.renews_keys:
            person.renew_keys(room_id)
        async with asyncio.TaskGroup() as sending:
            sent = sending.create_task(self._say(person, room_id))
            for _ in range(strike.beside):
                sending.create_task(self._say(other, other_room_id))
            sending.create_task(self._poison(strike.poison, sent, person))
            if strike.moment is not Moment.SENDING:
                await self._wait_for(strike.moment, await sent)
            await asyncio.sleep(strike.delay_s)
            await self._kill(strike.victims, strike.gap_s)
            victims = " and ".join(strike.victims)
            news = f"{victims} {strike.moment}, beside {strike.poison}"
            self._report(f"{len(self.kills_at_ms)} kills: {news}; {self._open()} jobs open")
            if strike.sends_more:
                sending.create_task(self._say(other, other_room_id))
            await asyncio.sleep(strike.pause_s)
            await self._start(strike.victims)

    async def cut_the_power(self) -> None:
        """Kill every process at once while all is quiet, and start them again."""
        await self._kill(tuple(self._mortals), 0)
        await self._start(tuple(self._mortals))

    async def settle(self) -> None:
        """Wait until every command has its picture and all is quiet, or until nothing comes any more."""
        news = self._people[0].listen()
        with suppress(TimeoutError):
            while True:
                await asyncio.wait_for(anext(news), STUCK_S if self._open() else QUIET_S)

    async def _say(self, person: Person, room_id: str) -> Command:
        seed = next(self._seeds)
        command = Command(await person.say(room_id, COMMAND.format(seed=seed)), room_id, seed)
        self.commands.append(command)
        return command

    async def _poison(self, kind: poison.Poison, sent: asyncio.Task[Command], sender: Person) -> None:
        await poison.send(kind, await sent, sender=sender, elsewhere=self._elsewhere, stranger=self._stranger)

    async def _kill(self, victims: tuple[str, ...], gap_s: float) -> None:
        for name in victims:
            await self._mortals[name].kill()
            self.kills_at_ms.append(int(time.time() * 1000))
            await asyncio.sleep(gap_s)

    async def _start(self, victims: tuple[str, ...]) -> None:
        await asyncio.gather(*(self._mortals[name].start() for name in victims))

    async def _wait_for(self, moment: Moment, command: Command) -> None:
        """Wait for that moment of the command's life, or until it takes too long to come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_LIMIT_S):
                if moment is Moment.PICTURE:
                    await self._people[0].until(lambda: self._shown(command, PICTURE))
                elif moment is Moment.RECIPE:
                    await self._people[0].until(lambda: self._shown(command, RECIPE))
                elif moment is not Moment.SENT:
                    shown = await self._people[0].until(lambda: self._shown(command))
                    is_there = partial(self._job_is, shown[0].mark["job"], STATES[moment])
                    await self._home.generator.child.wait_until(is_there)

    async def _job_is(self, job: str, states: tuple[str, ...]) -> bool:
        """Whether the job is in one of these states. True without states, and then the generator is not asked."""
        try:
            return not states or (await self._home.generator.job(job))["state"] in states
        except Refusal:
            return False

    def _shown(self, command: Command, *kinds: str) -> list[Heard]:
        """The bot's events for that command, of these kinds or of any."""
        return [
            event
            for event in self._people[0].heard
            if command.event_id in (event.reply_to, event.content.get("m.relates_to", {}).get("event_id"))
            and event.sender == self._home.bot.user_id
            and (not kinds or event.mark.get("kind") in kinds)
        ]

    def _open(self) -> int:
        done = {event.reply_to for event in self._people[0].heard if event.mark.get("kind") == PICTURE}
        return sum(command.event_id not in done for command in self.commands)
