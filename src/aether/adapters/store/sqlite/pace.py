"""Whether the next commit is made at once on the event loop, or by the writer's thread.

In: how large commits were and how long they took. Out: a verdict. Never: a clock.

A commit on the loop saves the hand-over to a thread and back, which is worth it while one run after
the other commits alone. As soon as commits come together the loop must be free to gather the next ones
while a thread waits for the disk.
"""

from __future__ import annotations

ALONE = 8
"""So many commits must have come alone, one after the other, before one is made on the loop."""

QUICK = 0.001
"""Seconds. A disk that takes longer would hold up everything else on the loop."""


class Pace:
    __slots__ = ("_alone", "_seconds")

    def __init__(self) -> None:
        self._alone = 0
        self._seconds = QUICK

    def may_run_inline(self, commits: int) -> bool:
        if commits > 1:
            self._alone = 0
            return False
        self._alone += 1
        return self._alone > ALONE and self._seconds < QUICK

    def took(self, seconds: float) -> None:
        """How long a lone commit took. One slow commit is enough to leave the loop for a while."""
        self._seconds = max(seconds, self._seconds * 0.8 + seconds * 0.2)
        if seconds > QUICK:
            self._alone = 0
