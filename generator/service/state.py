"""The states of a worker as its supervisor sees it, and the moves between them. Knows nothing of jobs or processes."""

from enum import Enum

from generator.api.types import WorkerStatus


class ImpossibleMove(Exception):
    """The new state cannot follow the present one."""


class State(Enum):
    # Its card is free for other programs, until somebody resumes it.
    PAUSED = "paused"
    # It loads its first model.
    STARTING = "starting"
    RUNNING = "running"
    # Nobody has drawn for a while: its process is being closed, and stays so until the next job.
    CLOSING = "closing"
    IDLE = "idle"
    # Another program holds the card's memory: nothing starts before the next look at the card.
    CARD_BUSY = "waiting for the card"
    # It has failed several times in a row.
    RESTING = "resting"

    def to(self, state: "State") -> "State":
        """Return the next state, which may be the same. Raises ImpossibleMove."""
        if state is not self and state not in _MOVES[self]:
            raise ImpossibleMove(f"the worker is {self.value} and cannot become {state.value}")
        return state

    @property
    def is_open(self) -> bool:
        """Whether a job can start now."""
        return self in (State.RUNNING, State.IDLE)

    def status(self, *, has_greeted: bool) -> WorkerStatus:
        """Its name in the API."""
        return _STATUS.get(self) or (WorkerStatus.READY if has_greeted else WorkerStatus.LOADING)


_STATUS = {
    State.PAUSED: WorkerStatus.PAUSED,
    State.CLOSING: WorkerStatus.IDLE,
    State.IDLE: WorkerStatus.IDLE,
    State.CARD_BUSY: WorkerStatus.CARD_BUSY,
    State.RESTING: WorkerStatus.RESTING,
}

_MOVES = {
    State.PAUSED: {State.STARTING},
    State.STARTING: {State.RUNNING, State.RESTING, State.PAUSED},
    State.RUNNING: {State.PAUSED, State.CLOSING, State.CARD_BUSY, State.RESTING},
    State.CLOSING: {State.IDLE, State.PAUSED},
    State.IDLE: {State.RUNNING, State.PAUSED},
    State.CARD_BUSY: {State.RUNNING, State.PAUSED, State.RESTING},
    State.RESTING: {State.RUNNING, State.PAUSED},
}
