"""Keeps garbage collections short: a full one over all that maubot has loaded would keep its event loop for 100 ms."""

import gc
from functools import cache


@cache
def freeze_what_is_loaded() -> None:
    """Leave what is loaded out of collections."""
    # Only once, over all versions of the plugin: what is frozen is never collected.
    if not gc.get_freeze_count():
        gc.freeze()
