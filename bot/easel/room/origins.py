"""Knows which events of a sync came while the bot was away, and which are from before it joined their room.

Clocks are often wrong, other people's and our own. So what a running sync brings counts as new, however it is dated.
"""

import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from ..settings import CurrentSettings

# A first sync brings up to 50 events of each room: enough for 400 rooms.
MAX_NOTED = 20_000


class Origin(Enum):
    LIVE = "live"
    MISSED = "missed"
    BEFORE_US = "before us"


def awake_and_asleep_s() -> float:
    """Seconds on a clock that nobody sets. Linux has one that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def is_join(raw: dict[str, Any], user_id: str) -> bool:
    """Whether a raw event is that person's arrival in the room, and no change of name or picture."""
    before = _part(_part(raw, "unsigned"), "prev_content")
    is_about = raw.get("type") == "m.room.member" and raw.get("state_key") == user_id
    return is_about and _part(raw, "content").get("membership") == "join" != before.get("membership")


def _part(raw: dict[str, Any], key: str) -> dict[str, Any]:
    part = raw.get(key)
    return part if isinstance(part, dict) else {}


class Origins:
    """Notes the events of syncs that are not live."""

    def __init__(self, own_id: str, settings: CurrentSettings, clock: Callable[[], float] = awake_and_asleep_s) -> None:
        self._own_id, self._settings, self._clock = own_id, settings, clock
        self._synced_at = clock()
        self._noted: dict[str, Origin] = {}

    def note(self, sync: dict[str, Any]) -> list[str]:
        """Note where the events of a sync come from; return the rooms of which it left out events."""
        away_s, self._synced_at = self._clock() - self._synced_at, self._clock()
        # After a shorter absence nothing can be too old.
        was_away = sync["net.maunium.mautrix"]["is_first"] or away_s > self._settings().catch_up_s
        gaps = []
        for room_id, room in sync.get("rooms", {}).get("join", {}).items():
            timeline = room.get("timeline", {})
            events = [raw for raw in timeline.get("events", []) if isinstance(raw, dict)]
            joins = [at for at, raw in enumerate(events) if is_join(raw, self._own_id)]
            joined_at = joins[-1] if joins else 0
            self._note(events[:joined_at], Origin.BEFORE_US)
            if timeline.get("limited"):
                gaps.append(room_id)
            if was_away or timeline.get("limited"):
                self._note(events[joined_at:], Origin.MISSED)
        return gaps

    def of(self, event_id: str) -> Origin:
        return self._noted.get(event_id, Origin.LIVE)

    def _note(self, events: list[dict[str, Any]], origin: Origin) -> None:
        for raw in events:
            self._noted[str(raw.get("event_id"))] = origin
        while len(self._noted) > MAX_NOTED:
            del self._noted[next(iter(self._noted))]
