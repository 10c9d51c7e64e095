"""Who gets an answer at once: before pictures, even where a homeserver allows one event in five seconds.

One person's flood of commands must not keep everybody's pictures waiting, so only the first is prompt. Knows no events.
"""

import time
from collections import deque
from collections.abc import Callable

from .send_queue import Priority

# A person who gets an answer in this time has been answered.
WITHIN_S = 30.0

# So many commands in that time are acknowledged by a sign each, whatever open jobs owe; further signs are progress.
MAX_SIGNS = 4

# People who asked in that time; the oldest are forgotten beyond this.
MAX_PEOPLE = 1000


class Promptness:
    """Notes when each person was answered and acknowledged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: dict[str, deque[float]] = {}
        self._signs: dict[str, deque[float]] = {}

    def of_answer(self, person: str) -> Priority:
        """The priority of an answer to that person."""
        return Priority.ANSWER if self._note(self._answers, person) else Priority.PROMPT

    def of_sign(self, person: str) -> Priority:
        """The priority of the sign that acknowledges a command of that person."""
        earlier = self._note(self._signs, person)
        if earlier >= MAX_SIGNS:
            return Priority.PROGRESS
        return Priority.ANSWER if earlier else Priority.PROMPT

    def _note(self, times: dict[str, deque[float]], person: str) -> int:
        """Note one more; return how many there were within the time."""
        own, now = times.pop(person, deque(maxlen=MAX_SIGNS + 1)), self._clock()
        while own and own[0] <= now - WITHIN_S:
            own.popleft()
        earlier = len(own)
        own.append(now)
        times[person] = own
        while len(times) > MAX_PEOPLE:
            del times[next(iter(times))]
        return earlier
