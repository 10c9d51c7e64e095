"""What the household says when it cannot go on."""


class HouseholdError(Exception):
    """``str()`` is a sentence for the person at the terminal: what failed and where to look."""
