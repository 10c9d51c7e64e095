"""The answer to ``!easel queue``. Pure."""

from collections.abc import Mapping, Sequence

from ..jobs.job import Job
from ..jobs.waiting import Outlook, Outlooks, duration, in_turns, ordinal
from ..language import brief
from ..room.names import shown_name
from ..sending.rich import Rich, Text, blocks, bold, numbered, text

# A longer queue would fill a phone's screen.
MAX_LISTED = 10

EMPTY = "The queue is empty."
NOBODY_ELSE = "Nobody else is waiting."


def queue_text(
    jobs: Sequence[Job],
    outlooks: Outlooks,
    *,
    room_id: str,
    away: str | None,
    names: Mapping[str, str],
    asker: str = "",
) -> Text:
    """How many pictures are on their way into their rooms, then all that are yet to be drawn, in their order.

    ``names`` are the display names of their people. ``asker`` also reads their own place in a longer queue.

    A job of another room shows neither its person nor its prompt: rooms are walls. While the generator is away, it
    shows no forecast.
    """
    waiting = [job for job in jobs if not outlooks[job.id].is_drawn]
    drawn = sum(job.pictures for job in jobs if outlooks[job.id].is_drawn)
    if not waiting:
        return f"{_drawn(drawn)}\n{NOBODY_ELSE}" if drawn else EMPTY
    ordered = sorted(enumerate(in_turns(waiting)), key=lambda place: _rank(outlooks[place[1].id], place[0]))
    lines = [
        (_of_this_room(job, names) if job.message.room_id == room_id else text("someone in another room"))
        + ("" if away else _when(outlooks[job.id]))
        for _, job in ordered[:MAX_LISTED]
    ]
    own = (n for n, (_, job) in enumerate(ordered, 1) if (job.message.sender, job.message.room_id) == (asker, room_id))
    more = f"… and {len(ordered) - MAX_LISTED} more." if len(ordered) > MAX_LISTED else ""
    if (first_own := next(own, 0)) > MAX_LISTED:
        more += f" Yours is {ordinal(first_own)}."
    heading = f"{away} These wait for it:" if away else ""
    return blocks(_drawn(drawn) if drawn else "", heading, numbered(lines), more)


def _drawn(number: int) -> str:
    return f"{number} {'picture is' if number == 1 else 'pictures are'} drawn and being sent."


def _of_this_room(job: Job, names: Mapping[str, str]) -> Rich:
    return bold(shown_name(job.message.sender, names)) + f": {brief(job.title)}"


def _rank(outlook: Outlook, place: int) -> tuple[float, int]:
    if outlook.is_running:
        return 0, place
    return float("inf") if outlook.position is None else outlook.position, place


def _when(outlook: Outlook) -> str:
    if outlook.is_running:
        return " · drawing" + (f", {duration(outlook.eta_s)} left" if outlook.eta_s else "")
    return f" · ready in {duration(outlook.eta_s)}" if outlook.eta_s else ""
