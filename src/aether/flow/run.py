"""FlowRun: one live function run, from its first instruction, or its replay, until it parks or ends.

Everything here happens on the real loop's thread. `drive` lets the function run until it is quiet, hands
it one result, and so on; what it did meanwhile goes to the journal as facts. Results of steps are handed
on at once; what begins next waits until everything before it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ..ports import Fence
from ..record import Dropped, Path, Stuck, TaskRow
from .calls import Call, Detached, StepCall, TimerCall, key_of, key_of_row
from .endings import child_run_id, end_of, unwind
from .handlers import Handlers
from .history import History, difference, misfit, misfit_unasked
from .local import LocalSteps
from .loop import BRANCH, Branch, FlowLoop, Timer
from .recorder import DROPPED, ENDED, PARKED, STUCK, Recorder
from .threads import Threads

if TYPE_CHECKING:
    from .blocking import BlockingContext
    from .definition import WorkflowDefinition
    from .host import Runtime

_SECOND = 1_000_000
_MOST_REFUSALS = 100  # of one function that goes on after Detached


class FlowRun(Recorder):
    """The function's side of a run: its loop, its calls, and what they are handed."""

    def __init__(
        self,
        runtime: Runtime,
        definition: WorkflowDefinition,
        run_id: str,
        fence: Fence,
        inputs: bytes | None,
        rows: Sequence[TaskRow] | None,
        *,
        reading: bool = False,
    ) -> None:
        super().__init__(runtime, run_id, fence, reading)
        self.definition = definition
        self.inputs = inputs
        self.loop: FlowLoop = FlowLoop(self)  # type: ignore[abstract]  # it refuses the rest
        self.local = LocalSteps(self)
        self.is_plain = not definition.is_async
        if self.is_plain:
            self.threads = Threads(self)
        self.attempt = 1
        self.weight = len(inputs or b"")
        if rows is not None:
            self._remember(rows)
        else:
            self.now = self.started_at = runtime.clock.now()
        self._handlers: Handlers | None = None
        self.notes: dict[str, bool] = {}
        self.compensations: list[Callable[[], Any]] = []
        self.context: Any
        self.blocking: BlockingContext
        self.owner: asyncio.Task[Any] | None = None
        self.main: asyncio.Task[Any]
        self.cancelled = self.stubborn = (
            False  # it goes on after Detached, with its parts, for ever
        )
        self.refusals = 0
        self._driving = False
        self._soon = False

    def _remember(self, rows: Sequence[TaskRow]) -> None:
        history = self.history = History(rows)
        root = rows[0]
        self.now = self.started_at = root.created_at
        self.attempt = root.attempt
        self.received = history.newest

    # -- life

    def start(self, main: Callable[[FlowRun], Any]) -> None:
        """Makes the main task out of the coroutine `main` returns, and drives it."""
        context = copy_context()
        root = Branch()
        context.run(BRANCH.set, root)
        self.root = root
        self.main = asyncio.Task(main(self), loop=self.loop, name=self.run_id, context=context)
        self.drive()

    def resume(self, fence: Fence) -> None:
        """Goes on after it was parked, with the answers that have come since."""
        self.fence = fence
        self.state = ""
        self.parking = False
        self.ended = self.real.create_future()
        self._listen()

    def drive_soon(self) -> None:
        """What has ended in the same turn of the real loop is handed out, and recorded, together."""
        if not self._soon:
            self._soon = True
            self.real.call_soon(self._drive_now)

    def _drive_now(self) -> None:
        self._soon = False
        self.drive()

    def drive(self) -> None:
        if self._driving or self.state or self.detached:
            return
        self._driving = True
        try:
            self._go_on()
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave a run hanging
            self.runtime.report(self.run_id, "drive a function run", error)
            self.drop()
        finally:
            self._driving = False

    def _go_on(self) -> None:
        while True:
            quiet = self._replay() if self.history is not None else self.loop.turn()
            if not quiet:
                self.drive_soon()
                return
            if self.misfit:
                self._stick()
                return
            if self.main.done():
                self._finish()
                return
            if self.is_plain and self.threads.resume_next():
                break  # nothing is handed out while plain code runs
            if not self._hand_next():
                break
        self.flush()
        self.local.begin()
        self._rest()

    def _hand_next(self) -> bool:
        """Hands out one result, or learns that nothing is left to replay. False: there is none."""
        if self.history is not None:
            self._replay_next()
            return True
        if self.local.done:
            self._wake()
            self.local.hand_out()
            return True
        if self.answers and not self.parking:
            self._wake()
            self.flush()  # what was recorded up to here came before this answer
            self._hand_answer(self.answers.pop(0))
            return True
        return False

    def _wake(self) -> None:
        self.handed += 1
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _hand_answer(self, row: TaskRow) -> None:
        self.after = row.order
        self.pass_to(row.finished_at or row.created_at)
        self.weight += len(row.outputs or b"")
        if row.kind == "cancel":
            if not self.cancelled:
                self.cancelled = True
                self.main.cancel(row.message or "the run was cancelled")
        elif row.kind == "update":
            self._update(row)
        else:
            call = self.open.pop(key_of_row(row), None)
            if call is not None:
                call.answered(row)

    # -- replay

    def _replay(self) -> bool:
        """Hands out as much of the record as it can without leaving the function's loop; the end of the
        replay is for others. As `turn`."""
        loop, history = self.loop, self.history
        assert history is not None
        outer = loop.enter()
        try:
            while loop.drain():
                if self.misfit or history.next is None or self.main.done():
                    return True
                if self.is_plain and self.threads.busy:
                    return True
                self._replay_next()
            return False
        finally:
            loop.leave(outer)

    def _replay_next(self) -> None:
        history = self.history
        assert history is not None
        row = history.next
        if row is None:
            left = history.unasked
            if left is not None:
                self.misfit = misfit_unasked(left, self.queued or history.waiting)
            else:
                self._go_live()
            return
        if row.kind == "step":
            call = history.asked.pop((row.scope, row.task_name), None)
            if call is None:
                self.misfit = misfit_unasked(row, self.queued or history.waiting)
                return
            history.advance()
            self.pass_to(row.finished_at or 0)
            self.weight += len(row.outputs or b"")
            call.answered(row)
        else:
            if row.kind not in ("cancel", "update") and key_of_row(row) in history.by_key:
                self.misfit = misfit_unasked(row, self.queued or history.waiting)
                return
            history.advance()
            self._hand_answer(row)

    def _go_live(self) -> None:
        """Everything recorded has been handed out: what was asked for beyond it begins."""
        self.history = None
        if self.reading:
            return
        queued, self.queued = self.queued, []
        for call in queued:
            if not call.dropped:
                self.start_call(call)

    # -- durable calls

    async def perform(self, call: Call) -> Any:
        """Makes `call` in the branch that runs, and awaits what comes of it."""
        if self.detached:
            await self.refuse()
        call.future = future = self.loop.create_future()
        self.ask(call, self.loop.branch().path(call.name))
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self.abandon(call)
            raise

    def ask(self, call: Call, path: Path) -> None:
        call.path = path
        history = self.history
        if history is None:
            if self.reading:
                return
            self.start_call(call)
            return
        row = history.take(call)
        if row is None:
            self.queued.append(call)
            return
        why = difference(call, row)
        if why and not self.misfit:
            self.misfit = misfit(call, row, why)
            return
        call.row = row
        if isinstance(call, StepCall):
            self.local.recall(call, row, history)
            if not row.phase.is_terminal:
                self.queued.append(call)
        else:
            self.open[key_of_row(row)] = call

    def start_call(self, call: Call) -> None:
        if isinstance(call, StepCall):
            self.local.start(call)
            return
        call.fact = call.begin(self)
        self.outbox.append(call.fact)
        self.open[key_of(call.path)] = call

    def abandon(self, call: Call) -> None:
        """Nobody waits for `call` any more."""
        if self.detached or call.dropped:
            return
        call.dropped = True
        if isinstance(call, StepCall):
            self.local.abandon(call)
            return
        if self.open.pop(key_of(call.path), None) is None:
            return  # asked for in replay only, or answered
        for at in range(len(self.outbox) - 1, -1, -1):
            if self.outbox[at] is call.fact:
                del self.outbox[at]  # it never came to be
                return
        if call.row is None or not call.row.phase.is_terminal:
            self.outbox.append(Dropped(call.path))

    async def refuse(self) -> None:
        """A durable call of a function that is being put away."""
        self.refusals += 1
        if self.refusals < _MOST_REFUSALS:
            raise Detached
        await self.loop.create_future()  # it goes on after every Detached: it waits for ever

    def child_id(self, path: Path) -> str:
        return child_run_id(self.run_id, path)

    def drawn(self, what: str) -> bytes:
        """16 bytes that depend on the run, the branch and how often it has asked, and on nothing else."""
        branch = self.loop.branch()
        branch.drawn += 1
        text = f"{self.run_id}\0{branch.name}\0{branch.drawn}\0{what}"
        return blake2b(text.encode(), digest_size=16).digest()

    @property
    def handlers(self) -> Handlers:
        if self._handlers is None:
            self._handlers = Handlers()
        return self._handlers

    def answer(self, name: str, inputs: bytes | None) -> bytes:
        """What the handler of query `name` says; it may look, and record nothing."""
        before, self.reading = self.reading, True
        try:
            said: bytes = self.loop.inside(lambda: self.handlers.query(name, inputs))
            return said
        finally:
            self.reading = before

    # -- timers of the loop

    @property
    def seconds(self) -> float:
        return self.now / _SECOND

    def timer_set(self, timer: Timer, delay: float) -> None:
        if self.detached:
            raise Detached
        call = TimerCall("", self.clock.now() + round(delay * _SECOND), "timer", timer)
        timer.call = call
        self.ask(call, self.loop.branch().path("timer"))

    def timer_dropped(self, timer: Timer) -> None:
        if timer.call is not None:
            self.abandon(timer.call)

    def loop_failed(self, context: dict[str, Any]) -> None:
        if not self.detached:
            error = context.get("exception")
            self.runtime.report(self.run_id, str(context.get("message", "run a callback")), error)

    # -- local work

    def step_ended(self, call: StepCall, task: asyncio.Task[Any]) -> None:
        if self.detached:
            if not task.cancelled():
                task.exception()  # nobody waits for it: its failure is no unretrieved one
            return
        self.local.ended(call, task)

    def retry_due(self, call: StepCall) -> None:
        self.local.retry_due(call)

    def owner_cancelled(self) -> bool:
        """Whether the task that waits for this run was cancelled: then the loop goes down, or the run."""
        return self.owner is not None and bool(self.owner.cancelling())

    def _update(self, row: TaskRow) -> None:
        work = self.handlers.answer_to(row, self)
        if work is not None:
            self.loop.inside(
                lambda: self.loop.make_task(
                    work, Branch(f"u{row.order}"), f"update {row.task_name}"
                )
            )

    # -- the end

    def _stick(self) -> None:
        """The code does not fit: the run waits for code that does."""
        assert self.misfit is not None, "it says why"
        self.outbox = [Stuck(message=self.misfit.text)]
        self._close(STUCK)

    def _finish(self) -> None:
        """The function has ended: the last step and the end go into one append."""
        history = self.history
        if history is not None:
            if (left := history.left) is not None:
                self.misfit = misfit_unasked(left, self.queued or history.waiting)
                self._stick()
                return
            self.history = None
        fact = end_of(self.main, self)
        if fact is None:
            self.drop()
            return
        self.outbox.append(fact)
        self._close(ENDED)

    def _close(self, state: str) -> None:
        self.finished = True
        outbox = self.outbox
        self.detach()
        self.outbox = outbox
        if self.reading:
            self._end(state)
        else:
            self.flush()

    def drop(self) -> None:
        """What was done here does not count any more, or cannot be recorded: nothing of it stays."""
        if self.state in ("", PARKED):
            self.detach()
            self._end(DROPPED)

    def release(self) -> None:
        """It is over: its parts let go of each other, so that no collector has to find them."""
        if not self.stubborn:
            del self.main, self.context, self.loop, self.local

    def detach(self) -> None:
        """Puts the function away. Its `finally` blocks run; its durable calls raise Detached."""
        if self.detached:
            return
        self.detached = True
        self.local.close()
        if self.queued:
            self.queued.clear()
        if self.open:
            self.open.clear()
        if self.answers:
            self.answers.clear()
        if self.is_plain:
            self.threads.detach()
        if self.main.done() and not self.loop.tasks:
            return
        stubborn = unwind(self.loop, self.main)
        if stubborn:
            self.stubborn = True
            self.runtime.keep_stubborn(self.run_id, stubborn)
