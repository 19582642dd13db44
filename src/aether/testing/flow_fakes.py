"""MemoryJournal: a journal that keeps its rows in a dict, for functions without an engine.

In: facts, and what a test says happens outside. Out: rows, answers, deliveries. Never: a decision that the
plan would not make; it knows enough of them to lead a function from its start to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from ..errors import NotFound, Problem, Superseded
from ..ports import Clock, Fence
from ..record import (
    ActivityScheduled,
    ChildStarted,
    Completed,
    Continued,
    Dropped,
    Fact,
    Failed,
    Instant,
    Noted,
    Parked,
    Path,
    Phase,
    StatusSet,
    StepDone,
    Stopped,
    Stuck,
    TaskRow,
    TimerStarted,
    UpdateAnswered,
    WaitOpened,
)

_FUNCTION = "workflow:"


class Book:
    """One run: its rows, and what was told about it. `commits` are the facts of each append."""

    def __init__(self, run_id: str, name: str, inputs: bytes | None, now: Instant) -> None:
        self.run_id = run_id
        self.rows: list[TaskRow] = [
            TaskRow(
                ordinal=0,
                task_name=name,
                kind="workflow",
                executor=_FUNCTION + name,
                inputs=inputs,
                phase=Phase.READY,
                created_at=now,
                delivery=1,
            )
        ]
        self.epoch = 1
        self.answered = 0
        self.commits: list[list[Fact]] = []
        self.status: bytes | None = None
        self.attributes: dict[str, str] = {}
        self.stuck = ""
        self.successor: Continued | None = None
        self.waiting: list[asyncio.Future[None]] = []
        self.snapshots: list[list[TaskRow]] = []  # the rows after each change

    def snap(self) -> None:
        self.snapshots.append([_copy(row) for row in self.rows])

    @property
    def root(self) -> TaskRow:
        return self.rows[0]

    @property
    def fence(self) -> Fence:
        return Fence(self.epoch, self.root.delivery)

    def find(self, path: Path) -> TaskRow | None:
        scope = path.scope
        for row in self.rows:
            if row.scope == scope and row.task_name == path.name and row.parent == 0:
                return row
        return None


class MemoryJournal:
    """A Journal. `deliver` is called with (run id, fence) when a run is to be executed.

        journal = MemoryJournal(clock, deliver)
        journal.begin("o-1", "order", inputs)      # delivers
        journal.signal("o-1", "approval", payload)

    `slow` True keeps appends from being acknowledged until `release` is called.
    """

    def __init__(self, clock: Clock, deliver: Callable[[str, Fence], None] | None = None) -> None:
        self._clock = clock
        self._deliver = deliver
        self._books: dict[str, Book] = {}
        self.slow = False
        self._held: list[Callable[[], None]] = []

    # -- the port

    def append(
        self, run_id: str, fence: Fence, after: int, facts: Sequence[Fact]
    ) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[int] = loop.create_future()

        def commit() -> None:
            book = self._books.get(run_id)
            if book is None or not self._serves(book, fence):
                if not done.done():
                    done.set_exception(Superseded(f"another delivery of {run_id} counts now"))
                return
            for fact in facts:
                self._record(book, fact, after)
            book.commits.append(list(facts))
            book.snap()
            if not done.done():
                done.set_result(book.answered)

        if self.slow:
            self._held.append(commit)
        else:
            loop.call_soon(commit)
        return done

    async def answers(self, run_id: str, fence: Fence, after: int) -> Sequence[TaskRow]:
        while True:
            book = self.book(run_id)
            if not self._serves(book, fence):
                raise Superseded(f"another delivery of {run_id} counts now")
            rows = [_copy(row) for row in book.rows if row.order > after and row.kind != "step"]
            if rows:
                return sorted(rows, key=lambda row: row.order)
            waiter = asyncio.get_running_loop().create_future()
            book.waiting.append(waiter)
            await waiter

    async def rows(self, run_id: str) -> Sequence[TaskRow]:
        return [_copy(row) for row in self.book(run_id).rows]

    # -- what happens outside

    def begin(self, run_id: str, name: str, inputs: bytes | None = None) -> Book:
        book = self._books[run_id] = Book(run_id, name, inputs, self._clock.now())
        book.snap()
        self._hand_out(book)
        return book

    def adopt(self, run_id: str, rows: Sequence[TaskRow]) -> Book:
        """A run as these rows left it, taken over: the next delivery of the next epoch."""
        book = Book(run_id, rows[0].task_name, rows[0].inputs, rows[0].created_at)
        book.rows = [_copy(row) for row in rows]
        book.epoch = 2
        steps = ("step", "workflow")
        book.answered = max((row.order for row in book.rows if row.kind not in steps), default=0)
        self._books[run_id] = book
        for row in book.rows:
            if row.deadline_at is not None and not row.phase.is_terminal:
                self._wake_at(book, row)
        self._redeliver(book)
        return book

    def take_over(self, run_id: str) -> None:
        """Another engine has the run: what runs under the old fence counts no more."""
        book = self.book(run_id)
        book.epoch += 1
        self._redeliver(book)

    def signal(self, run_id: str, name: str, payload: bytes | None = None) -> None:
        book = self.book(run_id)
        row = self._add(book, "signal", name, f"signal#{len(book.rows)}")
        row.outputs = payload
        for wait in book.rows:
            if wait.kind == "wait" and wait.task_name == name and not wait.phase.is_terminal:
                self._take(book, wait, row)
                return

    def update(self, run_id: str, name: str, inputs: bytes | None = None) -> TaskRow:
        book = self.book(run_id)
        row = self._add(book, "update", name, f"update#{len(book.rows)}")
        row.inputs = inputs
        self._answer(book, row)
        return row

    def cancel(self, run_id: str, reason: str = "cancelled") -> None:
        book = self.book(run_id)
        row = self._add(book, "cancel", "cancel", f"cancel#{len(book.rows)}")
        row.message = reason
        row.phase = Phase.SUCCEEDED
        row.finished_at = self._clock.now()
        self._answer(book, row)

    def end(
        self,
        run_id: str,
        name: str,
        outputs: bytes | None = None,
        phase: Phase = Phase.SUCCEEDED,
        message: str = "",
    ) -> None:
        """The open activity or child called `name` ends."""
        book = self.book(run_id)
        for row in book.rows:
            if row.task_name == name and row.kind in ("activity", "child"):
                if not row.phase.is_terminal:
                    self._end(book, row, phase, outputs, message)
                    return
        raise LookupError(f"{run_id} waits for nothing called {name}")

    def release(self) -> None:
        """Acknowledge what was held back."""
        held, self._held = self._held, []
        for commit in held:
            commit()

    def book(self, run_id: str) -> Book:
        book = self._books.get(run_id)
        if book is None:
            raise NotFound(Problem("run-not-found", f"there is no run '{run_id}'"))
        return book

    # -- recording

    def _record(self, book: Book, fact: Fact, after: int) -> None:
        match fact:
            case StepDone():
                self._step(book, fact, after)
            case TimerStarted():
                row = self._open(book, "timer", fact.path, fact.where)
                row.deadline_at = fact.due_at
                self._wake_at(book, row)
            case WaitOpened():
                row = self._open(book, "wait", fact.path, fact.where)
                row.deadline_at = fact.deadline_at
                self._take_early(book, row)
            case ActivityScheduled() | ChildStarted():
                kind = "activity" if isinstance(fact, ActivityScheduled) else "child"
                row = self._open(book, kind, fact.path, fact.where)
                row.inputs, row.options = fact.inputs, fact.options
                if isinstance(fact, ActivityScheduled):
                    row.executor = fact.executor
                else:
                    row.worker = fact.run_id
            case Noted():
                row = self._open(book, "note", fact.path, fact.where)
                row.phase, row.outputs = Phase.SUCCEEDED, fact.outputs
            case Dropped():
                found = book.find(fact.path)
                if found is not None and not found.phase.is_terminal:
                    found.phase, found.finished_at = Phase.CANCELLED, self._clock.now()
            case _:
                self._record_state(book, fact, after)

    def _record_state(self, book: Book, fact: Fact, after: int) -> None:
        match fact:
            case UpdateAnswered():
                row = book.rows[fact.ordinal]
                row.phase = Phase.FAILED if fact.error_type else Phase.SUCCEEDED
                row.outputs, row.message = fact.outputs, fact.message
                row.finished_at = self._clock.now()
            case StatusSet():
                book.status = fact.status if fact.status is not None else book.status
                book.attributes.update(fact.attributes or {})
            case Parked():
                if after >= book.answered:
                    book.root.phase = Phase.SUSPENDED
            case Stuck():
                book.root.phase, book.stuck = Phase.SUSPENDED, fact.message
            case Completed():
                self._over(book, Phase.SUCCEEDED, fact.outputs, "")
            case Failed():
                self._over(book, Phase.FAILED, fact.outputs, fact.message)
            case Stopped():
                self._over(book, Phase.CANCELLED, None, "")
            case Continued():
                book.successor = fact
                self._over(book, Phase.SUCCEEDED, None, "")

    def _step(self, book: Book, fact: StepDone, after: int) -> None:
        row = book.find(fact.path) or self._open(book, "step", fact.path, fact.where)
        row.inputs, row.outputs, row.message = fact.inputs, fact.outputs, fact.message
        row.attempt, row.started_at, row.order = fact.attempt, fact.started_at, after
        row.retry_at = fact.retry_at
        if fact.retry_at is None:
            row.finished_at = fact.finished_at
            row.phase = Phase.FAILED if fact.error_type else Phase.SUCCEEDED

    def _open(self, book: Book, kind: str, path: Path, where: str) -> TaskRow:
        row = self._add(book, kind, path.name, path.scope)
        row.template_name = where
        return row

    def _add(self, book: Book, kind: str, name: str, scope: str) -> TaskRow:
        row = TaskRow(
            ordinal=len(book.rows),
            parent=0,
            depth=1,
            scope=scope,
            task_name=name,
            kind=kind,
            phase=Phase.RUNNING,
            created_at=self._clock.now(),
        )
        book.rows.append(row)
        return row

    def _take_early(self, book: Book, wait: TaskRow) -> None:
        for row in book.rows:
            if row.kind == "signal" and row.task_name == wait.task_name:
                if not row.phase.is_terminal:
                    self._take(book, wait, row)
                    return
        if wait.deadline_at is not None:
            self._wake_at(book, wait)

    def _take(self, book: Book, wait: TaskRow, signal: TaskRow) -> None:
        signal.phase, signal.finished_at = Phase.SUCCEEDED, self._clock.now()
        self._end(book, wait, Phase.SUCCEEDED, signal.outputs)

    def _wake_at(self, book: Book, row: TaskRow) -> None:
        assert row.deadline_at is not None

        def due() -> None:
            if self._books.get(book.run_id) is book and not row.phase.is_terminal:
                self._end(book, row, Phase.SUCCEEDED if row.kind == "timer" else Phase.TIMEOUT)

        self._clock.call_at(row.deadline_at, due)

    def _end(
        self,
        book: Book,
        row: TaskRow,
        phase: Phase,
        outputs: bytes | None = None,
        message: str = "",
    ) -> None:
        row.phase, row.outputs, row.message = phase, outputs, message
        row.finished_at = self._clock.now()
        self._answer(book, row)

    def _answer(self, book: Book, row: TaskRow) -> None:
        book.answered += 1
        row.order = book.answered
        book.snap()
        if book.root.phase is Phase.SUSPENDED and not book.stuck:
            self._redeliver(book)
        self._wake(book)

    def _over(self, book: Book, phase: Phase, outputs: bytes | None, message: str) -> None:
        root = book.root
        root.phase, root.outputs, root.message = phase, outputs, message
        root.finished_at = self._clock.now()
        self._wake(book)

    # -- deliveries

    def _redeliver(self, book: Book) -> None:
        book.root.phase = Phase.READY
        book.root.delivery += 1
        self._wake(book)
        self._hand_out(book)

    def _hand_out(self, book: Book) -> None:
        if self._deliver is not None:
            self._deliver(book.run_id, book.fence)

    def _serves(self, book: Book, fence: Fence) -> bool:
        root = book.root
        return fence == book.fence and root.phase in (Phase.READY, Phase.RUNNING)

    def _wake(self, book: Book) -> None:
        waiting, book.waiting = book.waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


def _copy(row: TaskRow) -> TaskRow:
    return msgspec.structs.replace(row)
