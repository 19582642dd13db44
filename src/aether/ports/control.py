"""Control: what a server asks of the engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..document import Source, WorkflowTemplate
from ..record import RunRow
from .api import CronExecution, Difference, Execution, Step
from .cron import FireAnswer
from .observer import Observer
from .runs import FunctionStart, RunEnd
from .store import LogEntry, Page, RunQuery
from .workers import WorkerInfo

Text = Source | Mapping[str, Any] | str | bytes
"""A document as it comes from outside: a loaded source, a plain tree, or JSON or YAML text."""


class Control(Protocol):
    """Every call of an engine that people and programs make from outside, under the names that `Engine` gives
    them and with the errors that it documents there. An engine in this process is one; so may be a client of
    another process. Calls may be made at the same time, in any number.
    """

    # Runs

    async def submit(
        self,
        document: Text,
        arguments: Mapping[str, Any] | None = None,
        *,
        run_id: str = "",
        labels: Mapping[str, str] | None = None,
        lenient: bool = False,
        tier: str = "",
    ) -> str: ...

    async def get(self, run_id: str) -> Execution: ...

    async def header(self, run_id: str) -> RunRow: ...

    async def document_of(self, run_id: str) -> bytes: ...

    async def wait(self, run_id: str, timeout: timedelta | float | None = None) -> Execution: ...

    def watch(self, run_id: str) -> AsyncIterator[Execution]: ...

    async def cancel(self, run_id: str, by: str = "the user", *, force: bool = False) -> None: ...

    async def pause(self, run_id: str, by: str = "the user") -> None: ...

    async def unpause(self, run_id: str) -> None: ...

    async def resume(
        self, run_id: str, task_run_id: str, payload: Mapping[str, Any] | None = None
    ) -> None: ...

    async def delete(self, run_id: str) -> None: ...

    async def fork(
        self,
        origin: str,
        /,
        *,
        from_task: str = "",
        from_seq: int | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as the engine has it
        arguments: Mapping[str, Any] | None = None,
        run_id: str = "",
    ) -> str: ...

    async def retry(self, origin: str, /, *, run_id: str = "") -> str: ...

    # Looking

    async def list(self, query: RunQuery | None = None) -> Page: ...

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]: ...

    async def at(self, run_id: str, seq: int) -> Execution: ...

    async def log(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[Step]: ...

    async def diff(
        self, a: str, b: str, at_a: int | None = None, at_b: int | None = None
    ) -> Difference: ...

    async def workers(self) -> Sequence[WorkerInfo]: ...

    def observe(self, observer: Observer | None) -> None: ...

    # Functions: see FunctionRuns

    async def start_function(self, start: FunctionStart) -> str: ...

    async def end(self, run_id: str, timeout: timedelta | float | None = None) -> RunEnd: ...

    async def signal(
        self, run_id: str, name: str, payload: bytes | None = None, key: str = ""
    ) -> None: ...

    async def update(
        self,
        run_id: str,
        name: str,
        payload: bytes | None = None,
        key: str = "",
        timeout: timedelta | float | None = None,
    ) -> bytes | None: ...

    # Crons and templates

    async def submit_cron(self, document: Text, *, lenient: bool = False) -> str: ...

    async def get_cron(self, cron_id: str) -> CronExecution: ...

    async def list_crons(self) -> Sequence[CronExecution]: ...

    async def update_cron(self, cron_id: str, document: Text, *, lenient: bool = False) -> None: ...

    async def delete_cron(self, cron_id: str) -> None: ...

    async def suspend_cron(self, cron_id: str) -> None: ...

    async def resume_cron(self, cron_id: str) -> None: ...

    async def trigger_cron(self, cron_id: str, at: datetime | None = None) -> FireAnswer: ...

    async def backfill_cron(
        self, cron_id: str, start: datetime, end: datetime
    ) -> Sequence[FireAnswer]: ...

    async def put_template(self, document: Text, *, lenient: bool = False) -> str: ...

    async def get_template(self, name: str, version: str = "") -> WorkflowTemplate: ...

    async def list_templates(self, name: str = "") -> Sequence[str]: ...

    async def delete_template(self, name: str, version: str = "") -> int: ...
