"""Whose turn it is: a bounded queue that serves requesters in turns and each one's jobs in order.

Pure: knows ids, but neither what a job is nor when it is drawn.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

# Who fits what is being drawn may go before somebody who does not, so many times.
MAX_OVERTAKEN = 4


class Full(Exception):
    """As many are waiting as may wait. ``str()`` is that number."""


@dataclass(frozen=True, order=True)
class Place:
    """A job's place in the queue: the round in which its requester is served, then first come first served."""

    turn: int
    arrival: int
    requester: str = field(compare=False)
    job: str = field(compare=False)


class FairQueue:
    """The queue. A job is overtaken by no more jobs of another requester than its own requester has before it, and by
    MAX_OVERTAKEN that suit better.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._places: list[Place] = []
        self._turn = 0
        self._arrivals = 0
        self._returns = 0
        self._overtaken: Counter[str] = Counter()
        # The last turn that each requester has taken or waits for; forgotten once it is past.
        self._last_turns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def order(self) -> list[str]:
        """The jobs in the order in which they will be served, if nobody else comes."""
        return [place.job for place in sorted(self._places)]

    def add(self, job: str, requester: str) -> None:
        """Take a place behind the requester's other jobs. Raises Full."""
        if len(self._places) >= self._limit:
            raise Full(self._limit)
        turn = max(self._turn, self._last_turns.get(requester, -1) + 1)
        self._last_turns[requester] = turn
        self._arrivals += 1
        self._places.append(Place(turn, self._arrivals, requester, job))

    def exchange(self, job: str, new: str) -> None:
        """Let ``new``, of the same requester, wait in the very place of ``job``. A full queue does not mind."""
        self._places = [replace(place, job=new) if place.job == job else place for place in self._places]

    def take(self, suits: Callable[[str], bool] = lambda job: True, *, only_suiting: bool = False) -> Place | None:
        """The next job's place, which is now free: the first that ``suits``, but nobody is overtaken for ever.

        Where none does it is the very first, or None with ``only_suiting``.
        """
        if not self._places:
            return None
        order = sorted(self._places)
        head = order[0]
        place = next((place for place in order if suits(place.job)), None)
        if place is None or (place is not head and self._overtaken[head.job] >= MAX_OVERTAKEN):
            if only_suiting:
                return None
            place = head
        self._overtaken.update(waiting.job for waiting in order[: order.index(place)])
        del self._overtaken[place.job]
        self._places.remove(place)
        self._turn = min([place.turn, *(waiting.turn for waiting in self._places)])
        if self._places:
            self._last_turns = {who: turn for who, turn in self._last_turns.items() if turn >= self._turn}
        else:
            self._last_turns = {place.requester: place.turn}
        return place

    def give_back(self, place: Place) -> None:
        """Put back what was taken, in front of everybody."""
        self._returns -= 1
        self._last_turns.setdefault(place.requester, self._turn)
        self._places.append(replace(place, turn=self._turn, arrival=self._returns))

    def remove(self, job: str) -> None:
        """Leave the queue; the requester's later jobs move up. Without such a job, do nothing."""
        gone = next((place for place in self._places if place.job == job), None)
        if gone is None:
            return
        self._places.remove(gone)
        who = gone.requester
        # What was given back shares its turn with others of its requester's.
        self._places = [
            replace(place, turn=place.turn - 1) if place.requester == who and place.turn > gone.turn else place
            for place in self._places
        ]
        left = [place.turn for place in self._places if place.requester == who]
        self._last_turns[who] = max([self._last_turns[who] - 1, *left])
