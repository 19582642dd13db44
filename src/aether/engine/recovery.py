"""Taking up unfinished runs that nobody has: those of an earlier engine, and of engines that are gone.

Runs are listed page by page, claimed a page at a time, and handed to `take_up` a few at a time, so that
neither memory nor the line of decisions is filled with them, and new work is served meanwhile. Where
engines share the store this goes on for as long as the engine lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ..ports import Claim, DueRun, Store
from .faults import Faults
from .membership import Membership

A = TypeVar("A")
R = TypeVar("R")

_PAGE = 256
_AT_ONCE = 32
"""Runs that stand in the line of decisions at once: a new run waits behind so many, not behind a page."""
_SECOND = 1_000_000
_LONGEST_WAIT = 60 * _SECOND
"""A store that does not answer is asked again soon, one whose file is damaged not every second for ever."""


class Recovery:
    """`taken_up` counts runs; `done` is true once every run that was unfinished at the start has been
    taken up. `claimed` is told of each page that is ours from here on; `seen_all` that every run which
    was nobody's has been taken up, with what `began` said when the look at them began."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        membership: Membership,
        take_up: Callable[[str], Awaitable[None]],
        claimed: Callable[[], None],
    ) -> None:
        self._store = store
        self._faults = faults
        self._membership = membership
        self._take_up = take_up
        self._claimed = claimed
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Event = asyncio.Event()
        self._again = asyncio.Event()
        self.taken_up = 0
        self.done = True
        self.began: Callable[[], int] = lambda: 0
        self.seen_all: Callable[[int], None] = lambda began: None

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
            await self._first.wait()

    def look_again(self) -> None:
        """This engine has lost what it held: somebody must take it up."""
        if self._task is not None and self._task.done():
            self._task = asyncio.create_task(self._sweep(), name="aether: recovery")

    async def _run(self) -> None:
        await self._sweep()
        self.done = True
        self._first.set()
        while self._store.shared:
            await self._membership.nap(self._membership.lease // 10)
            await self._sweep()

    async def _sweep(self) -> None:
        after: DueRun | None = None
        began = self.began()
        while page := await self._asked(self._page, after):
            after = page[-1]
            ours = await self._asked(self._claim, page)
            if ours:
                self._claimed()
            for start in range(0, len(ours), _AT_ONCE):
                some = ours[start : start + _AT_ONCE]
                # What is wrong with one run has been told where it was found, and stops no other.
                await asyncio.gather(*map(self._take_up, some), return_exceptions=True)
                self.taken_up += len(some)
        self.seen_all(began)

    async def _page(self, after: DueRun | None) -> Sequence[DueRun]:
        return await self._store.orphans(self._membership.number, after, _PAGE)

    async def _claim(self, page: Sequence[DueRun]) -> list[str]:
        """Those that are ours now, whether this claim or an earlier one that got no answer made them so."""
        ids = [run.run_id for run in page]
        answers = await self._store.claim(ids, self._membership.number)
        if Claim.LOST in answers and not self._store.shared:
            return []  # another engine has been started on it
        if Claim.LOST in answers:
            await self._membership.confirm()
            answers = await self._store.claim(ids, self._membership.number)
        good = (Claim.TAKEN, Claim.MINE)
        return [run_id for run_id, answer in zip(ids, answers, strict=True) if answer in good]

    async def _asked(self, ask: Callable[[A], Awaitable[R]], about: A) -> R:
        wait = _SECOND
        while True:
            try:
                return await ask(about)
            except Exception as error:  # noqa: BLE001 - whatever a store does, unfinished runs wait for us
                self._faults.report(
                    "take up unfinished runs", str(error), error, then="the store is asked again"
                )
                await self._membership.nap(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
