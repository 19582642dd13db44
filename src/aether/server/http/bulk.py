"""One action on every run of a filter: in the background, with its progress, and a report on each that failed.

Jobs live in this process and end with it; what they did is done, and asking again does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ...errors import AetherError, Problem, ProblemError
from ...ports import Clock, Control, ErrorSink, Fault, RunQuery
from ..instants import moment
from .access import Principal

Action = Literal["cancel", "pause", "unpause", "retry", "fork", "delete"]
RIGHTS: dict[str, str] = {
    "cancel": "steer",
    "pause": "steer",
    "unpause": "steer",
    "retry": "write",
    "fork": "write",
    "delete": "manage",
}
_PAGE = 500
_KEPT = 100
_TOLD = 1000
_AT_ONCE = 16


class Failure(msgspec.Struct, kw_only=True, rename="camel"):
    """One run that the action was not possible for."""

    run_id: str
    problem: Problem


class BulkJob(msgspec.Struct, kw_only=True, rename="camel"):
    """`total` grows until the runs are counted. `made` are the new runs of a retry or a fork, by those that they
    come from. No more than 1000 failures and new runs are listed; the counts are of all."""

    bulk_id: str
    action: str
    by: str
    state: Literal["counting", "running", "done", "stopped"] = "counting"
    dry_run: bool = False
    total: int = 0
    done: int = 0
    failed: int = 0
    failures: list[Failure] = []
    made: dict[str, str] = {}
    started_at: datetime | None = None
    finished_at: datetime | None = None


Act = Callable[[str], Awaitable[str]]


class Bulk:
    def __init__(self, control: Control, clock: Clock, errors: ErrorSink) -> None:
        self._control = control
        self._clock = clock
        self._errors = errors
        self._jobs: dict[str, tuple[BulkJob, asyncio.Task[None], str]] = {}
        self._number = 0

    def start(
        self,
        action: Action,
        query: RunQuery,
        who: Principal,
        *,
        dry_run: bool = False,
        options: dict[str, Any] | None = None,
    ) -> tuple[BulkJob, asyncio.Task[None]]:
        self._number += 1
        job = BulkJob(
            bulk_id=f"bulk-{self._clock.now():x}-{self._number}",
            action=action,
            by=who.name,
            dry_run=dry_run,
            started_at=moment(self._clock.now()),
        )
        act = self._act(action, who, options or {})
        task = asyncio.get_running_loop().create_task(self._run(job, query, who, act))
        self._jobs[job.bulk_id] = (job, task, who.token_id)
        for bulk_id, (_, each, _) in list(self._jobs.items())[: max(0, len(self._jobs) - _KEPT)]:
            if each.done():
                del self._jobs[bulk_id]
        return job, task

    def get(self, bulk_id: str, who: Principal) -> tuple[BulkJob, asyncio.Task[None]] | None:
        """A job belongs to the token that began it; one that manages sees all."""
        found = self._jobs.get(bulk_id)
        if found is None or not (found[2] == who.token_id or who.may("manage")):
            return None
        return found[0], found[1]

    def all(self, who: Principal) -> list[BulkJob]:
        return [
            job for job, _, by in self._jobs.values() if by == who.token_id or who.may("manage")
        ]

    async def stop(self) -> None:
        for job, task, _ in self._jobs.values():
            if not task.done():
                job.state = "stopped"
                task.cancel()
        await asyncio.gather(*(task for _, task, _ in self._jobs.values()), return_exceptions=True)

    def _act(self, action: Action, who: Principal, options: dict[str, Any]) -> Act:
        control = self._control

        async def act(run_id: str) -> str:
            match action:
                case "cancel":
                    await control.cancel(run_id, who.by, force=bool(options.get("force")))
                case "pause":
                    await control.pause(run_id, who.by)
                case "unpause":
                    await control.unpause(run_id)
                case "retry":
                    return await control.retry(run_id)
                case "fork":
                    return await control.fork(run_id, **options)
                case "delete":
                    await control.delete(run_id)
            return ""

        return act

    async def _run(self, job: BulkJob, query: RunQuery, who: Principal, act: Act) -> None:
        try:
            runs = await self._runs_of(job, query, who)
            job.state = "running"
            if not job.dry_run:
                for first in range(0, len(runs), _AT_ONCE):
                    together = runs[first : first + _AT_ONCE]
                    await asyncio.gather(*(self._one(job, run_id, act) for run_id in together))
            job.state = "done"
        except AetherError as error:
            fault = Fault(operation=f"bulk {job.action}", what=str(error), next="it stops here")
            self._errors.on_error(fault, error)
            job.state = "stopped"
        finally:
            job.finished_at = moment(self._clock.now())

    async def _runs_of(self, job: BulkJob, query: RunQuery, who: Principal) -> list[str]:
        """All of them before anything is done: what is done may change who is among them."""
        query = replace(query, newest_first=False, after="", limit=_PAGE)
        found: list[str] = []
        while True:
            page = await self._control.list(query)
            found += [row.run_id for row in page.runs if who.sees(row.namespace)]
            job.total = len(found)
            if not page.cursor:
                return found
            query = replace(query, after=page.cursor)

    async def _one(self, job: BulkJob, run_id: str, act: Act) -> None:
        try:
            made = await act(run_id)
        except ProblemError as error:
            job.failed += 1
            if len(job.failures) < _TOLD:
                job.failures.append(Failure(run_id=run_id, problem=error.problems[0]))
        else:
            job.done += 1
            if made and len(job.made) < _TOLD:
                job.made[run_id] = made
