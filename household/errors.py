"""The household's error, for when it cannot go on."""


class HouseholdError(Exception):
    """The household cannot go on. ``str()`` tells the person at the terminal what failed and where to look."""
