"""The journal of function runs: what their code tells of itself becomes events, and answers go back.

In: facts, with the fence of the delivery that they come from. Out: futures that are done once the facts are
safe; answers; rows. Never: an answer before its commit, or a word to a delivery that is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy
from typing import Protocol

from ..errors import NotFound, Problem, ProblemError, StoreError, Superseded
from ..plan import Event, FunctionState, JournalAppended, TimePassed
from ..ports import Clock, Fence, Store
from ..record import Fact, StatusSet, TaskRow
from .live import Append, LiveRun, Request


class Holder(Protocol):
    """What the journal asks of the runs."""

    def held(self, run_id: str) -> LiveRun | None: ...

    def add(self, run_id: str, event: Event | Request, *, lazy: bool = False) -> None: ...

    async def request(self, run_id: str, event: Event) -> None: ...


class _Waiter:
    __slots__ = ("after", "fence", "future")

    def __init__(self, fence: Fence, after: int) -> None:
        self.fence = fence
        self.after = after
        # None: the answers are there, and have to be read from the store.
        self.future: asyncio.Future[list[TaskRow] | None] = (
            asyncio.get_running_loop().create_future()
        )


class RunJournal:
    """See `ports.Journal`. In a paused run whatever is appended is recorded, and its future is done after
    the pause: so the function goes no further than to the end of its step."""

    def __init__(self, runs: Holder, store: Store, clock: Clock) -> None:
        self._runs = runs
        self._store = store
        self._clock = clock
        self._waiters: dict[str, list[_Waiter]] = {}
        self._withheld: dict[str, list[Append]] = {}
        self._stopped = False

    def append(
        self, run_id: str, fence: Fence, after: int, facts: Sequence[Fact]
    ) -> asyncio.Future[int]:
        event = JournalAppended(fence.epoch, fence.delivery, after, facts, self._clock.now())
        item = Append(event, run_id, self._withhold)
        if self._stopped:
            item.refused(Superseded())
        else:
            lazy = type(facts[0]) is StatusSet and all(type(fact) is StatusSet for fact in facts)
            self._runs.add(run_id, item, lazy=lazy)
        return item.recorded

    async def answers(self, run_id: str, fence: Fence, after: int) -> Sequence[TaskRow]:
        if self._stopped:
            raise Superseded
        waiter = _Waiter(fence, after)
        waiters = self._waiters.setdefault(run_id, [])
        waiters.append(waiter)
        try:
            live = self._runs.held(run_id)
            if live is None or live.state is None:
                await self._have_it_loaded(run_id)
            elif not live.busy:  # else its commit is under way, and tells
                _serve(live, waiter)
            found = await waiter.future
        finally:
            waiters.remove(waiter)
            if waiter.future.done() and not waiter.future.cancelled():
                waiter.future.exception()  # heard, also by a caller that was cancelled just then
            if not waiters:
                self._waiters.pop(run_id, None)
        if found is None:
            rows = await self.rows(run_id)
            found = [row for row in rows if row.order > after and _is_answer(row)]
            found.sort(key=lambda row: row.order)
        return found

    async def _have_it_loaded(self, run_id: str) -> None:
        try:
            await self._runs.request(run_id, TimePassed(self._clock.now()))
        except (ProblemError, StoreError) as error:
            raise Superseded from error

    async def rows(self, run_id: str) -> Sequence[TaskRow]:
        rows = (await self._store.load([run_id]))[0]
        if rows is None:
            raise NotFound(Problem("run-not-found", f"there is no run '{run_id}'"))
        return list(rows.tasks.values())

    # Told by the runs

    def look(self, live: LiveRun) -> None:
        """Everything decided about this run is committed."""
        if self._withheld and live.run_id in self._withheld:
            self._let_go(live)
        if waiters := self._waiters.get(live.run_id):
            for waiter in waiters:
                _serve(live, waiter)

    def give_up(self, run_id: str) -> None:
        """This engine decides for the run no more."""
        for item in self._withheld.pop(run_id, ()):
            item.refused(Superseded())
        for waiter in self._waiters.get(run_id, ()):
            if not waiter.future.done():
                waiter.future.set_exception(Superseded())

    def stop(self) -> None:
        self._stopped = True
        for run_id in [*self._withheld, *self._waiters]:
            self.give_up(run_id)

    def _withhold(self, item: Append) -> None:
        self._withheld.setdefault(item.run_id, []).append(item)

    def _let_go(self, live: LiveRun) -> None:
        state = live.state
        if isinstance(state, FunctionState) and state.run.paused_at is None:
            for item in self._withheld.pop(live.run_id):
                event = item.event
                assert isinstance(event, JournalAppended)
                if not state.serves(event.epoch, event.delivery):
                    item.refused(Superseded())
                else:
                    item.withheld = False
                    item.newest = state.answered
                    item.done()


def _serve(live: LiveRun, waiter: _Waiter) -> None:
    state = live.state
    if waiter.future.done() or state is None:
        return
    if not isinstance(state, FunctionState) or not state.serves(
        waiter.fence.epoch, waiter.fence.delivery
    ):
        waiter.future.set_exception(Superseded())
    elif state.answered > waiter.after and state.run.paused_at is None:
        rows = state.answers_after(waiter.after)
        waiter.future.set_result(None if rows is None else [copy(row) for row in rows])


def _is_answer(row: TaskRow) -> bool:
    return row.kind != "step"
