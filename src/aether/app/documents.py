"""The calls about documents, their runs, crons and templates: shortcuts to the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from .. import engine
from ..document import WorkflowTemplate
from ..engine import Submittable
from ..ports import (
    CronExecution,
    Difference,
    Execution,
    FireAnswer,
    LogEntry,
    Page,
    RunQuery,
    Step,
)


class Documents:
    """A part of `Aether`, which says what `_engine` is."""

    @property
    def _engine(self) -> engine.Engine:
        raise NotImplementedError

    # Runs

    async def submit(
        self,
        document: Submittable,
        arguments: Mapping[str, Any] | None = None,
        *,
        run_id: str = "",
        labels: Mapping[str, str] | None = None,
        lenient: bool = False,
        tier: str = "",
    ) -> str:
        """Begin a run of a document, and return its id."""
        return await self._engine.submit(
            document, arguments, run_id=run_id, labels=labels, lenient=lenient, tier=tier
        )

    async def submit_and_wait(
        self,
        document: Submittable,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta | float | None = None,
    ) -> Execution:
        """Begin a run of a document, and return it once it is over."""
        return await self.wait(await self.submit(document, arguments), timeout)

    async def wait(self, run_id: str, timeout: timedelta | float | None = None) -> Execution:
        return await self._engine.wait(run_id, timeout)

    async def get(self, run_id: str) -> Execution:
        return await self._engine.get(run_id)

    def watch(self, run_id: str) -> AsyncIterator[Execution]:
        return self._engine.watch(run_id)

    async def cancel(self, run_id: str, by: str = "the user") -> None:
        await self._engine.cancel(run_id, by)

    async def pause(self, run_id: str, by: str = "the user") -> None:
        await self._engine.pause(run_id, by)

    async def unpause(self, run_id: str) -> None:
        await self._engine.unpause(run_id)

    async def resume(
        self, run_id: str, task_run_id: str, payload: Mapping[str, Any] | None = None
    ) -> None:
        await self._engine.resume(run_id, task_run_id, payload)

    async def list(self, query: RunQuery | None = None) -> Page:
        return await self._engine.list(query)

    async def history(self, run_id: str, after_seq: int = 0) -> Sequence[LogEntry]:
        return await self._engine.history(run_id, after_seq)

    async def at(self, run_id: str, seq: int) -> Execution:
        return await self._engine.at(run_id, seq)

    async def log(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[Step]:
        return await self._engine.log(run_id, after, limit)

    async def diff(
        self, a: str, b: str, at_a: int | None = None, at_b: int | None = None
    ) -> Difference:
        return await self._engine.diff(a, b, at_a, at_b)

    async def delete(self, run_id: str) -> None:
        await self._engine.delete(run_id)

    # Crons and templates

    async def submit_cron(
        self, document: Submittable, *, cron_id: str = "", lenient: bool = False
    ) -> str:
        return await self._engine.submit_cron(document, cron_id=cron_id, lenient=lenient)

    async def get_cron(self, cron_id: str) -> CronExecution:
        return await self._engine.get_cron(cron_id)

    async def list_crons(self) -> Sequence[CronExecution]:
        return await self._engine.list_crons()

    async def update_cron(
        self, cron_id: str, document: Submittable, *, lenient: bool = False
    ) -> None:
        await self._engine.update_cron(cron_id, document, lenient=lenient)

    async def delete_cron(self, cron_id: str) -> None:
        await self._engine.delete_cron(cron_id)

    async def suspend_cron(self, cron_id: str) -> None:
        await self._engine.suspend_cron(cron_id)

    async def resume_cron(self, cron_id: str) -> None:
        await self._engine.resume_cron(cron_id)

    async def backfill_cron(
        self, cron_id: str, start: datetime, end: datetime
    ) -> Sequence[FireAnswer]:
        return await self._engine.backfill_cron(cron_id, start, end)

    async def trigger_cron(self, cron_id: str, at: datetime | None = None) -> FireAnswer:
        return await self._engine.trigger_cron(cron_id, at)

    async def put_template(self, document: Submittable, *, lenient: bool = False) -> str:
        return await self._engine.put_template(document, lenient=lenient)

    async def get_template(self, name: str, version: str = "") -> WorkflowTemplate:
        return await self._engine.get_template(name, version)

    async def list_templates(self, name: str = "") -> Sequence[str]:
        return await self._engine.list_templates(name)

    async def delete_template(self, name: str, version: str = "") -> int:
        return await self._engine.delete_template(name, version)
