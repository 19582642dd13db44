"""One execution: a delivery, the task it runs in, and what was asked of it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from types import CoroutineType
from typing import Any

from ..ports import TIMEOUT, Assignment, Executor, Outcome, Request
from .beats import Beats
from .outcome import Verdict, judge, judge_exception
from .request import request_of
from .staging import Staging


class Execution:
    """`stop` and `abandon` cancel the user's code and nothing else: before it begins they keep it from
    beginning, and once it has returned they come too late."""

    __slots__ = ("_abandoned", "_inside", "_make_beats", "_task", "assignment", "beats", "reason")

    def __init__(
        self,
        assignment: Assignment,
        task: asyncio.Task[None],
        make_beats: Callable[[Assignment, Callable[[str], None]], Beats],
    ) -> None:
        self.assignment = assignment
        self.reason: str | None = None  # why it was cancelled
        self.beats: Beats | None = None
        self._task = task
        self._make_beats = make_beats
        self._inside = False
        self._abandoned = False

    def stop(self, reason: str) -> None:
        """The engine wants it cancelled. Asked twice, it cancels once."""
        if self.reason is None:
            self.reason = reason or "cancelled"
            if self._inside:
                self._task.cancel()

    def abandon(self) -> None:
        """The worker goes down: nothing of this execution will be reported."""
        self._abandoned = True
        self._task.cancel()

    def _beat(self, details: bytes | None) -> None:
        if self.beats is None:  # most executions send none, and pay nothing for those that do
            self.beats = self._make_beats(self.assignment, self.stop)
        self.beats(details)

    async def run(
        self,
        executor: Executor | None,
        staging: Staging,
        unloading: Callable[[], bool],
    ) -> Verdict:
        """Never raises for anything the executor does."""
        assignment = self.assignment
        if executor is None:
            return Verdict(
                Outcome.error(
                    f"this worker has no executor of type '{assignment.executor_type}'",
                    "executor-unknown",
                )
            )
        if self.reason is not None:
            return _stopped(self.reason)
        self._inside = True
        try:
            request = request_of(assignment)
            request.beat = self._beat
            if assignment.artifacts:
                verdict = await staging.run(assignment, request, self._answer(executor, request))
            else:
                verdict = judge(await _answer(executor, request), assignment.executor_type)
        except asyncio.CancelledError as error:
            if self.reason is None:
                # Either the worker or the loop goes down, or user code cancelled itself.
                if self._abandoned or (self._task.cancelling() and unloading()):
                    raise
                return judge_exception(error)
            verdict = _stopped(self.reason)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the answer to report
            verdict = judge_exception(error)
        finally:
            self._inside = False
        if self.reason is not None:
            return _stopped(self.reason)
        if self._abandoned:
            raise asyncio.CancelledError
        return verdict

    async def _answer(self, executor: Executor, request: Request) -> Verdict:
        """The executor's answer, before anything it left behind is kept."""
        answer = await _answer(executor, request)
        if self.reason is not None:
            raise asyncio.CancelledError
        return judge(answer, self.assignment.executor_type)


async def _answer(executor: Executor, request: Request) -> Any:
    pending = executor.execute(request)
    if pending.__class__ is CoroutineType or isawaitable(pending):
        return await pending
    return (
        pending  # an executor that is not async has answered already, and blocked the loop for it
    )


def _stopped(reason: str) -> Verdict:
    """Whatever an executor says after its cancellation is dropped; only that it ended is reported."""
    return Verdict(Outcome(TIMEOUT, reason, error_type="cancelled"))
