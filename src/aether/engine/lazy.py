"""Lazy facts: they ride in their run's next commit, or in one of their own within a second."""

from __future__ import annotations

from collections.abc import Callable

from ..ports import Clock

_LAZY = 1_000_000
"""Microseconds after which lazy facts are written down although nothing else happened."""


class LazyFacts:
    """`write` sees to it that what waits in a run is decided."""

    def __init__(self, clock: Clock, write: Callable[[str], None]) -> None:
        self._clock = clock
        self._write = write
        self._waiting: set[str] = set()
        self._armed = False

    def write_soon(self, run_id: str) -> None:
        self._waiting.add(run_id)
        if not self._armed:
            self._armed = True
            self._clock.call_in(_LAZY, self._write_all)

    def take(self, run_id: str) -> bool:
        """Whether there were any of this run; who asks writes them."""
        if run_id not in self._waiting:
            return False
        self._waiting.discard(run_id)
        return True

    def _write_all(self) -> None:
        self._armed = False
        for run_id in sorted(self._waiting):
            self._write(run_id)
        self._waiting.clear()
