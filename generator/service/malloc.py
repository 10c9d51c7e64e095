"""Keeps the memory of a process flat that lives for weeks and handles pictures in many threads."""

import ctypes

# glibc's numbers for mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8

# By default each thread may get an arena of its own, which keeps the most that the thread ever used.
ARENAS = 2

# Larger buffers, such as pictures, return to the system at once. By default the limit grows with them, up to 32 MB.
LARGE_BYTES = 256 * 1024


def keep_memory_flat() -> None:
    """Set malloc's limits. Call it before threads start; without glibc it does nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)
