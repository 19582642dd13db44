"""Runs that runs wait for: they are begun, called off, and their end is told to the run that waits.

In: commands of the relay, runs that are over. Out: runs begun by deterministic ids, and events for parents.
Nothing is remembered here: a child row that is open is begun again after a crash, which finds the run that is
there, and tells its end if it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from ..errors import Problem, ProblemError, StoreError
from ..plan import (
    EXECUTOR_OF_FUNCTION,
    EXECUTOR_OF_TEMPLATE,
    AnyState,
    ChildBegan,
    ChildEnded,
    Event,
    FunctionState,
    continued_as,
    decode_child,
)
from ..ports import Clock
from ..record import (
    ChildOptions,
    NamedValue,
    Phase,
    RunRow,
    RunRows,
    TaskRow,
    encode_values,
    parse_task_run_id,
    task_run_id,
)
from .faults import Faults

_AGAIN = 1_000_000


class Starter(Protocol):
    """What it takes to begin a child; the engine does it."""

    async def begin_child(self, parent: RunRow, row: TaskRow, child: str, told: str) -> None:
        """Raises Refused `run-exists` if there is a run of that id. `told` is the task run that waits."""

    async def run(self, run_id: str) -> RunRow | None: ...

    async def rows(self, run_id: str) -> RunRows | None: ...

    async def cancel(self, run_id: str, by: str = ...) -> None: ...

    async def elsewhere(self, run: RunRow) -> None:
        """Returns at once if this engine decides for the run, else when it is over."""


class Children:
    """Does nothing before `connect`."""

    def __init__(self) -> None:
        self._starter: Starter | None = None
        self.forget: Callable[[str], None] = lambda run_id: None
        self._tasks: dict[str, asyncio.Task[None]] = {}  # the last thing under way, by child
        self._watching: set[asyncio.Task[None]] = (
            set()
        )  # runs of other engines, until they are over

    def connect(
        self, starter: Starter, clock: Clock, faults: Faults, tell: Callable[[str, Event], None]
    ) -> None:
        self._starter = starter
        self._clock = clock
        self._faults = faults
        self._tell = tell

    async def stop(self) -> None:
        tasks = [*self._tasks.values(), *self._watching]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # Orders of the relay

    def start(self, state: AnyState, ordinal: int) -> None:
        node = state.nodes.get(ordinal)
        if node is None or not isinstance(state, FunctionState):
            return  # it was given up in the same decision
        run = state.run
        child = node.row.worker
        self._do(child, partial(self._start, run, node.row))

    def start_task(self, parent: RunRow, row: TaskRow) -> str:
        """A task of a document that is a function. Answers with the id of its run."""
        child = child_of_task(parent.run_id, row)
        self._do(child, partial(self._start, parent, row, child))
        return child

    def cancel(self, run_id: str, reason: str) -> None:
        self._do(run_id, partial(self._cancel, run_id, reason))

    def check(self, child: RunRow) -> None:
        """Taken over: is it still wanted? Its parent may have ended just before an engine did."""
        self._do(child.run_id, partial(self._check, child))

    # Told by the runs

    def ended(self, run: RunRow) -> None:
        """A run that somebody may wait for is over."""
        self.forget(run.run_id)
        parent = parse_task_run_id(run.parent)
        if parent is not None and not continued_as(run):  # else the one that goes on will tell
            self._tell(parent[0], self._end_of(parent[1], run))

    def _end_of(self, ordinal: int, run: RunRow) -> ChildEnded:
        now = self._clock.now()
        return ChildEnded(ordinal, run.run_id, run.phase, now, run.outputs, run.message)

    # One after the other for each child

    def _do(self, run_id: str, work: Callable[[], Awaitable[None]]) -> None:
        before = self._tasks.get(run_id)
        task = asyncio.create_task(self._after(before, work), name=f"aether: child {run_id}")
        self._tasks[run_id] = task

        def over(done: asyncio.Task[None]) -> None:
            if self._tasks.get(run_id) is done:
                del self._tasks[run_id]

        task.add_done_callback(over)

    async def _after(
        self, before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        await work()

    async def _start(self, parent: RunRow, row: TaskRow, child: str = "") -> None:
        goes_on = row.kind == "continue"
        ordinal, child = row.ordinal, child or row.worker
        told = parent.parent if goes_on else task_run_id(parent.run_id, ordinal)

        async def begin() -> None:
            try:
                await self._starter_of().begin_child(parent, row, child, told)
            except ProblemError as error:
                if error.code != "run-exists":
                    raise
                if not await self._is_ours(parent.run_id, ordinal, child, told, goes_on):
                    return
            if goes_on:
                self._tell(parent.run_id, ChildBegan(ordinal, self._clock.now()))

        try:
            await self._persist(begin)
        except ProblemError as error:
            what = error.problems[0].what
            self._tell(parent.run_id, self._not_begun(ordinal, child, what, error.code))

    async def _is_ours(
        self, parent_id: str, ordinal: int, child: str, told: str, goes_on: bool
    ) -> bool:
        """Look at the run that is there. If it is over its end is told at once."""
        starter = self._starter_of()
        run = await starter.run(child)
        if run is None or run.parent != told:
            what = f"there is a run '{child}' that is not a child of this one"
            raise ProblemError(Problem("id-conflict", what, fix="give the child an id of its own"))
        while not goes_on and (following := continued_as(run)):
            next_run = await starter.run(following)
            if next_run is None:
                break
            run = next_run
        if not goes_on and run.phase.is_terminal:
            self._tell(parent_id, self._end_of(ordinal, run))
        elif not goes_on:
            self._watch(self._tell_when_over(parent_id, ordinal, run))
        return True

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="aether: a run of another engine")
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _tell_when_over(self, parent_id: str, ordinal: int, run: RunRow) -> None:
        """An engine that dies right after the end of its run tells nobody: so whoever takes up the parent
        looks itself."""
        with suppress(ProblemError):
            await self._starter_of().elsewhere(run)
            found = await self._starter_of().run(run.run_id)
            if found is not None and found.phase.is_terminal and not continued_as(found):
                self._tell(parent_id, self._end_of(ordinal, found))

    def _not_begun(self, ordinal: int, child: str, what: str, code: str) -> ChildEnded:
        error = {"type": code, "message": what}
        outputs = encode_values([NamedValue("error", "", error)])
        now = self._clock.now()
        return ChildEnded(ordinal, child, Phase.ERROR, now, outputs, f"{code}: {what}")

    async def _cancel(self, run_id: str, reason: str) -> None:
        async def cancel() -> None:
            await self._starter_of().cancel(run_id, f"its parent: {reason}")

        with suppress(ProblemError):  # it is over, or there never was one
            await self._persist(cancel)

    async def _check_when_over(self, child: RunRow, parent: RunRow) -> None:
        with suppress(ProblemError):
            await self._starter_of().elsewhere(parent)
            await self._check(child, wait=False)

    async def _check(self, child: RunRow, *, wait: bool = True) -> None:
        parent = parse_task_run_id(child.parent)
        if parent is None:
            return
        rows: RunRows | None = None

        async def look() -> None:
            nonlocal rows
            rows = await self._starter_of().rows(parent[0])

        await self._persist(look)
        row = None if rows is None else rows.tasks.get(parent[1])
        if rows is None or row is None:
            return
        if not row.phase.is_terminal:
            if wait:
                self._watch(self._check_when_over(child, rows.run))
            return
        options = decode_child(row.options) if row.options else ChildOptions()
        if options.on_parent_end == "cancel":
            await self._cancel(child.run_id, row.message)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until the store answers."""
        while True:
            try:
                await work()
            except StoreError as error:
                self._faults.report("begin a child", str(error), error, then="trying again in 1s")
                await self._nap()
            else:
                return

    async def _nap(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        handle = self._clock.call_in(
            _AGAIN, lambda: None if future.done() else future.set_result(None)
        )
        try:
            await future
        finally:
            handle.cancel()

    def _starter_of(self) -> Starter:
        assert self._starter is not None, "the engine connects it when it is made"
        return self._starter


def child_of_task(run_id: str, row: TaskRow) -> str:
    """The run of a function that is a task of a document: another one for each attempt."""
    return f"{task_run_id(run_id, row.ordinal)}:{row.attempt}"


def function_of(row: TaskRow) -> tuple[str, str]:
    """(function, template) that a child row names: one of them is empty."""
    if row.executor.startswith(EXECUTOR_OF_TEMPLATE):
        return "", row.executor.removeprefix(EXECUTOR_OF_TEMPLATE)
    return row.executor.removeprefix(EXECUTOR_OF_FUNCTION), ""
