"""Writes down what runs of tier `snapshot` did, many decisions and many runs as one commit.

In: held runs, and decisions that must be on disk. Out: one batch of the durable store at a time for each
run. Never: a run's rows read again: what is unsaved is kept merged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy

from msgspec import UNSET

from ..errors import CommitUnknown, StoreUnavailable
from ..ports import Clock, Commit, CommitOutcome, Committed, Conflict, Handle, Refusal, Store
from ..record import RunPatch, patch_run
from .faults import Faults
from .unsaved import Held, Unsaved

_LATEST = 200_000
"""Microseconds after which a change is written down."""

_AGAIN = (200_000, 1_000_000, 5_000_000)
"""Microseconds until a snapshot that failed is tried again."""


class Write:
    """What is unsaved of a run, and with it a decision that memory does not have yet. `must`: it is not
    made unless it gets to disk."""

    __slots__ = ("commit", "held", "must", "outcome", "taken")

    def __init__(self, held: Held, commit: Commit | None = None, must: bool = False) -> None:
        self.held = held
        self.commit = commit
        self.must = must
        self.taken = Unsaved()
        self.outcome: CommitOutcome | None = None

    def as_commit(self) -> Commit:
        self.taken, self.held.unsaved = self.held.unsaved, Unsaved()
        saved = self.held.saved
        assert saved is not None, "runs of tier memory are never written"
        made = self.taken.as_commit(self.held.run_id, saved)
        decision = self.commit
        if decision is not None:
            run = copy(self.taken.run)
            patch_run(run, _patch(decision))
            made.run = run
            made.tasks = [*made.tasks, *decision.tasks]
            made.hooks = [*made.hooks, *decision.hooks]
            made.document = decision.document  # refused, as it is to be
            made.consumed = decision.consumed
        return made

    def give_back(self, error: BaseException | None = None) -> None:
        """It was not written, or nobody knows whether it was: writing it again is harmless."""
        held = self.held
        held.unsaved = self.taken.followed_by(held.unsaved)
        if error is not None and not isinstance(error, StoreUnavailable):
            held.doubtful = True
            held.unsettled = self.commit


class Snapshots:
    """`held` are the runs whose newest rows are in memory, by id."""

    def __init__(self, durable: Store, volatile: Store, clock: Clock, faults: Faults) -> None:
        self.held: dict[str, Held] = {}
        self._durable = durable
        self._volatile = volatile
        self._clock = clock
        self._faults = faults
        self._gate = asyncio.Semaphore(max(1, durable.concurrency))
        self._dirty: dict[str, None] = {}
        self._due: dict[str, None] = {}
        self._timer: Handle | None = None
        self._worker: asyncio.Task[None] | None = None
        self._failures = 0

    # What is to be written, and when

    def changed(self, held: Held, *, now: bool = False) -> None:
        """Something of it is unsaved: it is written within 200 ms, or soon."""
        self._dirty[held.run_id] = None
        if now:
            self._due[held.run_id] = None
            if not self._failures:
                self._work_soon()
        if self._timer is None:
            self._set_timer(_LATEST)

    def _set_timer(self, wait: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_in(wait, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._due.update(self._dirty)
        self._work_soon()

    def _work_soon(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="aether: snapshots")

    async def _work(self) -> None:
        while self._due:
            found = [self.held.get(run_id) for run_id in self._due]
            self._due.clear()
            writes = [
                Write(held)
                for held in found
                if held is not None and held.unsaved and not held.refused and not held.writing
            ]
            if not writes:
                return
            try:
                await self.write((), writes)
            except (StoreUnavailable, CommitUnknown) as error:
                self._failed(error)
                return
            except Exception as error:  # noqa: BLE001 - one bad run must not keep the others from disk
                self._failed(error)
                await self._one_by_one(writes)
                return

    async def _one_by_one(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if not write.held.unsaved:
                continue
            try:
                await self.write((), [Write(write.held)])
            except (StoreUnavailable, CommitUnknown):
                return
            except Exception as error:  # noqa: BLE001 - its next decision is refused, for this reason
                self._refuse(write.held, f"{type(error).__name__}: {error}")

    def _failed(self, error: Exception) -> None:
        wait = _AGAIN[min(self._failures, len(_AGAIN) - 1)]
        self._failures += 1
        then = f"the runs go on, and the snapshot is tried again in {wait / 1_000_000:g}s"
        self._faults.report("write a snapshot", str(error), error, then=then)
        self._set_timer(wait)

    def write_failed(self, error: Exception) -> None:
        """A write that need not succeed did not: it is tried again."""
        self._failed(error)

    async def rest(self) -> None:
        """Write down what is unsaved, once, and wait for nothing afterwards."""
        self._due.update(self._dirty)
        if self._due:
            self._work_soon()
        while self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Writing

    async def write(
        self, straight: Sequence[Commit], writes: Sequence[Write]
    ) -> Sequence[CommitOutcome]:
        """All in one batch of the durable store. Answers for `straight`; a Write gets its `outcome`.
        What fails leaves each run as it was, with nothing lost that was unsaved."""
        if not writes:
            return await self._commit(straight)
        while busy := next((w.held.writing for w in writes if w.held.writing is not None), None):
            await asyncio.shield(busy)
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        marked = [write.held for write in writes]
        for held in marked:
            held.writing = mark
        try:
            for write in writes:
                if write.held.doubtful:
                    await self._settle_doubt(write.held)
            writes = [write for write in writes if self._still_stands(write)]
            batch = [*straight, *(write.as_commit() for write in writes)]
            try:
                outcomes = await self._commit(batch)
            except BaseException as error:
                for write in writes:
                    write.give_back(error)
                    if write.held.unsaved:
                        self.changed(write.held)
                raise
            for write, outcome in zip(writes, outcomes[len(straight) :], strict=True):
                await self._take_outcome(write, outcome)
            return outcomes[: len(straight)]
        finally:
            for held in marked:
                held.writing = None
                held.deciding = False
            mark.set_result(None)

    async def _commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        async with self._gate:
            outcomes = await self._durable.commit(batch)
        if len(outcomes) != len(batch):
            raise CommitUnknown(f"the store answered {len(outcomes)} of {len(batch)} commits")
        self._failures = 0
        return outcomes

    def _still_stands(self, write: Write) -> bool:
        """Whether the run is as it was when the decision was made, whatever happened while it waited."""
        held = write.held
        stands = self.held.get(held.run_id) is held
        if write.commit is not None:
            stands = stands and write.commit.expected == -held.token
            held.deciding = stands
        if not stands:
            write.outcome = Conflict()
        return stands

    async def _take_outcome(self, write: Write, outcome: CommitOutcome) -> None:
        held = write.held
        write.outcome = outcome
        if isinstance(outcome, Committed):
            held.saved = outcome.token
            if held.unsaved:
                self.changed(held)
            else:
                self._dirty.pop(held.run_id, None)
                if write.commit is None and held.over and not held.open_hooks:
                    await self.release(held)  # it ended while the disk was away
            return
        write.give_back()
        if isinstance(outcome, Conflict):
            if await self._only_the_letter_is_gone(write):
                if held.unsaved:
                    self.changed(held)
                return
            if self.held.get(held.run_id) is held:
                what = "somebody else changed this run in the store"
                then = "what came after its last snapshot is dropped"
                self._faults.report("write a snapshot", what, run_id=held.run_id, then=then)
            await self.release(held)
        elif write.commit is None:
            self._refuse(held, outcome.reason)

    async def _only_the_letter_is_gone(self, write: Write) -> bool:
        """Whether the disk has the run as it was: then what the decision was made of has been dealt with
        already, and what memory holds is no older than before."""
        if write.commit is None or not write.commit.consumed:
            return False
        try:
            [token] = await self._durable.tokens([write.held.run_id])
        except StoreUnavailable:
            return True  # its next snapshot finds out
        return token == write.held.saved

    def _refuse(self, held: Held, reason: str) -> None:
        held.refused = f"a snapshot of run '{held.run_id}' was refused: {reason}"
        self._dirty.pop(held.run_id, None)
        self._faults.report("write a snapshot", held.refused, run_id=held.run_id, critical=True)

    async def release(self, held: Held) -> None:
        """The disk has all there is to know of it."""
        if self.held.get(held.run_id) is held:
            del self.held[held.run_id]
            self._dirty.pop(held.run_id, None)
            await self._volatile.delete(held.run_id)

    # Unknown outcomes

    async def settle(self, held: Held) -> None:
        """Find out whether a decision that memory lacks is on disk. Raises what the store raises."""
        while held.writing is not None:
            await asyncio.shield(held.writing)
        if held.unsettled is None:
            return
        held.writing = asyncio.get_running_loop().create_future()
        try:
            await self._settle_doubt(held)
        finally:
            held.writing.set_result(None)
            held.writing = None

    async def _settle_doubt(self, held: Held) -> None:
        """While the run is held for us, only this process writes it: another token on disk means that our
        commit is there."""
        row = await self._durable.run(held.run_id)
        decision, held.unsettled = held.unsettled, None
        held.doubtful = False
        if row is None or row.token == held.saved:
            return
        named = UNSET if decision is None else decision.run.owner
        if row.held_by not in (held.held_by, named):
            await self.release(held)  # another engine has claimed it: what it finds on disk counts
            return
        held.saved = row.token
        if decision is not None:
            held.unsaved = Unsaved()  # it went along
            await self.apply(held, decision)

    async def apply(self, held: Held, commit: Commit) -> CommitOutcome:
        """Give memory a decision that the disk has, and let go of the run if that was its last."""
        if held.finished_after(commit):
            await self.release(held)
            assert held.saved is not None, "runs of tier memory are never written"
            return Committed(held.saved)
        outcome = (await self._volatile.commit([inside(held, commit)]))[0]
        if isinstance(outcome, Committed):
            held.took(commit, outcome.token)
            return Committed(-outcome.token)
        return outcome if isinstance(outcome, Refusal) else Conflict()


def _patch(decision: Commit) -> RunPatch:
    assert isinstance(decision.run, RunPatch), "a run that is held exists already"
    return decision.run


def inside(held: Held, commit: Commit) -> Commit:
    """The commit as the store in memory is to see it: under its own token, and without a log."""
    return Commit(
        run_id=commit.run_id,
        expected=held.token,
        run=commit.run,
        tasks=commit.tasks,
        hooks=commit.hooks,
        document=commit.document,
    )
