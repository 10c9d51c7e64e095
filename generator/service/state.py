"""The states of the dispatcher, and the moves between them. Knows nothing of jobs or workers."""

from enum import Enum


class ImpossibleMove(Exception):
    """The new state cannot follow the present one."""


class State(Enum):
    PAUSED = "paused"
    RUNNING = "running"
    # Nobody has drawn for a while: the worker is closed until the next job.
    IDLE = "idle"
    # Another program holds the card's memory: nothing starts before the next look at the card.
    CARD_BUSY = "waiting for the card"
    DRAINING = "draining"
    # The loop has met a bug: nothing is drawn any more, and the service must end.
    BROKEN = "broken"

    def to(self, state: "State") -> "State":
        """Return the next state, which may be the same. Raises ImpossibleMove."""
        if state is not self and state not in _MOVES[self]:
            raise ImpossibleMove(f"the dispatcher is {self.value} and cannot become {state.value}")
        return state


_MOVES = {
    State.PAUSED: {State.RUNNING, State.DRAINING},
    State.RUNNING: {State.PAUSED, State.IDLE, State.CARD_BUSY, State.DRAINING, State.BROKEN},
    State.IDLE: {State.RUNNING, State.PAUSED, State.DRAINING, State.BROKEN},
    State.CARD_BUSY: {State.RUNNING, State.PAUSED, State.DRAINING, State.BROKEN},
    State.DRAINING: {State.BROKEN},
    State.BROKEN: {State.DRAINING},
}
