"""Looking at runs: which there are, and time travel: a run as it stood after any of its decisions.

In: a store, for the past one that keeps the action log. Out: pages; rows, folded from the
log, and what people see of them. Never: a write, a decision, or a guess: where the log does not
reach, a problem says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ..errors import InvalidState, NotFound, NotSupported, Problem
from ..ports import (
    Difference,
    Execution,
    LogEntry,
    Observer,
    Page,
    RunQuery,
    Step,
    Store,
    WorkerInfo,
    WorkerRegistry,
)
from ..record import ACTION_LOG, Instant, RunRow, RunRows, apply, decode_changes
from .comparison import compare
from .merged import whole_page
from .runs import Runs
from .sentences import step_of
from .view import execution_of

_PAGE = 1000


_BOOKMARKS = 4


class Fold:
    """A run as it stood after decision `seq`, on the way through its log."""

    __slots__ = ("rows", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.rows: RunRows | None = None

    def take(self, entry: LogEntry) -> None:
        for change in decode_changes(entry.body):
            self.rows = apply(self.rows, change)
        self.seq = entry.seq

    def tell(self, entry: LogEntry) -> Step:
        self.rows, step = step_of(self.rows, entry, decode_changes(entry.body))
        self.seq = entry.seq
        return step


class Travel:
    """The calls of `Engine` that look at runs; `Engine` sets these members."""

    _store: Store
    _runs: Runs
    _workers: WorkerRegistry | None

    def __init__(self) -> None:
        self._bookmarks: dict[tuple[str, Instant, int], Fold] = {}

    async def list(self, query: RunQuery | None = None) -> Page:
        """Runs, newest first, without their tasks and values. A page is as long as its limit, or the last."""
        return await whole_page(self._store, query or RunQuery())

    async def header(self, run_id: str) -> RunRow:
        """The run's own row: what a page shows of it. Raises NotFound."""
        run = await self._store.run(run_id)
        if run is None:
            raise _no_run(run_id)
        return run

    async def document_of(self, run_id: str) -> bytes:
        """The text that the run goes by, with whatever it refers to in it. Raises NotFound."""
        return await self._store.document((await self.header(run_id)).document) or b""

    async def workers(self) -> Sequence[WorkerInfo]:
        """Those who work for this engine; none are known to one without a registry."""
        return () if self._workers is None else await self._workers.list()

    def observe(self, observer: Observer | None) -> None:
        """Tell `observer` of every change from now on, in place of the one before."""
        self._runs.observer = observer

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        """The decisions of a run, where the store keeps them. Raises NotFound, and `no-log` for a run of
        another tier than `state-action-log`."""
        run = await self._store.run(run_id)
        if run is None:
            raise _no_run(run_id)
        if run.tier != ACTION_LOG:
            raise no_log(run)
        return await self._store.history(run_id, after_seq, limit)

    async def at(self, run_id: str, seq: int) -> Execution:
        """The run as it stood after its decision number `seq`; `get` shows the last one's number.

        Raises NotFound, `no-log` where no log was kept, and `no-such-step`.
        """
        await self._runs.write_now(run_id)
        return execution_of(await rows_at(self._store, run_id, seq), served=None)

    async def log(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[Step]:
        """The decisions behind number `after`, at most `limit`, in sentences. Raises NotFound and
        `no-log`. A call that goes on where one of the last few ended reads only what is new; any other
        reads the log from its beginning."""
        await self._runs.write_now(run_id)
        run = await _logged_run(self._store, run_id)
        if after >= run.seq:
            return []
        fold = self._bookmarks.pop((run_id, run.created_at, after), None) or Fold()
        told = [step async for step in _told(self._store, run, fold, after, after + max(limit, 0))]
        if fold.seq < run.seq or not run.phase.is_terminal:  # there is, or will be, more to tell
            self._bookmarks[run_id, run.created_at, fold.seq] = fold
            if len(self._bookmarks) > _BOOKMARKS:
                del self._bookmarks[next(iter(self._bookmarks))]
        return told

    async def diff(
        self, a: str, b: str, at_a: int | None = None, at_b: int | None = None
    ) -> Difference:
        """What two runs differ in, or one run at two points; without a number, as it stands now, which
        needs no log. Raises what `at` raises."""
        for run_id in (a, b):
            await self._runs.write_now(run_id)
        before = await rows_at(self._store, a, at_a)
        return compare(before, await rows_at(self._store, b, at_b))


async def rows_at(store: Store, run_id: str, seq: int | None) -> RunRows:
    """All rows of a run as they stood after decision `seq`; None: as they stand. They are
    the caller's own. The past knows no token, and no head or signature of its own log: these are empty.
    """
    if seq is None:
        now = (await store.load([run_id]))[0]
        if now is None:
            raise _no_run(run_id)
        return now
    run = await _logged_run(store, run_id)
    if not 1 <= seq <= run.seq:
        raise _no_step(run, seq)
    fold = Fold()
    async for entry in _entries(store, run, seq):
        fold.take(entry)
    assert fold.rows is not None, "a log that reaches from the first step to `seq` creates the run"
    return fold.rows


async def steps(
    store: Store, run_id: str, after: int = 0, last: int | None = None
) -> AsyncIterator[Step]:
    """The decisions behind `after`, up to `last`, one by one. Earlier ones are read, not told: a
    sentence needs the names and phases that they left behind."""
    run = await _logged_run(store, run_id)
    async for step in _told(store, run, Fold(), after, run.seq if last is None else last):
        yield step


async def _told(
    store: Store, run: RunRow, fold: Fold, after: int, last: int
) -> AsyncIterator[Step]:
    """The decisions behind `after`, read from where `fold` stands, which goes along."""
    async for entry in _entries(store, run, min(last, run.seq), fold.seq):
        if entry.seq > after:
            yield fold.tell(entry)
        else:
            fold.take(entry)


async def log_entries(store: Store, run_id: str, last: int | None = None) -> list[LogEntry]:
    """The log itself, up to decision `last`."""
    run = await _logged_run(store, run_id)
    if last is not None and not 1 <= last <= run.seq:
        raise _no_step(run, last)
    return [entry async for entry in _entries(store, run, run.seq if last is None else last)]


async def _entries(store: Store, run: RunRow, last: int, seq: int = 0) -> AsyncIterator[LogEntry]:
    """The log of a run behind decision `seq` to number `last`: the one place that knows where the
    entries of a run lie. Raises `log-incomplete` when one is missing."""
    while seq < last:
        page = await store.history(run.run_id, seq, min(_PAGE, last - seq))
        for entry in page:
            seq += 1
            if entry.seq != seq:
                raise _incomplete(run, seq)
            yield entry
        if not page:
            raise no_log(run) if not seq else _incomplete(run, seq + 1)


async def _logged_run(store: Store, run_id: str) -> RunRow:
    run = await store.run(run_id)
    if run is None:
        raise _no_run(run_id)
    if not store.keeps_log or run.tier != ACTION_LOG:
        raise no_log(run)
    return run


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        Problem("run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id")
    )


def _no_step(run: RunRow, seq: int) -> NotFound:
    return NotFound(
        Problem(
            "no-such-step",
            f"run {run.run_id} has no step {seq}: its steps are 1 to {run.seq}",
            fix="give one of them; the log lists what each one changed",
        )
    )


def no_log(run: RunRow) -> NotSupported:
    if run.tier != ACTION_LOG:
        what, fix = f"run {run.run_id} has tier `{run.tier}`", "submit it with"
    else:
        what, fix = f"the store of run {run.run_id} was told to keep no log", "use"
    return NotSupported(
        Problem(
            "no-log",
            f"no action log is kept: {what}",
            fix=f"{fix} tier `state-action-log`, on SQLite, PostgreSQL or MemoryStore(history=True)",
        )
    )


def _incomplete(run: RunRow, seq: int) -> InvalidState:
    return InvalidState(
        Problem(
            "log-incomplete",
            f"the action log of run {run.run_id} lacks step {seq} of {run.seq}",
            fix="the log was switched off for a while, or the database was damaged: restore a backup, "
            "or look at the run as it stands",
        )
    )
