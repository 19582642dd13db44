"""Telling the error sink, which must never change the course of anything."""

from __future__ import annotations

from contextlib import suppress

from ..ports import ErrorSink, Fault


class Faults:
    def __init__(self, sink: ErrorSink | None) -> None:
        self._sink = sink

    def report(
        self,
        operation: str,
        what: str,
        error: BaseException | None = None,
        *,
        then: str = "",
        run_id: str = "",
        task_run_id: str = "",
        warning: bool = False,
        critical: bool = False,
    ) -> None:
        if self._sink is None:
            return
        fault = Fault(
            operation=operation,
            what=what,
            next=then,
            run_id=run_id,
            task_run_id=task_run_id,
            severity="warning" if warning else "critical" if critical else "error",
        )
        self.pass_on(fault, error)

    def pass_on(self, fault: Fault, error: BaseException | None = None) -> None:
        if self._sink is None:
            return
        with suppress(Exception):  # there is nobody left to tell
            self._sink.on_error(fault, error)


class SinkOf:
    """Faults as an ErrorSink, for parts that want one."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        self._faults.pass_on(fault, error)
