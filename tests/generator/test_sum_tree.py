"""Sorted sequences with sums: as a sorted list has them, in few steps."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from generator.service.sum_tree import SumTree


@given(st.lists(st.integers(0, 20), unique=True), st.data())
def test_keys_and_sums_are_those_of_a_sorted_list(keys, data):
    # Strings show that sums keep the order.
    tree = SumTree("")
    for key in keys:
        tree.add(key, f"{key},")
    gone = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    for key in gone:
        tree.remove(key)
    left = sorted(set(keys) - gone)
    assert (len(tree), list(tree)) == (len(left), left)
    sums = ["", *accumulate(f"{key}," for key in left)]
    for key in range(22):
        before = sum(other < key for other in left)
        assert tree.before(key) == (before, sums[before])


class Counted(int):
    """A number that counts how often numbers are compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Counted.compared += 1
        return super().__lt__(other)


def test_steps_grow_with_the_logarithm_only():
    """Sorted input would make a plain tree a list."""
    tree = SumTree(0)
    for key in range(4096):
        tree.add(Counted(key), 1)
    Counted.compared = 0
    for key in range(0, 4096, 64):
        assert tree.before(Counted(key)) == (key, key)
        tree.remove(Counted(key))
        tree.add(Counted(key), 1)
    # The logarithm of 4096 is 12. A random tree is a little less than twice as deep, and removing compares twice.
    assert Counted.compared / 64 < 12 * 2 * 4
