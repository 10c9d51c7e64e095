"""Leaves out of a prompt what is more than a generator takes. Knows no limits: its callers have them."""

import re
from collections.abc import Sequence

# Signs or a number below 1 that weaken what stands before them.
_WEAKENED = re.compile(r"(?<=[\w)])-+(?=[\s,.)]|$)|(?<=\))0*(?:\.\d++|(?<=0)(?![\d.]))")


def fitting_terms(terms: Sequence[str], most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first terms that fit into ``most`` characters when joined, and the others.

    A first term that is too long by itself is cut between two words.
    """
    chars = 0
    for n, term in enumerate(terms):
        if chars + len(term) > most:
            if n or most <= 0:
                return tuple(terms[:n]), tuple(terms[n:])
            start = term[:most].rpartition(" ")[0] or term[:most]
            return (start,), (term[len(start) :].strip(), *terms[1:])
        chars += len(term) + len(", ")
    return tuple(terms), ()


def few_weakened(terms: Sequence[str], most: int) -> list[str]:
    """The terms with the first ``most`` weights that weaken, and without the others."""
    left = most

    def kept(weight: re.Match[str]) -> str:
        nonlocal left
        left -= 1
        return weight[0] if left >= 0 else ""

    return [_WEAKENED.sub(kept, term) for term in terms]
