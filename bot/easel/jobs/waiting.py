"""Sentences about waiting: places, times, the queue. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..language import brief
from .job import Job

# A longer queue would fill a phone's screen.
MAX_LISTED = 20


@dataclass(frozen=True)
class Outlook:
    """What the generator last said of a job: its place among those that wait, and when its last picture is due."""

    is_running: bool = False
    position: int | None = None
    eta_s: float | None = None


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th … 11th … 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """About how long, in the two units that matter."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def in_turns(jobs: Sequence[Job]) -> list[Job]:
    """Jobs in the order in which they will be drawn: everyone's first, then everyone's second, each as they came."""
    turns: Counter[str] = Counter()
    ranked = []
    for job in sorted(jobs, key=lambda job: job.received_ms):
        ranked.append((turns[job.message.sender], job.received_ms, job))
        turns[job.message.sender] += 1
    return [job for *_, job in sorted(ranked, key=lambda rank: rank[:2])]


def waiting_text(position: int, eta_s: float | None) -> str:
    """The sentence for someone whose picture will take a while."""
    place = "You are next." if position == 1 else f"You are {ordinal(position)} in the queue."
    return place if eta_s is None else f"{place} Your picture should be here in {duration(eta_s)}."


def away_text(reason: str, until: str, place: int) -> str:
    """The sentence for someone whose job has to wait for the generator."""
    return f"{reason} I'll draw it when {until}, you are {ordinal(place)}."


def queue_text(jobs: Sequence[Job], outlooks: Mapping[str, Outlook], *, room_id: str, away: str | None) -> str:
    """Whose turn it is. Of other rooms' jobs only that there are some: rooms are walls."""
    if not jobs:
        return "Nobody is waiting: it would be your turn."
    lines = [f"{away} These wait until that has changed:"] if away else []
    ordered = sorted(enumerate(in_turns(jobs)), key=lambda place: _rank(outlooks.get(place[1].id, Outlook()), place[0]))
    for number, (_, job) in enumerate(ordered[:MAX_LISTED], start=1):
        outlook = outlooks.get(job.id, Outlook())
        here = job.message.room_id == room_id
        name = f"{job.message.sender}: {brief(job.title)}" if here else "someone in another room"
        lines.append(f"{number}. {name}{_when(outlook)}")
    if len(ordered) > MAX_LISTED:
        lines.append(f"… and {len(ordered) - MAX_LISTED} more.")
    return "\n".join(lines)


def _rank(outlook: Outlook, place: int) -> tuple[float, int]:
    if outlook.is_running:
        return 0, place
    return outlook.position or float("inf"), place


def _when(outlook: Outlook) -> str:
    if outlook.is_running:
        return " — being drawn" + (f", {duration(outlook.eta_s)} left" if outlook.eta_s else "")
    return f" — in {duration(outlook.eta_s)}" if outlook.eta_s else ""
