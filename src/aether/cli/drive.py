"""Drives a run, or a cron's runs, until they end or the time limit passes.

In: an engine's calls (`Runner`) and what an assertion file asks to do on the way. Out: the last view.
Never: printing; whoever wants to show progress passes a `show`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from ..errors import InvalidState, NotFound, WaitTimeout
from ..ports import CronExecution, Execution
from ..record import Phase

LOOK_EVERY = 0.1  # seconds; a larger run is looked at less often, see `_pace`
BETWEEN_TRIGGERS = 0.3
AFTER_LAST_TRIGGER = 0.5
GRACE = 5.0  # how long a cancelled run may take to end, and hooks after any run
HOOKS_EVERY = 0.01

Show = Callable[[Execution], None]


class Runner(Protocol):
    """What driving needs of `Aether`."""

    async def get(self, run_id: str) -> Execution: ...
    async def wait(self, run_id: str, timeout: float | None = None) -> Execution: ...
    async def cancel(self, run_id: str) -> None: ...
    async def resume(self, run_id: str, task_run_id: str, payload: Mapping[str, Any]) -> None: ...
    async def trigger_cron(self, cron_id: str) -> object: ...
    async def get_cron(self, cron_id: str) -> CronExecution: ...


def show_nothing(execution: Execution) -> None: ...


class Steering:
    """Acts once, some time after the first task of the run is seen Suspended."""

    def __init__(
        self,
        runner: Runner,
        run_id: str,
        resume_after: float | None = None,
        cancel_after: float | None = None,
    ) -> None:
        self._runner = runner
        self._run_id = run_id
        self._resume_after = resume_after
        self._cancel_after = cancel_after
        self._armed = resume_after is None and cancel_after is None
        self._timers: list[asyncio.Task[None]] = []

    def look(self, execution: Execution) -> None:
        if self._armed:
            return
        task = next((task for task in execution.tasks if task.status is Phase.SUSPENDED), None)
        if task is None:
            return
        self._armed = True
        if self._resume_after is not None:
            self._after(self._resume_after, lambda: self._resume(task.task_run_id))
        if self._cancel_after is not None:
            self._after(self._cancel_after, lambda: self._runner.cancel(self._run_id))

    def _after(self, delay: float, action: Callable[[], Awaitable[object]]) -> None:
        self._timers.append(asyncio.create_task(_later(delay, action)))

    async def _resume(self, task_run_id: str) -> None:
        await self._runner.resume(self._run_id, task_run_id, {"__resumed": True})

    async def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for outcome in await asyncio.gather(*self._timers, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@contextlib.asynccontextmanager
async def _steered(steering: Steering) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await steering.close()


async def follow(
    runner: Runner,
    run_id: str,
    *,
    limit: float | None = None,
    show: Show = show_nothing,
    resume_after: float | None = None,
    cancel_after: float | None = None,
) -> Execution:
    """The run when it ended, or as it stood when `limit` seconds were over."""
    loop = asyncio.get_running_loop()
    ends = None if limit is None else loop.time() + limit
    steering = Steering(runner, run_id, resume_after, cancel_after)
    pause = LOOK_EVERY
    async with _steered(steering):
        while True:
            left = pause if ends is None else min(pause, ends - loop.time())
            execution = await _wait(runner, run_id, max(left, 0.0))
            began = loop.time()
            if execution is None:
                execution = await runner.get(run_id)
            show(execution)
            if execution.status.is_terminal:
                return await _with_hooks(runner, execution, ends)
            if ends is not None and loop.time() >= ends:
                return execution
            steering.look(execution)
            pause = _pace(loop.time() - began)


async def _with_hooks(runner: Runner, execution: Execution, ends: float | None) -> Execution:
    """Hooks never delay a run, but whoever leaves when it ends would cut off those that fired last."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + GRACE
    latest = latest if ends is None else min(latest, ends)
    while loop.time() < latest and not all(hook.status.is_terminal for hook in execution.hooks):
        await asyncio.sleep(HOOKS_EVERY)
        execution = await runner.get(execution.run_id)
    return execution


async def follow_cron(
    runner: Runner,
    cron_id: str,
    *,
    triggers: int = 1,
    limit: float | None = None,
    show: Show = show_nothing,
    is_settled: Callable[[CronExecution], bool],
) -> CronExecution:
    """Fires the cron `triggers` times, then looks until `is_settled` or `limit` seconds are over."""
    loop = asyncio.get_running_loop()
    ends = None if limit is None else loop.time() + limit
    for number in range(triggers):
        if number:
            await asyncio.sleep(BETWEEN_TRIGGERS)
        await runner.trigger_cron(cron_id)
    pause = AFTER_LAST_TRIGGER
    while True:
        await asyncio.sleep(pause)
        cron = await runner.get_cron(cron_id)
        for execution in cron.runs:
            show(execution)
        if is_settled(cron) or (ends is not None and loop.time() >= ends):
            return cron
        pause = LOOK_EVERY


def all_ended(cron: CronExecution) -> bool:
    return all(run.status.is_terminal for run in cron.runs)


async def stop(runner: Runner, run_id: str, show: Show = show_nothing) -> Execution:
    """Cancels the run and gives it a moment to end; answers how it stands then."""
    with contextlib.suppress(InvalidState):  # it ended meanwhile
        await runner.cancel(run_id)
    return await follow(runner, run_id, limit=GRACE, show=show)


async def _wait(runner: Runner, run_id: str, timeout: float) -> Execution | None:
    try:
        return await runner.wait(run_id, timeout=timeout)
    except WaitTimeout:
        return None


async def _later(delay: float, action: Callable[[], Awaitable[object]]) -> None:
    await asyncio.sleep(delay)
    # The run may have ended, or the task may have been resumed, while the timer ran.
    with contextlib.suppress(InvalidState, NotFound):
        await action()


def _pace(cost: float) -> float:
    """Looking takes at most about a fifth of the time, however large the run is."""
    return max(LOOK_EVERY, 4 * cost)
