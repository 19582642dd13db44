"""Many durable calls at once: ordered results, a limit, and what a failure means for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal

from ..record import Path
from .calls import StepCall

if TYPE_CHECKING:
    from .run import FlowRun

OnFailure = Literal["cancel", "finish", "return"]
"""`cancel`: the first failure cancels the others and is raised. `finish`: the others go on to their end,
then the first failure (by position) is raised. `return`: exceptions stand among the results."""


async def in_parallel(
    run: FlowRun,
    branches: Sequence[Callable[[], Any] | Awaitable[Any]],
    limit: int | None,
    on_failure: OnFailure,
) -> list[Any]:
    """Each of `branches` in a branch of its own, at most `limit` at a time; results in their order."""
    loop = run.loop
    turn = asyncio.Semaphore(limit) if limit is not None and limit < len(branches) else None
    tasks = [loop.create_task(_branch(work, turn)) for work in branches]
    try:
        if on_failure == "cancel":
            return list(await asyncio.gather(*tasks))
        results = list(await asyncio.gather(*tasks, return_exceptions=True))
    except BaseException:
        await _stopped(run, tasks)
        raise
    if on_failure == "finish":
        for result in results:
            if isinstance(result, BaseException):
                raise result
    return results


async def _branch(work: Callable[[], Any] | Awaitable[Any], turn: asyncio.Semaphore | None) -> Any:
    if turn is not None:
        async with turn:
            return await _branch(work, None)
    result = work() if callable(work) else work
    return await result if isawaitable(result) else result


async def _stopped(run: FlowRun, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is left, and lets it clean up before the failure goes on."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left and not run.detached:
        await asyncio.gather(*left, return_exceptions=True)


class Mapping:
    """One `ctx.map`: a step for each item, without a task for each. Item `i` is on the path
    `<branch>.<i>`, whatever finishes first; `limit` of them run at a time."""

    def __init__(
        self,
        run: FlowRun,
        make: Callable[[Any], StepCall],
        items: Iterable[Any],
        limit: int,
        on_failure: OnFailure,
    ) -> None:
        self._run = run
        self._make = make
        self._items: Iterator[tuple[int, Any]] = enumerate(items)
        self._limit = max(1, limit)
        self._on_failure = on_failure
        self._branch = run.loop.branch().child().name
        self._results: list[Any] = []
        self._open: dict[asyncio.Future[Any], StepCall] = {}
        self._failed: tuple[int, BaseException] | None = None
        self._over: asyncio.Future[None] = run.loop.create_future()

    async def results(self) -> list[Any]:
        self._fill()
        if self._open:
            try:
                await self._over
            finally:
                self._abandon()
        if self._failed is not None and self._on_failure != "return":
            raise self._failed[1]
        return self._results

    def _fill(self) -> None:
        stopping = self._failed is not None and self._on_failure == "cancel"
        while len(self._open) < self._limit and not stopping:
            found = next(self._items, None)
            if found is None:
                break
            at, item = found
            self._results.append(None)
            call = self._make(item)
            call.future = future = self._run.loop.create_future()
            self._open[future] = call
            self._run.ask(call, Path(f"{self._branch}.{at}", call.name))
            future.add_done_callback(partial(self._ended, at))

    def _ended(self, at: int, future: asyncio.Future[Any]) -> None:
        self._open.pop(future, None)
        if future.cancelled() or self._over.done():
            return
        error = future.exception()
        if error is None:
            self._results[at] = future.result()
        else:
            self._results[at] = error
            if self._failed is None or at < self._failed[0]:
                self._failed = (at, error)
        try:
            self._fill()
        except BaseException as refusal:  # noqa: BLE001 - an item that cannot be recorded
            self._over.set_exception(refusal)
            return
        if not self._open or (error is not None and self._on_failure == "cancel"):
            self._over.set_result(None)

    def _abandon(self) -> None:
        for future, call in list(self._open.items()):
            future.cancel()
            self._run.abandon(call)
        self._open.clear()
