"""A sorted sequence that knows the sum of all that comes before a key: a treap whose nodes keep their subtree's sum.

Adding, removing and summing take O(log n) steps. sortedcontainers finds positions as fast, but keeps no sums.
"""

import random
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar


class Summand(Protocol):
    """What can be added in order; the sum need not be the same in another order."""

    def __add__(self, after: Any, /) -> Any: ...


Key = TypeVar("Key")
Value = TypeVar("Value", bound=Summand)


class _Node(Generic[Key, Value]):
    __slots__ = ("_total", "key", "left", "priority", "right", "size", "value")

    def __init__(self, key: Key, value: Value) -> None:
        self.key, self.value = key, value
        # Random, so that the tree is balanced whatever the order of the keys.
        self.priority = random.random()  # noqa: S311 - no secret
        self.left: _Node[Key, Value] | None = None
        self.right: _Node[Key, Value] | None = None
        self.size = 1
        self._total: Value | None = value

    @property
    def total(self) -> Value:
        """The sum of this subtree, added up when it is asked for: most changes come before a question."""
        if self._total is None:
            before = self.left.total + self.value if self.left else self.value
            self._total = before + self.right.total if self.right else before
        return self._total

    def with_children(self, left: "_Node[Key, Value] | None", right: "_Node[Key, Value] | None") -> "_Node[Key, Value]":
        self.left, self.right, self._total = left, right, None
        self.size = 1 + (left.size if left else 0) + (right.size if right else 0)
        return self


class SumTree(Generic[Key, Value]):
    """Values by their keys, which are ordered and unique."""

    def __init__(self, zero: Value) -> None:
        self._zero = zero
        self._root: _Node[Key, Value] | None = None

    def __len__(self) -> int:
        return self._root.size if self._root else 0

    def __iter__(self) -> Iterator[Key]:
        """Yield all keys in order."""
        above, node = list[_Node[Key, Value]](), self._root
        while above or node is not None:
            while node is not None:
                above.append(node)
                node = node.left
            node = above.pop()
            yield node.key
            node = node.right

    def add(self, key: Key, value: Value) -> None:
        self._root = _added(self._root, _Node(key, value))

    def remove(self, key: Key) -> None:
        """Remove a key. Raises KeyError."""
        self._root = _removed(self._root, key)

    def before(self, key: Key) -> tuple[int, Value]:
        """The number of keys before this one, which need not be there, and the sum of their values."""
        count, total, node = 0, self._zero, self._root
        while node is not None:
            if not node.key < key:  # type: ignore[operator]  # keys are ordered
                node = node.left
                continue
            if node.left is not None:
                count, total = count + node.left.size, total + node.left.total
            count, total, node = count + 1, total + node.value, node.right
        return count, total


def _added(node: _Node[Key, Value] | None, new: _Node[Key, Value]) -> _Node[Key, Value]:
    if node is None:
        return new
    if new.priority < node.priority:
        return new.with_children(*_split(node, new.key))
    if new.key < node.key:  # type: ignore[operator]
        return node.with_children(_added(node.left, new), node.right)
    return node.with_children(node.left, _added(node.right, new))


def _removed(node: _Node[Key, Value] | None, key: Key) -> _Node[Key, Value] | None:
    if node is None:
        raise KeyError(key)
    if key < node.key:  # type: ignore[operator]
        return node.with_children(_removed(node.left, key), node.right)
    if node.key < key:  # type: ignore[operator]
        return node.with_children(node.left, _removed(node.right, key))
    return _joined(node.left, node.right)


def _split(node: _Node[Key, Value] | None, key: Key) -> tuple[_Node[Key, Value] | None, _Node[Key, Value] | None]:
    """Part a tree into what comes before the key and what comes after it."""
    if node is None:
        return None, None
    if node.key < key:  # type: ignore[operator]
        before, after = _split(node.right, key)
        return node.with_children(node.left, before), after
    before, after = _split(node.left, key)
    return before, node.with_children(after, node.right)


def _joined(before: _Node[Key, Value] | None, after: _Node[Key, Value] | None) -> _Node[Key, Value] | None:
    if before is None or after is None:
        return before or after
    if before.priority < after.priority:
        return before.with_children(before.left, _joined(before.right, after))
    return after.with_children(_joined(before, after.left), after.right)
