"""Waiting for runs that another engine moves, and telling others of ours.

In: ids of runs that somebody here waits for, words from other engines. Out: word that a run has changed or
ended. Never: a store asked without end: an engine tells those who said that they wait, and tokens are
compared now and then in case a word was lost.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import NotFound, Problem
from ..ports import Clock, Store
from ..record import Instant, Token
from .waiting import Waiting

WATCH, CHANGED = "w", "c"
"""What words of the store's hints begin with: somebody waits for this run, this run has changed."""

_SECOND = 1_000_000
_ASKED = 60 * _SECOND
"""Microseconds for which an engine tells of a run that somebody waits for; who waits asks again."""


class Abroad:
    def __init__(self, store: Store, clock: Clock, waiting: Waiting) -> None:
        self._store = store
        self._clock = clock
        self._waiting = waiting
        self._there: dict[str, Token | None] = {}  # runs we wait for, as we saw them last
        self._asked_at: dict[str, Instant] = {}  # when we last said so
        self._here: dict[str, Instant] = {}  # runs of ours that others wait for, and until when
        self._changed: set[str] = set()
        self._looked_at: Instant = 0
        self.wake: Callable[[], None] = lambda: None

    # Others wait for ours

    def asked(self, run_id: str) -> None:
        self._here[run_id] = self._clock.now() + _ASKED

    def tell(self, run_id: str) -> None:
        """A run of ours has changed. Next to nothing unless somebody waits for it."""
        if self._here and (until := self._here.get(run_id)) is not None:
            self._store.tell([CHANGED + run_id])
            if until < self._clock.now():
                del self._here[run_id]

    # We wait for theirs

    def watch(self, run_id: str) -> None:
        if self._store.shared and run_id not in self._there:
            self._there[run_id] = None
            self._ask(run_id)
            self.wake()

    def _ask(self, run_id: str) -> None:
        self._asked_at[run_id] = self._clock.now()
        self._store.tell([WATCH + run_id])

    def hear(self, run_id: str) -> None:
        if run_id in self._there:
            self._changed.add(run_id)
            self.wake()

    async def look(self) -> None:
        """Tell who waits here of what has changed elsewhere."""
        if not self._there:
            return
        now = self._clock.now()
        if now - self._looked_at >= _SECOND or now < self._looked_at:
            self._looked_at = now
            self._forget_unawaited(now)
            ids = list(self._there)
            for run_id, token in zip(ids, await self._store.tokens(ids), strict=True):
                if run_id in self._there and (token is None or token != self._there[run_id]):
                    self._there[run_id] = token
                    self._changed.add(run_id)
        changed, self._changed = self._changed, set()
        for run_id in sorted(changed):
            await self._look_at(run_id)

    def _forget_unawaited(self, now: Instant) -> None:
        for run_id in list(self._there):
            if not self._waiting.is_awaited(run_id):
                self._forget(run_id)
            elif now - self._asked_at[run_id] > _ASKED // 2:
                self._ask(run_id)

    def _forget(self, run_id: str) -> None:
        self._there.pop(run_id, None)
        self._asked_at.pop(run_id, None)

    async def _look_at(self, run_id: str) -> None:
        row = await self._store.run(run_id)
        if row is None:
            self._forget(run_id)
            self._waiting.give_up(run_id, _unknown(run_id))
            return
        self._waiting.changed(run_id)
        if row.phase.is_terminal:
            self._forget(run_id)
            self._waiting.over(run_id, lambda: None)


def _unknown(run_id: str) -> NotFound:
    return NotFound(
        Problem("run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id")
    )
