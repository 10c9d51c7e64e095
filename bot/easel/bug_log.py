"""Logs what should never happen: where in the code, and never a word that people typed."""

import traceback
from logging import Logger


def log_bug(log: Logger, what: str, error: BaseException) -> None:
    """Log an unexpected error. Its own message is left out, since it may quote a prompt."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error(f"{what}: unexpected {type(error).__name__}\nTraceback (most recent call last):\n{where}")
