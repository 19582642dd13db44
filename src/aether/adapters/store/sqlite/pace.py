"""Whether the next commit is made at once on the event loop, or by the writer's thread.

In: how many commits came together, how many runs move, how long it took. Out: a verdict. Never: a clock.

A commit on the loop saves the hand-over to a thread and back, and what two cores lose when each touches
the other's memory. It is worth that while one run after the other commits alone, and while every run that
moves is in the batch: nobody is left who could bring the next one meanwhile. Otherwise the loop must be
free to gather it while a thread waits for the disk.
"""

from __future__ import annotations

ALONE = 8
"""So many commits must have come alone, one after the other, before one is made on the loop while other
runs move."""

QUICK = 0.001
"""Seconds for a lone commit. A disk that takes longer would hold up everything else on the loop."""

EACH = 0.000_03
"""Seconds more for each commit that comes along: what its rows cost without the disk."""

MOST = 64
"""No more commits at once on the loop, which has as much to do for each of them before and after."""


class Pace:
    __slots__ = ("_alone", "_share")

    def __init__(self) -> None:
        self._alone = 0
        self._share = 1.0  # of the time that a commit may take, as far as the last ones tell

    def may_run_inline(self, commits: int, moving: int) -> bool:
        """`moving` runs are open, as far as the store has heard of them."""
        if commits > 1:
            self._alone = 0
        else:
            self._alone += 1
        if commits > MOST or self._share >= 1:
            return False
        return commits >= moving or self._alone > ALONE

    def took(self, commits: int, seconds: float) -> None:
        """One slow commit is enough to leave the loop for a while."""
        share = seconds / (QUICK + EACH * (commits - 1))
        self._share = max(share, self._share * 0.8 + share * 0.2)
        if share > 1:
            self._alone = 0
