"""The answer to ``!easel queue``. Pure."""

from collections.abc import Mapping, Sequence

from ..jobs.job import Job
from ..jobs.waiting import Outlook, duration, in_turns
from ..language import brief

# A longer queue would fill a phone's screen.
MAX_LISTED = 20


def queue_text(jobs: Sequence[Job], outlooks: Mapping[str, Outlook], *, room_id: str, away: str | None) -> str:
    """How many jobs are on their way into their rooms, then all that are yet to be drawn, in their order.

    A job of another room shows neither its person nor its prompt: rooms are walls. While the generator is away, it
    shows no forecast.
    """
    waiting = [job for job in jobs if not outlooks.get(job.id, Outlook()).is_drawn]
    drawn = len(jobs) - len(waiting)
    lines = [f"{drawn} {'is' if drawn == 1 else 'are'} drawn and on the way into the room."] if drawn else []
    if not waiting:
        lines.append(f"Nobody {'else ' if drawn else ''}is waiting: it would be your turn.")
    elif away:
        lines.append(f"{away} These wait until that has changed:")
    ordered = sorted(
        enumerate(in_turns(waiting)), key=lambda place: _rank(outlooks.get(place[1].id, Outlook()), place[0])
    )
    for number, (_, job) in enumerate(ordered[:MAX_LISTED], start=1):
        outlook = outlooks.get(job.id, Outlook())
        here = job.message.room_id == room_id
        name = f"{job.message.sender}: {brief(job.title)}" if here else "someone in another room"
        lines.append(f"{number}. {name}{'' if away else _when(outlook)}")
    if len(ordered) > MAX_LISTED:
        lines.append(f"… and {len(ordered) - MAX_LISTED} more.")
    return "\n".join(lines)


def _rank(outlook: Outlook, place: int) -> tuple[float, int]:
    if outlook.is_running:
        return 0, place
    return float("inf") if outlook.position is None else outlook.position, place


def _when(outlook: Outlook) -> str:
    if outlook.is_running:
        return " — being drawn" + (f", {duration(outlook.eta_s)} left" if outlook.eta_s else "")
    return f" — in {duration(outlook.eta_s)}" if outlook.eta_s else ""
