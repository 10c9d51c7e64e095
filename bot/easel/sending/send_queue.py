"""Sends everything into rooms, in order of importance and at the pace that the homeserver allows.

Pictures go first, then recipes and answers; within a priority, people take turns. A room gets one event at a time, and
one that is stuck holds up only its own room. Progress goes only if there is room for it beside the events that open
jobs still owe, and is dropped otherwise. If too many answers to one person wait, one sentence takes the place of the
rest. Nothing else is ever dropped: the queue waits out rate limits. Knows neither what a picture is nor how an event
reaches the homeserver.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import count
from logging import Logger
from typing import Any, Protocol

from ..bug_log import log_bug
from .rate_limit import RateLimit

# While a homeserver is away, the pauses double up to the longest. The queue waits as long as it takes.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

# Synapse holds a refusal back for so long, and gives the pause from when it got the event.
HELD_BACK_S = 0.5

# How many droppable events of one priority may wait for one person: an answer to each job that they may have open, if
# all end at once. At Synapse's usual limit these take 100 s.
MAX_WAITING_A_PERSON = 20

# To how many rooms events of one person are on their way at once. Each keeps a connection to the homeserver for up to a
# minute if the room is stuck, and the sync and the files need some of the hundred that a client has.
MAX_ROOMS_A_PERSON = 10

TOO_MANY = "That's more than I can answer at once. Ask me again in a minute or two."


class Priority(IntEnum):
    # What a person waits for at once. `promptness` keeps one person's flood of these from everybody's pictures.
    PROMPT = 0
    PICTURE = 1
    ANSWER = 2
    # Last signs, and redactions of outdated ones: they wait for all of the above, and are never dropped.
    TIDY = 3
    PROGRESS = 4
    # Reactions to press: they wait until no open job needs the room.
    OFFER = 5


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One event. ``txn_id`` makes sending it again harmless. ``redacts`` is the event that a redaction removes.

    ``person`` caused it, by a command, a reaction or an invitation, and takes turns with other people.
    """

    room_id: str
    txn_id: str
    person: str = ""
    is_droppable: bool = False
    event_type: str = "m.room.message"
    content: dict[str, Any] = field(default_factory=dict)
    redacts: str | None = None


class NotSent(Exception):
    """The event will not arrive. ``str()`` says why, for the log."""


class SlowDown(Exception):
    """The homeserver's rate limit; nothing was sent. ``wait_s`` is how long it asks us to wait, or None."""

    def __init__(self, wait_s: float | None) -> None:
        super().__init__("rate limited" if wait_s is None else f"rate limited for {wait_s:g} s")
        self.wait_s = wait_s


class Unreachable(Exception):
    """The homeserver did not answer, or only with an error of its own; the event may or may not have arrived."""


class Sender(Protocol):
    async def send(self, event: Outgoing) -> str:
        """Send one event to the homeserver and return its id. Raises NotSent, SlowDown, Unreachable."""


class Debt:
    """The events that an open job still has to send."""

    def __init__(self, events: int) -> None:
        self.events = events

    def pay(self) -> None:
        self.events = max(0, self.events - 1)


@dataclass
class _Round:
    """The present round of a priority. In each round, everybody who waits has one turn."""

    number: int = 0
    served: set[str] = field(default_factory=set)

    def turn_of(self, person: str) -> int:
        """The round in which a person's next event may go, if none of theirs waits."""
        return self.number + (person in self.served)

    def serve(self, person: str, turn: int) -> None:
        if turn > self.number:
            self.number, self.served = turn, set()
        self.served.add(person)


@dataclass(order=True)
class _Waiting:
    priority: Priority
    turn: int
    number: int
    event: Outgoing = field(compare=False)
    sent: "asyncio.Future[str | None]" = field(compare=False)
    tries: int = field(default=0, compare=False)


class SendQueue:
    """Sends events by priority: ``send`` puts them into the queue, and ``run`` sends them."""

    def __init__(
        self,
        sender: Sender,
        rate_limit: RateLimit,
        log: Logger,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        sent_to: Callable[[str], None] = lambda room_id: None,
    ) -> None:
        """``sent_to`` is called with the room of each event that was sent."""
        self._sender, self._log, self._sent_to = sender, log, sent_to
        self.rate_limit, self._first_pause_s = rate_limit, first_pause_s
        # Those whose time has come wait as well; others are on their way, or pause until their next try.
        self._unsent: list[_Waiting] = []
        self._waiting: list[_Waiting] = []
        # The person of the event that is on its way into a room.
        self._on_its_way: dict[str, str] = {}
        # Each such event's task, by transaction id.
        self._trying: dict[str, asyncio.Task[None]] = {}
        self._rounds = {priority: _Round() for priority in Priority}
        self._numbers = count()
        self._news = asyncio.Event()
        self._debts: set[Debt] = set()

    @contextmanager
    def owing(self, events: int) -> Iterator[Debt]:
        """Reserve room for the events of an open job, which progress leaves free."""
        debt = Debt(events)
        self._debts.add(debt)
        try:
            yield debt
        finally:
            self._debts.discard(debt)
            # An offer may wait for this.
            self._news.set()

    async def send(self, event: Outgoing, priority: Priority = Priority.ANSWER) -> str | None:
        """Send an event; return its id, or None if it was dropped. Raises NotSent."""
        own = [other for other in self._unsent if (other.event.person, other.priority) == (event.person, priority)]
        admitted = _admitted(event, own)
        if admitted is None:
            return None
        if admitted is not event:
            self._log.info(f"{event.person} has {len(own)} answers waiting, and further ones are left out")
        turn = max([self._rounds[priority].turn_of(event.person), *(other.turn + 1 for other in own)])
        sent: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(priority, turn, next(self._numbers), admitted, sent)
        self._unsent.append(waiting)
        self._put(waiting)
        try:
            return await sent
        finally:
            self._unsent.remove(waiting)

    async def run(self) -> None:
        """Send until cancelled, which also ends what is on its way."""
        async with asyncio.TaskGroup() as sending:
            while True:
                first = self._first()
                if first is None:
                    await self._news_within(None)
                elif first.sent.cancelled():
                    self._waiting.remove(first)
                elif first.priority is Priority.PROGRESS and self.rate_limit.room() - 1 < self._owed():
                    self._waiting.remove(first)
                    first.sent.set_result(None)
                elif first.priority is Priority.OFFER and self.rate_limit.room() - 1 < self._owed():
                    await self._news_within(self.rate_limit.pause_s())
                elif wait_s := self.rate_limit.wait_s():
                    # Something more important may come meanwhile.
                    await self._news_within(wait_s)
                else:
                    self._begin(first)
                    name = f"sending {first.event.txn_id}"
                    self._trying[first.event.txn_id] = sending.create_task(self._try(first), name=name)
                    # However many rooms wait, the rest of the bot has its turn between them.
                    await asyncio.sleep(0)

    async def landed(self, txn_id: str) -> None:
        """Return when the event with that transaction id is not on its way; nobody may wait for it any more."""
        if trying := self._trying.get(txn_id):
            await asyncio.wait({trying})

    def _first(self) -> _Waiting | None:
        """The first event that another one on its way does not hold up."""
        busy = Counter(self._on_its_way.values())
        return min(
            (
                waiting
                for waiting in self._waiting
                if waiting.event.room_id not in self._on_its_way and busy[waiting.event.person] < MAX_ROOMS_A_PERSON
            ),
            default=None,
        )

    def _begin(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        self._on_its_way[waiting.event.room_id] = waiting.event.person
        # Counted before it is sent, so that all that are on their way keep within the limit together.
        self.rate_limit.take()

    async def _try(self, waiting: _Waiting) -> None:
        began = asyncio.get_running_loop().time()
        try:
            event_id = await self._sender.send(waiting.event)
        except SlowDown as error:
            # Without a least pause, a homeserver that asks for 0 s would be asked without end.
            pause_s = self.rate_limit.pause_s() if error.wait_s is None else max(error.wait_s, self._first_pause_s)
            self._log.info(f"The homeserver wants {pause_s:.1f} s of quiet before {waiting.event.txn_id}")
            held_back_s = min(asyncio.get_running_loop().time() - began, HELD_BACK_S)
            self.rate_limit.close(pause_s - held_back_s)
            self._put(waiting)
        except Unreachable as error:
            pause_s = min(LONGEST_PAUSE_S, self._first_pause_s * 2 ** min(waiting.tries, 10))
            waiting.tries += 1
            self._log.warning(f"Sending {waiting.event.txn_id} failed, next try in {pause_s:.1f} s: {error}")
            self.rate_limit.give_back()
            self._later(waiting, pause_s)
        except NotSent as error:
            self.rate_limit.give_back()
            self._give_up(waiting, error)
        except Exception as error:
            # Without this the queue would end, and the bot would be silent for ever.
            log_bug(self._log, f"sending {waiting.event.txn_id}", error)
            self.rate_limit.give_back()
            self._give_up(waiting, NotSent(f"an unexpected {type(error).__name__}"))
        else:
            self.rate_limit.accepted()
            # What was refused has had no turn.
            self._rounds[waiting.priority].serve(waiting.event.person, waiting.turn)
            self._sent_to(waiting.event.room_id)
            if not waiting.sent.done():
                waiting.sent.set_result(event_id)
        finally:
            del self._on_its_way[waiting.event.room_id], self._trying[waiting.event.txn_id]
            self._news.set()

    def _later(self, waiting: _Waiting, pause_s: float) -> None:
        """Send an event again, with its transaction id, after a pause that holds up no other event."""
        timer = asyncio.get_running_loop().call_later(pause_s, self._put, waiting)
        waiting.sent.add_done_callback(lambda sent: timer.cancel())

    def _put(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._news.set()

    def _give_up(self, waiting: _Waiting, error: NotSent) -> None:
        self._log.error(f"{waiting.event.txn_id} was not sent to {waiting.event.room_id}: {error}")
        if not waiting.sent.done():
            waiting.sent.set_exception(error)

    async def _news_within(self, wait_s: float | None) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            pass

    def _owed(self) -> int:
        return sum(debt.events for debt in self._debts)


def _admitted(event: Outgoing, own: list[_Waiting]) -> Outgoing | None:
    """The event; beyond the limit, a sentence in place of one message, and None for what comes while that waits."""
    if not event.is_droppable:
        return event
    if any(other.event.content.get("body") == TOO_MANY for other in own):
        return None
    if sum(other.event.is_droppable for other in own) < MAX_WAITING_A_PERSON:
        return event
    if "body" not in event.content:
        return None
    plain = {key: value for key, value in event.content.items() if key not in ("format", "formatted_body")}
    return replace(event, content={**plain, "body": TOO_MANY})
