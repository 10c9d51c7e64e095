"""What people see while jobs wait: a place on each job's sign, and a note in the room on the reason. Pure.

The reason is the generator's own sentence (for a full queue, say), or one of ``generator/errors.py``. The limit of open
jobs for one person is in ``policy/permissions.py``, the answer to ``!easel queue`` in ``commands/queue.py``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .job import Job


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The generator's last forecast for a job: its state, its place in the queue, the time until its last picture.

    The place is 0 for a job that comes first when the generator is back.
    """

    is_running: bool = False
    is_drawn: bool = False
    position: int | None = None
    eta_s: float | None = None


class Outlooks(dict[str, Outlook]):
    """The outlook of each job by its id; nothing is known of a job that is not there."""

    def __missing__(self, job_id: str) -> Outlook:
        return Outlook()


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th … 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """About how long, in one or two units."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def in_turns(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in drawing order: everyone's first, then everyone's second, each in order of arrival."""
    turns: Counter[str] = Counter()
    ranked = []
    for job in sorted(jobs, key=lambda job: job.received_ms):
        ranked.append((turns[job.message.sender], job.received_ms, job))
        turns[job.message.sender] += 1
    return [job for *_, job in sorted(ranked, key=lambda rank: rank[:2])]


def place_text(place: int) -> str:
    """The sign on the message of a person whose picture takes a while: their place in the queue."""
    return "⏳ next" if place <= 1 else f"⏳ {ordinal(place)}"


def away_text(reason: str, until: str) -> str:
    """The note in a room whose jobs wait until the generator takes them: it is off, or its queue is full."""
    return f"{reason} I'll draw when {until}."
