"""The fair queue without its speed: what tests compare it with."""

from collections import Counter
from collections.abc import Callable

from generator.service.fair_queue import MAX_OVERTAKEN, Full, Place


class SimpleQueue:
    """A fair queue as a plain list, sorted at each question: what `FairQueue` must do, whatever its speed."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._places: list[Place] = []
        self._turn = 0
        self._arrivals = 0
        self._returns = 0
        # By job and worker.
        self._overtaken: Counter[tuple[str, str]] = Counter()
        # The last turn that each requester took; dropped once it is past.
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    def order(self) -> list[str]:
        """List the jobs in the order in which they are served if no other job comes."""
        return [place.job for place in sorted(self._places)]

    def add(self, job: str, requester: str) -> None:
        """Queue a job behind the requester's other jobs. Raises Full."""
        if len(self._places) >= self._limit:
            raise Full(self._limit)
        waiting = (place.turn for place in self._places if place.requester == requester)
        turn = max(self._turn, max(waiting, default=-1) + 1, self._taken.get(requester, -1) + 1)
        self._arrivals += 1
        self._places.append(Place(turn, self._arrivals, requester, job))

    def exchange(self, job: str, new: str) -> None:
        """Give the place of ``job`` to ``new``, a job of the same requester. Works in a full queue, too."""
        self._places = [place._replace(job=new) if place.job == job else place for place in self._places]
        by_key = {(new if key[0] == job else key[0], key[1]): count for key, count in self._overtaken.items()}
        self._overtaken = Counter(by_key)

    def take(
        self, suits: Callable[[str], bool] = lambda job: True, *, only_suiting: bool = False, worker: str = ""
    ) -> Place | None:
        """Remove the next job and return its place: the first that ``suits``, unless the ``worker`` did so too often.

        Without one that suits it is the head of the queue, or None with ``only_suiting``. None if the queue is empty.
        """
        if not self._places:
            return None
        order = sorted(self._places)
        head = order[0]
        place = next((place for place in order if suits(place.job)), None)
        is_too_often = self._overtaken[head.job, worker] >= MAX_OVERTAKEN
        if place is None or (place is not head and is_too_often):
            if only_suiting:
                return None
            place = head
        if place is not head:
            self._overtaken[head.job, worker] += 1
        self._forget(place.job)
        self._places.remove(place)
        self._turn = min([place.turn, *(waiting.turn for waiting in self._places)])
        turn = max(place.turn, self._taken.get(place.requester, -1))
        others = self._taken if self._places else {}
        self._taken = {who: turn for who, turn in others.items() if turn >= self._turn} | {place.requester: turn}
        return place

    def give_back(self, place: Place) -> None:
        """Return a place that was taken to the head of the queue."""
        self._returns -= 1
        self._places.append(place._replace(turn=self._turn, arrival=self._returns))

    def remove(self, job: str) -> None:
        """Remove a job, so that the requester's later jobs move up. An unknown job does nothing."""
        gone = next((place for place in self._places if place.job == job), None)
        if gone is None:
            return
        self._places.remove(gone)
        self._forget(job)
        self._places = [
            place._replace(turn=place.turn - 1)
            if place.requester == gone.requester and place.turn > gone.turn
            else place
            for place in self._places
        ]

    def _forget(self, job: str) -> None:
        self._overtaken = Counter({key: count for key, count in self._overtaken.items() if key[0] != job})
