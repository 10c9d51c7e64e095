"""The plan of the kills: the same seed gives the same strikes. Pure.

The machine's timing is not part of the plan: the effects of a strike differ from run to run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.torture.poison import Poison

SERVERS = ("maubot", "generator", "homeserver")

# A person sees an event some 50 ms after it is sent, so about half of the strikes at an event hit the step right after.
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
    """Send a command, wait for a moment of its life and a little longer, then kill; pause, and start all again.

    Several victims die one after the other, ``gap_s`` apart. The other person sends ``beside`` commands before that,
    and one more while a process is down if ``sends_more``. The ``poison`` comes beside the command.
    """

    person: int
    room: int
    renews_keys: bool
    beside: int
    poison: Poison
    moment: Moment
    delay_s: float
    victims: tuple[str, ...]
    gap_s: float
    sends_more: bool
    pause_s: float


def strikes(seed: int, kills: int, victims: Sequence[str] = SERVERS) -> Iterator[Strike]:
    """Yield strikes with that number of kills in all, of these victims."""
    random, poisons = Random(seed), Random(seed)
    while kills > 0:
        size = min(kills, random.choices((1, 2, 3), weights=(7, 2, 1))[0])
        kills -= size
        yield Strike(
            person=random.randrange(2),
            room=random.randrange(2),
            renews_keys=random.random() < 0.3,
            beside=random.randrange(3),
            poison=poisons.choice(tuple(Poison)),
            moment=random.choice(tuple(Moment)),
            delay_s=random.choice((0.0, random.uniform(0, LATER_S))),
            victims=tuple(random.sample(victims, size)),
            gap_s=random.choice((0.0, random.uniform(0, GAP_S))),
            sends_more=random.random() < 0.5,
            pause_s=random.uniform(0, PAUSE_S),
        )
