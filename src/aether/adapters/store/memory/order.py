"""Keys in order, where adding one must cost next to nothing and reading them in order is rare."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar


class Comparable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...
    def __hash__(self) -> int: ...


K = TypeVar("K", bound=Comparable)
_FEW = 32  # to sort a long list again takes longer than to put these in


class SortedKeys(Generic[K]):
    """A set that can be walked in order. Adding and discarding are O(1).

    The sorted list is made when somebody reads and kept while it fits: it may hold keys that are gone
    and keys twice, and is dropped when half of it would be of that kind.
    """

    __slots__ = ("_added", "_live", "_sorted")

    def __init__(self) -> None:
        self._live: set[K] = set()
        self._sorted: list[K] | None = None
        self._added: list[K] = []

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: object) -> bool:
        return key in self._live

    def add(self, key: K) -> None:
        if key in self._live:
            return
        self._live.add(key)
        if self._sorted is not None:
            self._added.append(key)
            self._drop_if_stale(self._sorted)

    def discard(self, key: K) -> None:
        self._live.discard(key)
        if self._sorted is not None:
            self._drop_if_stale(self._sorted)

    def _drop_if_stale(self, held: list[K]) -> None:
        if len(held) + len(self._added) > 2 * len(self._live) + 64:
            self._sorted = None
            self._added.clear()

    def _in_order(self) -> list[K]:
        if self._sorted is None:
            self._sorted = sorted(self._live)
        elif self._added:
            if len(self._added) <= _FEW:
                for key in self._added:
                    insort(self._sorted, key)
            else:
                self._sorted += self._added
                self._sorted.sort()
            self._added.clear()
        return self._sorted

    def behind(self, key: K | None = None) -> Iterator[K]:
        """Ascending, from the first key greater than `key`. Do not change the set meanwhile."""
        keys = self._in_order()
        start = 0 if key is None else bisect_right(keys, key)
        return self._alive(keys[index] for index in range(start, len(keys)))

    def before(self, key: K | None = None) -> Iterator[K]:
        """Descending, from the last key less than `key`. Do not change the set meanwhile."""
        keys = self._in_order()
        start = len(keys) if key is None else bisect_left(keys, key)
        return self._alive(keys[index] for index in range(start - 1, -1, -1))

    def _alive(self, keys: Iterator[K]) -> Iterator[K]:
        last: K | None = None
        for key in keys:
            if key != last and key in self._live:
                yield key
            last = key
