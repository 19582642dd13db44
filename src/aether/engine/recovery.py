"""Taking up what an earlier engine left unfinished, while new work is served already.

Runs are listed page by page and handed to `take_up` a few at a time, so that neither memory nor the
line of decisions is filled with them. A run that somebody asks for before its page has come is
taken up at once: `claim` says so, once for each run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ..ports import Store
from .faults import Faults

_PAGE = 256
_AT_ONCE = 32
"""Runs that stand in the line of decisions at once: a new run waits behind so many, not behind a page."""


class Recovery:
    """`taken_up` counts runs; `done` is true once every unfinished run has been taken up."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        take_up: Callable[[str], Awaitable[None]],
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._faults = faults
        self._take_up = take_up
        self._pause = pause  # before an unreachable store is asked again
        self._task: asyncio.Task[None] | None = None
        self._mine: set[str] = set()
        self.taken_up = 0
        self.done = True

    def start(self) -> None:
        self.done = False
        self._task = asyncio.create_task(self._run(), name="aether: recovery")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def finished(self) -> None:
        """Until every run that was unfinished at the start has been taken up."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def claim(self, run_id: str) -> bool:
        """Whether `run_id` may be another engine's, and now is ours. Our own new runs are claimed too."""
        if self.done or run_id in self._mine:
            return False
        self._mine.add(run_id)
        return True

    async def _run(self) -> None:
        after = ""
        while page := await self._page(after):
            after = page[-1]
            strangers = [run_id for run_id in page if self.claim(run_id)]
            for start in range(0, len(strangers), _AT_ONCE):
                some = strangers[start : start + _AT_ONCE]
                # What is wrong with one run has been told where it was found, and stops no other.
                await asyncio.gather(*map(self._take_up, some), return_exceptions=True)
                self.taken_up += len(some)
        self.done = True
        self._mine.clear()

    async def _page(self, after: str) -> Sequence[str]:
        while True:
            try:
                return [due.run_id for due in await self._store.unfinished(after, _PAGE)]
            except Exception as error:  # noqa: BLE001 - whatever a store does, unfinished runs wait for us
                self._faults.report(
                    "take up unfinished runs", str(error), error, then="the store is asked again"
                )
                await self._pause()
