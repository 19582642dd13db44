"""Decide, commit, perform: the loop that moves every run.

Runs with waiting events stand in a line. One round takes runs from its head, decides each, and
commits what was decided in one batch; what becomes ready meanwhile goes into the next round. There is
no timer: the batch is whatever arrived while the last commit was on its way. Commands are performed
only after the commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ..errors import (
    AetherError,
    CommitUnknown,
    EngineBug,
    ProblemError,
    StoreError,
    StoreUnavailable,
)
from ..plan import (
    AnyState,
    Decision,
    Event,
    RunFailed,
    TimePassed,
    decide_all,
)
from ..ports import Clock, Commit, CommitOutcome, Committed, Conflict, Refusal, Store
from ..record import ACTION_LOG, RunRow, RunRows
from .commits import answer_alone, commit_of
from .faults import Faults
from .held_values import changes_with_values
from .ledger import Ledger
from .letters import Letter, encode_refusal
from .live import LiveRun, Request, Unsure, event_of, note_appends
from .loading import Loader
from .membership import Membership
from .sizes import Sizes
from .sizes import refusal as too_large

ROUND = 512
"""Changes after which a round goes to the store, so that no run waits long for the others."""

_AGAIN = (50_000, 200_000, 1_000_000, 5_000_000)
"""Microseconds to wait before an unreachable store is asked again."""

_PATIENCE = 2
"""A run in which the engine failed more often than this, one time after the other, is left alone."""


class Decided:
    """One run's decision on its way to the store."""

    __slots__ = ("commit", "decision", "live", "reign", "taken")

    def __init__(
        self,
        live: LiveRun,
        taken: list[Event | Request],
        decision: Decision,
        commit: Commit,
        reign: tuple[int, int],
    ) -> None:
        self.live = live
        self.taken = taken
        self.decision = decision
        self.commit = commit
        self.reign = reign  # epoch and owner

    def in_doubt(self) -> Unsure:
        run = self.commit.run
        seq = run.seq if isinstance(run.seq, int) else 0
        head = run.head if isinstance(run.head, bytes) else b""
        return Unsure(seq, head, self.reign, self.taken, self.decision)


class Stepper:
    """`revive` gives a loaded run its State, or None if it is gone; `perform` is told of each decision;
    `retire` of a run on which nothing more can happen; `lost` of one that this engine cannot go on
    with, and why, unless it is that there is no such run (or, at its creation, that there is one)."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        faults: Faults,
        ledger: Ledger,
        sizes: Sizes,
        revive: Callable[[LiveRun, RunRows], Awaitable[AnyState | None]],
        perform: Callable[[LiveRun, Decision], None],
        arm: Callable[[LiveRun], None],
        retire: Callable[[LiveRun], None],
        lost: Callable[[LiveRun, Exception | None], None],
        membership: Membership,
        abroad: Callable[[LiveRun, RunRow], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._ledger = ledger
        self._sizes = sizes
        self._membership = membership
        self._loader = Loader(store, clock, membership, revive, perform, self._answer, lost, abroad)
        self._perform = perform
        self._arm = arm
        self._retire = retire
        self._lost = lost
        self._line: deque[LiveRun] = deque()
        self._loops: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._naps: list[asyncio.Future[None]] = []  # waits for a store that is down
        self._down = 0  # rounds in a row that found no store
        self._open = False
        self._keeps_log = False

    def start(self) -> None:
        self._open = True
        self._keeps_log = self._store.keeps_log  # asked once: stores stand behind each other
        self._loops = [
            asyncio.create_task(self._run(), name=f"aether: decisions {n + 1}")
            for n in range(max(1, self._store.concurrency))
        ]

    async def stop(self) -> None:
        """Finish the rounds in progress; what waits stays undecided, and the store knows it."""
        self._open = False
        self._wake()
        for nap in self._naps:
            if not nap.done():
                nap.set_result(None)
        if self._loops:
            await asyncio.wait(self._loops)
        self._loops = []

    def push(self, live: LiveRun) -> None:
        """`live` has something to decide."""
        # Also when it waits already: should its load fail, it is to be tried again.
        live.urgent = True
        if live.queued or live.busy:
            return
        live.queued = True
        self._line.append(live)
        if self._idle:
            self._wake()

    def _wake(self) -> None:
        for future in self._idle:
            if not future.done():
                future.set_result(None)
        self._idle.clear()

    async def _run(self) -> None:
        while self._open:
            if not self._line:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._idle.append(future)
                await future
                continue
            try:
                if self._membership.is_in_doubt:
                    await self._make_sure()
                await self._round()
            except Exception as error:  # noqa: BLE001 - a fault in one round must not end the engine
                self._faults.report("decide", "the engine itself failed", error, critical=True)
            await asyncio.sleep(0)

    async def _make_sure(self) -> None:
        """We may have slept for longer than our lease: nothing is decided before the store has answered."""
        while self._open:
            try:
                await self._membership.confirm()
            except StoreError as error:
                await self._store_is_down(error)
            else:
                return

    async def _round(self) -> None:
        batch: list[Decided] = []
        size = 0
        down: StoreError | None = None
        while self._open and self._line and size < ROUND and down is None:
            live = self._line.popleft()
            live.queued = False
            live.busy = True
            decided = None
            try:
                decided = await self._decide(live)
            except (StoreUnavailable, CommitUnknown) as error:  # a claim may be made again
                down = error
            except Exception as error:  # noqa: BLE001 - it cannot be loaded; the others go on
                self._quarantine(live, error, [])
            if decided is None:
                self._release(live)
                continue
            batch.append(decided)
            size += len(decided.decision.changes)
        if batch:
            await self._commit(batch)
            for decided in batch:
                self._release(decided.live)
        if down is not None:
            await self._store_is_down(down)

    def _release(self, live: LiveRun) -> None:
        live.busy = False
        if live.urgent and live.events:
            self.push(live)
        elif live.state is None and live.is_idle:
            self._retire(live)  # the session was lost meanwhile

    # Deciding

    async def _decide(self, live: LiveRun) -> Decided | None:
        """The next decision of this run, or None if its events change nothing."""
        state = live.state
        if state is None:
            state = await self._loader.load(live)
            if state is None:
                return None
        taken = live.take()
        if not taken:
            return None
        try:
            decision = decide_all(state, [event_of(item) for item in taken])
        except Exception as error:  # noqa: BLE001 - the run is quarantined, the others go on
            if isinstance(error, ProblemError) and isinstance(taken[0], Request):
                # Only requests may be refused, they come alone, and nothing has changed.
                if isinstance(taken[0], Letter):
                    return self._only_answer(live, state, taken, encode_refusal(error))
                taken[0].refused(error)
                if state.finished and not live.events:
                    self._retire(live)
            else:
                self._quarantine(live, error, taken)
            return None
        note_appends(taken, state, decision)
        if not decision.changes:
            if isinstance(taken[0], Letter):
                return self._only_answer(live, state, taken, b"")
            self._answer(taken)
            self._arm(live)  # its timer may have come too early, and then is spent
            if decision.more:
                live.add(TimePassed(state.now))
            elif state.finished and not live.events:
                self._retire(live)
            return None
        valued = changes_with_values(decision.changes)
        if valued and (fault := self._sizes.fault_of(valued, state)):
            return self._too_large(live, state, taken, fault)
        is_logged = self._keeps_log and state.run.tier == ACTION_LOG
        ledger = self._ledger if is_logged else None
        commit = commit_of(live, state, taken, decision, ledger, bool(valued))
        return Decided(live, taken, decision, commit, _reign(state))

    def _only_answer(
        self, live: LiveRun, state: AnyState, taken: list[Event | Request], answer: bytes
    ) -> Decided:
        """Nothing changes, but the sender of a letter is told so, once."""
        commit = answer_alone(live, taken, answer)
        return Decided(live, taken, Decision([], []), commit, _reign(state))

    # Committing

    async def _commit(self, batch: list[Decided]) -> None:
        try:
            outcomes = await self._store.commit([decided.commit for decided in batch])
            if len(outcomes) != len(batch):
                what = f"the store answered {len(outcomes)} of {len(batch)} commits"
                raise CommitUnknown(what)
        except StoreUnavailable as error:
            for decided in batch:
                decided.live.put_back(decided.taken)
                decided.live.forget_state()
            await self._store_is_down(error)
        except CommitUnknown as error:
            for decided in batch:
                decided.live.forget_state()
                if decided.decision.changes:
                    decided.live.unsure = decided.in_doubt()
                else:
                    self._give_back(decided)
                decided.live.add(TimePassed(self._clock.now()))
            await self._store_is_down(error)
        except Exception as error:  # noqa: BLE001 - one bad decision must not take the others along
            if len(batch) == 1:
                self._quarantine(batch[0].live, error, batch[0].taken)
                return
            for decided in batch:
                await self._commit([decided])
        else:
            self._down = 0
            for decided, outcome in zip(batch, outcomes, strict=True):
                try:
                    self._settle(decided, outcome)
                except Exception as error:  # noqa: BLE001 - nor must one that cannot be performed
                    self._quarantine(decided.live, error, [])

    def _settle(self, decided: Decided, outcome: CommitOutcome) -> None:
        live, decision = decided.live, decided.decision
        if isinstance(outcome, Committed):
            if live.token is None:
                live.document = None
            live.token = outcome.token
            self._answer(decided.taken)
            self._perform(live, decision)
            live.failures = 0
            state = live.state
            if state is None:
                return
            if decision.more:
                live.add(TimePassed(state.now))
            elif state.finished and not live.events:
                self._retire(live)
        elif isinstance(outcome, Conflict):
            self._give_back(decided)
            live.forget_state()
            if live.token is None and live.document is not None:
                self._lost(live, None)
        elif isinstance(outcome, Refusal):
            error = AetherError(f"the store refused a decision: {outcome.reason}")
            self._quarantine(live, error, decided.taken)

    def _give_back(self, decided: Decided) -> None:
        """To be decided again. A letter may have been read by another engine: its inbox knows."""
        first = decided.taken[0]
        if isinstance(first, Letter):
            first.leave()
            decided.live.add(TimePassed(self._clock.now()))
        else:
            decided.live.put_back(decided.taken)

    def _answer(self, taken: list[Event | Request]) -> None:
        for item in taken:
            if isinstance(item, Request):
                item.done()

    # Bad days

    def _quarantine(self, live: LiveRun, error: Exception, taken: list[Event | Request]) -> None:
        """A fault of ours in one run: it ends in Error with the fault recorded; the others go on."""
        live.forget_state()
        live.failures += 1
        given_up = live.failures > _PATIENCE or live.token is None
        what = f"the engine failed in this run: {type(error).__name__}: {error}"
        then = "this engine leaves the run as it is" if given_up else "the run ends in Error"
        self._faults.report("decide", what, error, run_id=live.run_id, critical=True, then=then)
        live.put_back(taken)
        told = error if isinstance(error, AetherError) else EngineBug(what)
        live.fail_requests(told)
        if given_up:
            self._lost(live, told)
        else:
            live.add(RunFailed(self._clock.now(), what))

    def _too_large(
        self, live: LiveRun, state: AnyState, taken: list[Event | Request], fault: str
    ) -> Decided | None:
        """A value that the run has put together is none that may be stored: a request that led to it is
        refused, and nothing has changed; a run that came to it by itself ends in Error."""
        live.forget_state()
        error = too_large(fault)
        if isinstance(taken[0], Letter):
            return self._only_answer(live, state, taken, encode_refusal(error))
        if isinstance(taken[0], Request):
            taken[0].refused(error)
            if live.token is None:
                self._lost(live, error)
            return None
        live.fail_requests(error)
        live.add(RunFailed(self._clock.now(), fault))
        return None

    async def _store_is_down(self, error: Exception) -> None:
        if not self._open:
            return
        wait = _AGAIN[min(self._down, len(_AGAIN) - 1)]
        self._down += 1
        self._faults.report(
            "commit", str(error), error, then=f"trying again in {wait / 1_000_000:g}s"
        )
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not future.done():
                future.set_result(None)

        handle = self._clock.call_in(wait, go_on)
        self._naps.append(future)
        try:
            await future
        finally:
            handle.cancel()
            self._naps.remove(future)


def _reign(state: AnyState) -> tuple[int, int]:
    return state.run.epoch, state.run.owner
