"""Who waits for a run to end or to change, and how they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from ..errors import Problem, WaitTimeout
from ..ports import Clock
from ..record import RunRows


class Changes:
    """Tells one watcher that its run has changed since it last asked."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._error: Exception | None = None

    async def next(self) -> None:
        """Raises what keeps this engine from seeing any further change."""
        await self._changed.wait()
        if self._error is not None:
            raise self._error
        self._changed.clear()

    def tell(self, error: Exception | None = None) -> None:
        self._error = error
        self._changed.set()


class Waiting:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiters: dict[str, list[asyncio.Future[RunRows | None]]] = {}
        self._watchers: dict[str, list[Changes]] = {}

    async def wait(
        self, run_id: str, timeout: int | None, is_over: Callable[[], Awaitable[bool]]
    ) -> RunRows | None:
        """Returns once the run is over, with what `over` was told. Whoever asks is registered before
        `is_over` looks, so that an end in between is not missed."""
        waiter: asyncio.Future[RunRows | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(run_id, []).append(waiter)
        handle = None
        if timeout is not None:
            handle = self._clock.call_in(timeout, lambda: _too_late(waiter, run_id, timeout))
        try:
            return None if await is_over() else await waiter
        finally:
            if handle is not None:
                handle.cancel()
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # it may have come too late to be heard
            waiters = self._waiters.get(run_id)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiters[run_id]

    @contextmanager
    def changes(self, run_id: str) -> Iterator[Changes]:
        changes = Changes()
        self._watchers.setdefault(run_id, []).append(changes)
        try:
            yield changes
        finally:
            watchers = self._watchers[run_id]
            watchers.remove(changes)
            if not watchers:
                del self._watchers[run_id]

    def is_awaited(self, run_id: str) -> bool:
        return run_id in self._waiters or run_id in self._watchers

    def awaited(self) -> set[str]:
        """Runs that somebody waits for."""
        return {*self._waiters, *self._watchers}

    def changed(self, run_id: str) -> None:
        if self._watchers:
            for changes in self._watchers.get(run_id, ()):
                changes.tell()

    def over(self, run_id: str, rows: Callable[[], RunRows | None]) -> None:
        """`rows` of the run, if they can be had without reading them."""
        if waiters := self._waiters.pop(run_id, None):
            found = rows()
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(found)

    def give_up(self, run_id: str, error: Exception) -> None:
        """This engine will not see the run end."""
        for waiter in self._waiters.pop(run_id, ()):
            if not waiter.done():
                waiter.set_exception(error)
        for changes in self._watchers.get(run_id, ()):
            changes.tell(error)

    def give_up_all(self, error: Exception) -> None:
        for run_id in {*self._waiters, *self._watchers}:
            self.give_up(run_id, error)


def _too_late(waiter: asyncio.Future[RunRows | None], run_id: str, timeout: int) -> None:
    if not waiter.done():
        waiter.set_exception(
            WaitTimeout(
                Problem(
                    "wait-timeout",
                    f"run {run_id} was not over within {timeout / 1_000_000:g}s; it goes on",
                    fix="wait longer, or look at why it waits",
                )
            )
        )
