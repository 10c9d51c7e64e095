"""Compare the commands with what was delivered. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from household.heard import Heard

PICTURE, RECIPE = "picture", "recipe"


@dataclass(frozen=True)
class Command:
    """A command that the homeserver has taken."""

    event_id: str
    room_id: str
    seed: int


@dataclass(frozen=True)
class Delivery:
    """The result of one command: the number of its pictures, and the seeds of its recipes."""

    command: Command
    pictures: int
    seeds: tuple[int, ...]

    @property
    def is_lost(self) -> bool:
        return not self.pictures or set(self.seeds) != {self.command.seed}

    @property
    def is_twice(self) -> bool:
        return self.pictures > 1 or len(self.seeds) > 1

    def __str__(self) -> str:
        asked = f"{self.command.event_id} in {self.command.room_id}, seed {self.command.seed}"
        return f"{asked}: {self.pictures} pictures, recipes of seeds {list(self.seeds)}"


def deliveries(
    commands: Iterable[Command], pictures: Iterable[str | None], recipes: Iterable[tuple[str | None, int]]
) -> tuple[Delivery, ...]:
    """Count by command. ``pictures`` holds the command that each picture answers, ``recipes`` command and seed."""
    count, seeds = Counter(pictures), defaultdict[str | None, list[int]](list)
    for event_id, seed in recipes:
        seeds[event_id].append(seed)
    return tuple(Delivery(command, count[command.event_id], tuple(seeds[command.event_id])) for command in commands)


def cut_short(sent_at_ms: Mapping[str, int], shown: Iterable[Heard], kills_at_ms: Iterable[int]) -> Counter[str]:
    """Count the stages of the jobs that were open at each kill. ``shown`` are the bot's events that people saw."""
    kinds_of = defaultdict[str, list[tuple[int, str]]](list)
    for event in shown:
        if command := event.reply_to or event.content.get("m.relates_to", {}).get("event_id"):
            kinds_of[command].append((event.sent_at_ms, event.mark.get("kind", "")))
    stages = Counter[str]()
    for kill in kills_at_ms:
        for command, sent in sent_at_ms.items():
            kinds = {kind for at, kind in kinds_of[command] if at < kill}
            if sent < kill and PICTURE not in kinds:
                stages["recipe without picture" if RECIPE in kinds else "acknowledged" if kinds else "only sent"] += 1
    return stages
