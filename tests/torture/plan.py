"""When to kill what: the same seed gives the same strikes. Pure.

The seed does not fix what the machine's timing makes of them; that is what differs from run to run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

VICTIMS = ("maubot", "generator", "homeserver")

# A person sees an event some 50 ms after it was sent: about half of the strikes at an event hit what follows at once.
LATER_S = 0.4
GAP_S = 2.0
PAUSE_S = 3.0


class Moment(StrEnum):
    """A point in the life of a command's job."""

    SENDING = "while the command is sent"
    SENT = "when the command is sent"
    ACKNOWLEDGED = "when it is acknowledged"
    DRAWING = "when it is being drawn"
    DRAWN = "when it is drawn and being uploaded"
    PICTURE = "when its picture is there"
    RECIPE = "when its recipe is there"


@dataclass(frozen=True)
class Strike:
    """Say a command, wait for a moment of its life and a little longer, then kill; pause, and start all again.

    Several victims fall one after the other, ``gap_s`` apart. The other person says ``beside`` commands before that,
    and one more while something is down if ``says_more``.
    """

    person: int
    room: int
    renews_keys: bool
    beside: int
    moment: Moment
    delay_s: float
    victims: tuple[str, ...]
    gap_s: float
    says_more: bool
    pause_s: float


def strikes(seed: int, kills: int) -> Iterator[Strike]:
    """As many as make that number of kills."""
    random = Random(seed)
    while kills > 0:
        size = min(kills, random.choices((1, 2, 3), weights=(7, 2, 1))[0])
        kills -= size
        yield Strike(
            person=random.randrange(2),
            room=random.randrange(2),
            renews_keys=random.random() < 0.3,
            beside=random.randrange(3),
            moment=random.choice(tuple(Moment)),
            delay_s=random.choice((0.0, random.uniform(0, LATER_S))),
            victims=tuple(random.sample(VICTIMS, size)),
            gap_s=random.choice((0.0, random.uniform(0, GAP_S))),
            says_more=random.random() < 0.5,
            pause_s=random.uniform(0, PAUSE_S),
        )
