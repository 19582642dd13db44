"""From rows to a state that this engine may decide on: is the run ours, and what became of our last commit?

In: a run that is not held, or no longer trusted. Out: its state, or nothing if another engine decides for
it. Never: a commit of another engine taken for ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from ..errors import InvalidState, Problem
from ..plan import (
    AnyState,
    Decision,
    Event,
    RunForked,
    RunSubmitted,
    RunTakenOver,
    TimePassed,
    new_state,
)
from ..ports import Claim, Clock, Store
from ..record import RunRow, RunRows, head_of
from .live import LiveRun, Request, Unsure, event_of
from .membership import Membership


class Loader:
    """`revive` gives rows a State, or None if the run is gone; `lost` is told of a run that does not exist
    (or, at its creation, does); `abroad` of one for which another engine decides; `perform` and
    `answer` of a commit that turned out to have happened."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        membership: Membership,
        revive: Callable[[LiveRun, RunRows], Awaitable[AnyState | None]],
        perform: Callable[[LiveRun, Decision], None],
        answer: Callable[[list[Event | Request]], None],
        lost: Callable[[LiveRun, Exception | None], None],
        abroad: Callable[[LiveRun, RunRow], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._membership = membership
        self._revive = revive
        self._perform = perform
        self._answer = answer
        self._lost = lost
        self._abroad = abroad

    async def load(self, live: LiveRun) -> AnyState | None:
        """The state of a run that this engine does not hold, or no longer trusts."""
        rows = await self._ours(live)
        if rows is None:
            return live.state
        state = await self._revive(live, rows)
        if state is None:
            self._lost(live, None)
            return None
        live.document = None
        live.token = rows.run.token
        live.state = state
        if live.unsure is not None:
            unsure, live.unsure = live.unsure, None
            await self._settle_doubt(live, state, unsure)
        if rows.run.claimed:
            live.add(RunTakenOver(self._clock.now(), self._membership.number), first=True)
        return state

    async def _ours(self, live: LiveRun) -> RunRows | None:
        """The rows of a run for which this engine may decide: that it holds, or that is over. None if
        there is nothing to go on with, but for a run that is still to be created."""
        while True:
            rows = (await self._store.load([live.run_id]))[0]
            if rows is None:
                self._missing(live)
                return None
            if live.document is not None and live.token is None and live.unsure is None:
                self._lost(live, None)  # what was to be created was made by somebody quicker
                return None
            if live.unsure is not None and live.token is None:
                if not await self._made_by(live.unsure, rows.run):
                    live.put_back(live.unsure.taken)
                    live.unsure = None
                    self._lost(live, None)
                    return None
            if rows.run.held_by == self._membership.number or _is_over(rows):
                return rows
            [answer] = await self._store.claim([live.run_id], self._membership.number)
            if answer is Claim.HELD:
                await self._leave(live, rows.run)
                return None
            if answer is Claim.LOST:
                if not self._store.shared:
                    self._lost(live, _replaced())
                    return None
                await self._membership.confirm()

    def _missing(self, live: LiveRun) -> None:
        if live.plan is None or live.document is None or not (live.events or live.unsure):
            self._lost(live, None)
            return
        if live.unsure is not None:
            live.put_back(live.unsure.taken)
            live.unsure = None
        live.token = None
        live.state = new_state(live.plan)

    async def _leave(self, live: LiveRun, run: RunRow) -> None:
        if live.unsure is not None:
            unsure, live.unsure = live.unsure, None
            if await self._was_ours(unsure, run):
                self._answer(
                    unsure.taken
                )  # its new owner finds in the rows what is to be performed
            else:
                live.put_back(unsure.taken)
        self._abroad(live, run)

    async def _settle_doubt(self, live: LiveRun, state: AnyState, unsure: Unsure) -> None:
        if not await self._was_ours(unsure, state.run):
            live.put_back(unsure.taken)
            return
        self._answer(unsure.taken)
        if state.run.claimed:
            return  # we have it anew: what was to be performed follows from the rows
        if state.run.seq == unsure.seq:
            self._perform(live, unsure.decision)
            if unsure.decision.more:
                live.add(TimePassed(state.now), first=True)
        else:
            # It has gone on meanwhile; what was to be performed follows from the rows again.
            at, number = state.run.created_at, self._membership.number
            live.add(RunTakenOver(at, number), first=True)

    async def _made_by(self, unsure: Unsure, run: RunRow) -> bool:
        """Whether that commit created the run, which another engine may have taken over since."""
        if _is_ours(unsure.taken, run):
            return True
        return bool(unsure.head) and await self._was_ours(unsure, run)

    async def _was_ours(self, unsure: Unsure, run: RunRow) -> bool:
        """Whether the commit that got no answer is the one which the store has under its number. The
        hash of its log entry says so for certain; without a log it is ours unless the run was taken
        over since."""
        if run.seq < unsure.seq:
            return False
        if not unsure.head:
            return (run.epoch, run.owner) == unsure.reign
        if run.seq == unsure.seq:
            return run.head == unsure.head
        entries = await self._store.history(run.run_id, unsure.seq - 1, 1)
        if not entries or entries[0].seq != unsure.seq:
            return False
        try:
            return head_of(entries[0].body) == unsure.head
        except (msgspec.DecodeError, ValueError):
            return False


def _replaced() -> InvalidState:
    return InvalidState(
        Problem(
            "engine-replaced",
            "another engine has been started on this store, which one engine at a time may use",
            fix="stop this engine, and call the other one",
        )
    )


def _is_over(rows: RunRows) -> bool:
    return rows.run.phase.is_terminal and all(
        hook.phase.is_terminal for hook in rows.hooks.values()
    )


def _is_ours(taken: list[Event | Request], run: RunRow) -> bool:
    """Whether `run` is the one that the submit among `taken` was to create."""
    for item in taken:
        event = event_of(item)
        if isinstance(event, RunSubmitted | RunForked):
            ours = event.run
            return (ours.document, ours.created_at, ours.owner) == (
                run.document,
                run.created_at,
                run.owner,
            )
    return True
