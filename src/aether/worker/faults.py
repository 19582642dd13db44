"""Faults nobody waits for, and a moment's patience: two habits of every part of the worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from ..ports import Assignment, Clock, ErrorSink, Fault


class Faults:
    """Hands faults to the sink, and drops what the sink raises, as its port promises."""

    def __init__(self, sink: ErrorSink | None) -> None:
        self._sink = sink

    def report(
        self, operation: str, what: str, error: BaseException | None = None, then: str = ""
    ) -> None:
        self._hand_over(Fault(operation=operation, what=what, next=then), error)

    def report_task(
        self,
        operation: str,
        what: str,
        assignment: Assignment,
        error: BaseException | None = None,
        then: str = "",
    ) -> None:
        fault = Fault(
            operation=operation,
            what=what,
            next=then,
            run_id=assignment.run_id,
            task_run_id=assignment.task_run_id,
        )
        self._hand_over(fault, error)

    def _hand_over(self, fault: Fault, error: BaseException | None) -> None:
        if self._sink is None:
            return
        with suppress(Exception):  # a sink never changes the course of a run
            self._sink.on_error(fault, error)


async def moment(clock: Clock, length: timedelta) -> None:
    """`length`, whatever is done to the clock meanwhile."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end() -> None:
        if not over.done():
            over.set_result(None)

    alarm = clock.call_in(length // timedelta(microseconds=1), end)
    try:
        await over
    finally:
        alarm.cancel()
