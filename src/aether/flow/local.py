"""Steps: functions that run here, on the real loop or in a thread, and are recorded when they end."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from hashlib import blake2b
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any

from ..ports import Handle
from ..record import StepDone, TaskRow
from . import codec
from .calls import StepCall, TimerCall, key_of, step_fact
from .definition import is_async
from .errors import encode_error, rebuild
from .threads import leave_workflow, outside

if TYPE_CHECKING:
    from .history import History
    from .run import FlowRun

_SECOND = 1_000_000
_COROUTINE = inspect.CO_COROUTINE


class LocalSteps:
    """`done` are steps that have ended and were not handed out yet. `begin` is called again and again:
    it begins what may begin, which is nothing while something recorded is not on disk."""

    __slots__ = ("_queue", "_run", "_running", "_unwinding", "_waiting", "done")

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._queue: list[StepCall] = []
        self._running: dict[StepCall, None] = {}
        self._unwinding: dict[StepCall, None] = {}
        self._waiting: dict[StepCall, Handle] = {}  # for their next attempt
        self.done: list[StepCall] = []

    @property
    def busy(self) -> bool:
        if self._running or self._queue:
            return True
        return bool(self._waiting or self.done or self._unwinding)

    def start(self, call: StepCall) -> None:
        row = call.row
        if row is None:
            self._queue.append(call)
        elif call.pause is None:  # it failed before, and is to be tried again
            self._wait(call, row.retry_at or 0)
        elif call.pause.row is None or call.pause.row.phase.is_terminal:
            self._queue.append(call)

    def begin(self) -> None:
        run = self._run
        if not self._queue or run.unacked or run.outbox or self._unwinding or run.detached:
            return
        queue, self._queue = self._queue, []
        for call in queue:
            if not call.dropped:
                self._begin(call)

    def _begin(self, call: StepCall) -> None:
        run = self._run
        call.run = run
        call.started_at = run.clock.now()
        if run.is_plain:
            call.variables.run(leave_workflow)
        if run.runtime.stand_in is not None:
            call.function = run.runtime.stand_in(call)
        function = call.function
        try:
            if (
                function.__class__ is FunctionType and function.__code__.co_flags & _COROUTINE
            ) or is_async(function):
                coro: Any = function(*call.args, **call.kwargs)
                if coro.__class__ is not CoroutineType:
                    coro = _awaited(coro)
            else:
                coro = _in_thread(run, call)
        except Exception as error:  # noqa: BLE001 - a call with the wrong arguments
            coro = _raising(error)
        self._running[call] = None
        call.task = task = run.real.create_task(coro, context=call.variables)
        task.add_done_callback(call.ended)
        if call.timeout:
            call.alarm = run.clock.call_in(call.timeout, partial(_time_out, call))

    def ended(self, call: StepCall, task: asyncio.Task[Any]) -> None:
        run = self._run
        self._running.pop(call, None)
        if call.alarm is not None:
            call.alarm.cancel()
            call.alarm = None
        if call in self._unwinding:
            del self._unwinding[call]
            _heard(task)
            run.drive_soon()
            return
        if call.dropped:
            _heard(task)
            return
        finished = run.clock.now()
        call.fact = fact = step_fact(call, finished)
        error = self._error_of(call, task)
        if error is None:
            try:
                fact.outputs, call.value = codec.roundtrip(
                    task.result(), f"the result of step '{call.name}'"
                )
            except Exception as refusal:  # noqa: BLE001 - the result is no data
                error = refusal
        if error is not None:
            if run.owner_cancelled():
                return  # the loop goes down: it did not fail, it was stopped
            fact.error_type, fact.message, fact.outputs = encode_error(
                error, call.name, call.attempt
            )
            call.error = rebuild(fact.outputs, fact.message)
            if self._try_again(call, fact, error):
                return
        call.timed_out = False
        self.done.append(call)
        if self._running:
            run.drive_soon()
        else:
            run.drive()

    def hand_out(self) -> None:
        """Hands the oldest result to the function, and notes it for the record."""
        run = self._run
        call = self.done.pop(0)
        if call.dropped:
            return
        fact = call.fact
        assert isinstance(fact, StepDone)
        # Never earlier than what was handed out before; a step that was tried again is also later than
        # steps with the same instant, because its row is older than theirs.
        if run.dated:
            fact.finished_at = max(fact.finished_at, run.now + (call.attempt > 1))
        run.now, run.dated = fact.finished_at, True
        run.weight += len(fact.outputs or b"")
        run.outbox.append(fact)
        call.hand_out()

    def abandon(self, call: StepCall) -> None:
        waiting = self._waiting.pop(call, None)
        if waiting is not None:
            waiting.cancel()
        if call.pause is not None:
            self._run.abandon(call.pause)
        if call.task is not None and call in self._running:
            self._unwinding[call] = None  # what comes next begins when it has let go
            call.task.cancel()

    def close(self) -> None:
        """The function is put away: nothing of it goes on here."""
        if not self.busy:
            return
        self._queue.clear()
        self.done.clear()
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        for call in list(self._running):
            if call.task is not None:
                call.task.cancel()
            if call.alarm is not None:
                call.alarm.cancel()

    # -- trying again

    def recall(self, call: StepCall, row: TaskRow, history: History) -> None:
        """Takes what the record holds of earlier attempts."""
        if row.phase.is_terminal and row.attempt == 1:
            return
        call.run = self._run
        call.attempt = row.attempt if row.phase.is_terminal else row.attempt + 1
        for attempt in range(2, call.attempt + 1):
            timer = TimerCall(call.where, 0, f"{call.name}: attempt {attempt}")
            timer.path = call.retry_path(attempt)
            timer.row = history.take(timer)
            if timer.row is not None:
                timer.step = call
                timer.due = timer.row.deadline_at or 0
                self._run.open[key_of(timer.path)] = timer
                call.pause = timer if attempt == call.attempt else None

    def _try_again(self, call: StepCall, fact: StepDone, error: BaseException) -> bool:
        retry = call.retry
        if retry is None or call.attempt >= retry.attempts or retry.gives_up_on(error):
            return False
        run = self._run
        span = retry.wait_before(call.attempt + 1, _chance(run.run_id, call))
        fact.retry_at = run.clock.now() + span
        run.outbox.append(fact)
        call.attempt += 1
        call.timed_out = False
        call.error = None
        call.task = None
        if span > _SECOND:  # longer than a run holds on to its worker: a timer that it can park on
            timer = TimerCall(call.where, fact.retry_at, f"{call.name}: attempt {call.attempt}")
            timer.path = call.retry_path(call.attempt)
            timer.step = call
            call.pause = timer
            run.start_call(timer)
        else:
            self._wait(call, fact.retry_at)
        run.drive_soon()
        return True

    def _wait(self, call: StepCall, until: int) -> None:
        self._waiting[call] = self._run.clock.call_at(until, partial(self.retry_due, call))

    def retry_due(self, call: StepCall) -> None:
        self._waiting.pop(call, None)
        call.pause = None
        if call.dropped or self._run.detached or self._run.history is not None:
            return  # in a replay, what comes after it will be known
        self._queue.append(call)
        self._run.drive_soon()

    def _error_of(self, call: StepCall, task: asyncio.Task[Any]) -> BaseException | None:
        if task.cancelled():
            if call.timed_out:
                return TimeoutError(
                    f"step '{call.name}' did not end within {call.timeout / _SECOND:g} s"
                )
            return StepCancelled(f"step '{call.name}' was cancelled from inside")
        return task.exception()


class StepCancelled(Exception):
    """A CancelledError left the function of a step although nobody had cancelled the step."""


def _time_out(call: StepCall) -> None:
    if call.task is not None and not call.task.done():
        call.timed_out = True
        call.task.cancel()


def _heard(task: asyncio.Task[Any]) -> None:
    """Nobody waits for it any more; its failure is no unretrieved one."""
    if not task.cancelled():
        task.exception()


def _chance(run_id: str, call: StepCall) -> float:
    """From 0 to 1, and always the same for this attempt."""
    text = f"{run_id}\0{call.path.scope}\0{call.name}\0{call.attempt}"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) / 0xFFFFFFFF


async def _in_thread(run: FlowRun, call: StepCall) -> Any:
    work = partial(call.function, *call.args, **call.kwargs)
    result = await run.runtime.offload(partial(outside, work))
    if inspect.isawaitable(result):  # a lambda around an async function
        return await result
    return result


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def _raising(error: Exception) -> Any:
    raise error
