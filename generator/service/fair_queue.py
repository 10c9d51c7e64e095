"""The fair queue: bounded, round-robin by requester, each requester's jobs in order.

Pure: knows ids, labels and work, but neither what a job is nor when it is drawn. Every question takes O(log n) steps;
removing a job moves the requester's later ones, each in as many.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from sortedcontainers import SortedList

from generator.service.eta import NO_WORK, Work
from generator.service.sum_tree import SumTree

# How many jobs that suit it better a worker may take before one whose turn it is. With fewer, workers spend their time
# loading models; with more, people wait: `benchmarks.fleet` shows both.
MAX_OVERTAKEN = 8

Key = TypeVar("Key")


class Full(Exception):
    """The queue is at its limit. ``str()`` is the limit."""


class Place(NamedTuple):
    """A job's place in the queue: ordered by round, then first come, first served. No two have the same arrival."""

    turn: int
    arrival: int
    requester: str
    job: str


@dataclass
class _Waiting:
    """A job in the queue, and how often each worker has taken another one when it was its turn."""

    place: Place
    labels: tuple[Hashable, ...]
    work: Work
    overtaken: Counter[str] = field(default_factory=Counter)


class FairQueue:
    """A queue of job ids, fair to requesters.

    Another requester's later jobs overtake a job no more often than its own requester has jobs before it. When its turn
    has come, each worker that can draw it takes at most MAX_OVERTAKEN jobs before it that suit the worker better.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._order = SumTree[Place, Work](NO_WORK)
        self._waiting: dict[str, _Waiting] = {}
        # Places of each requester, and places with each label.
        self._of: defaultdict[str, SortedList] = defaultdict(SortedList)
        self._with: defaultdict[Hashable, SortedList] = defaultdict(SortedList)
        self._turn = 0
        self._arrivals = 0
        self._returns = 0
        # The last turn that each requester took; dropped once it is past.
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def order(self) -> list[str]:
        """List the jobs in the order in which they are served if no other job comes."""
        return [place.job for place in self._order]

    @property
    def head(self) -> Place:
        """The first place of all. Raises StopIteration in an empty queue."""
        return next(iter(self._order))

    def before(self, job: str) -> tuple[int, Work]:
        """The number of jobs that are served before this one, and their work in order."""
        return self._order.before(self._waiting[job].place)

    def first(self, labels: Iterable[Hashable]) -> Place | None:
        """The first place with any of the labels."""
        return min((self._with[label][0] for label in labels if label in self._with), default=None)

    def count(self, label: Hashable) -> int:
        """The number of jobs with this label."""
        return len(self._with.get(label, ()))

    def add(self, job: str, requester: str, *, labels: tuple[Hashable, ...] = (), work: Work = NO_WORK) -> None:
        """Queue a job behind the requester's other jobs. Raises Full."""
        if len(self) >= self._limit:
            raise Full(self._limit)
        last = self._of[requester][-1].turn if requester in self._of else -1
        turn = max(self._turn, last + 1, self._taken.get(requester, -1) + 1)
        self._arrivals += 1
        self._insert(_Waiting(Place(turn, self._arrivals, requester, job), labels, work))

    def exchange(self, job: str, new: str, *, labels: tuple[Hashable, ...] = (), work: Work = NO_WORK) -> None:
        """Give the place of ``job`` to ``new``, a job of the same requester. Works in a full queue, too."""
        if job in self._waiting:
            old = self._discard(job)
            self._insert(_Waiting(old.place._replace(job=new), labels, work, old.overtaken))

    def choose(
        self,
        suiting: Iterable[Hashable] | None = None,
        *,
        able: Iterable[Hashable] | None = None,
        only_suiting: bool = False,
        worker: str = "",
    ) -> Place | None:
        """Return the place of the job that a ``worker`` should start: the first ``suiting`` the worker as it is.

        Without such a job, or if the first job that the worker is ``able`` to draw was overtaken too often, it is that
        one, or None with ``only_suiting``. Both are labels; None stands for every job. The place stays in the queue.
        """
        if not self._waiting:
            return None
        head = self.head if able is None else self.first(able)
        place = head if suiting is None else self.first(suiting)
        if head is None or place == head:
            return place
        if place is not None and self._waiting[head.job].overtaken[worker] < MAX_OVERTAKEN:
            return place
        return None if only_suiting else head

    def take(
        self,
        place: Place,
        *,
        able: Iterable[Hashable] | None = None,
        moving: Iterable[Hashable] | None = None,
        worker: str = "",
    ) -> None:
        """Remove a place that was chosen for a ``worker`` that is ``able``: its job starts.

        Jobs without one of the ``moving`` labels wait for nobody's turn, and hold up no other's; None is every job.
        """
        head = self.head if able is None else self.first(able)
        if head is not None and place != head:
            self._waiting[head.job].overtaken[worker] += 1
        self._discard(place.job)
        if moving is not None:
            self._took(place, self.first(moving))
        else:
            self._took(place, self.head if self._waiting else None)

    def give_back(self, place: Place, *, labels: tuple[Hashable, ...] = (), work: Work = NO_WORK) -> None:
        """Return a place that was taken to the head of the queue."""
        self._returns -= 1
        turn = min(self._turn, self.head.turn) if self._waiting else self._turn
        first = place._replace(turn=turn, arrival=self._returns)
        self._insert(_Waiting(first, labels, work))

    def remove(self, job: str) -> None:
        """Remove a job, so that the requester's later jobs move up. An unknown job does nothing."""
        if job not in self._waiting:
            return
        gone = self._discard(job).place
        later = self._of.get(gone.requester, SortedList()).irange((gone.turn + 1,))
        for place in list(later):
            moved = self._discard(place.job)
            moved.place = place._replace(turn=place.turn - 1)
            self._insert(moved)

    # ---- inside

    def _insert(self, waiting: _Waiting) -> None:
        place = waiting.place
        self._waiting[place.job] = waiting
        self._order.add(place, waiting.work)
        self._of[place.requester].add(place)
        for label in waiting.labels:
            self._with[label].add(place)

    def _discard(self, job: str) -> _Waiting:
        waiting = self._waiting.pop(job)
        self._order.remove(waiting.place)
        _remove(self._of, waiting.place.requester, waiting.place)
        for label in waiting.labels:
            _remove(self._with, label, waiting.place)
        return waiting

    def _took(self, place: Place, head: Place | None) -> None:
        """Note whose turn it was before the ``head``'s, and forget what no longer counts for anybody who waits."""
        taken = max(place.turn, self._taken.get(place.requester, -1))
        if head is None:
            self._turn, self._taken = place.turn, {place.requester: taken}
            return
        turn = min(place.turn, head.turn)
        self._taken[place.requester] = taken
        if turn > self._turn:
            self._turn = turn
            self._taken = {who: taken for who, taken in self._taken.items() if taken >= turn}


def _remove(places: defaultdict[Key, SortedList], key: Key, place: Place) -> None:
    places[key].remove(place)
    if not places[key]:
        del places[key]
