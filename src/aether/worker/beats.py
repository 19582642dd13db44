"""Heartbeats of one execution: from any thread to the broker, the newest first and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..ports import Assignment, Clock, TaskBroker
from .faults import Faults

_APART = 100_000
"""Microseconds between two heartbeats of one execution; what came meanwhile is told with the next."""


class Beats:
    """What `request.beat` calls. `stop` is called when the engine says that the delivery is over."""

    __slots__ = (
        "_assignment",
        "_broker",
        "_clock",
        "_details",
        "_faults",
        "_fresh",
        "_loop",
        "_over",
        "_task",
        "_stop",
    )

    def __init__(
        self,
        broker: TaskBroker,
        assignment: Assignment,
        clock: Clock,
        faults: Faults,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._assignment = assignment
        self._clock = clock
        self._faults = faults
        self._loop = loop
        self._stop = stop
        self._details: bytes | None = None
        self._fresh = False
        self._over = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self, details: bytes | None) -> None:
        """From the loop's thread, or any other."""
        if self._over:
            return
        if details is not None:
            self._details = details
        self._fresh = True
        if asyncio._get_running_loop() is self._loop:
            self._begin()
        else:
            self._loop.call_soon_threadsafe(self._begin)

    async def flush(self) -> None:
        """The last word, before the end is reported: the next attempt may go on from it."""
        self._over = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._fresh:
            await self._send()

    def _begin(self) -> None:
        if self._task is None and not self._over:
            self._task = self._loop.create_task(self._send_all(), name="aether: heartbeats")

    async def _send_all(self) -> None:
        while self._fresh:
            await self._send()
            await self._nap()
        self._task = None

    async def _send(self) -> None:
        self._fresh = False
        details, self._details = self._details, None
        try:
            alive = await self._broker.heartbeat(self._assignment, details)
        except asyncio.CancelledError:
            self._details, self._fresh = self._details or details, True
            raise
        except Exception as error:  # noqa: BLE001 - whatever a broker does, the execution goes on
            self._faults.report_task(
                "send a heartbeat",
                "the broker failed",
                self._assignment,
                error,
                "the next one is sent",
            )
            return
        if not alive and not self._over:
            self._over = True
            self._stop("its delivery is over")

    async def _nap(self) -> None:
        over: asyncio.Future[None] = self._loop.create_future()
        alarm = self._clock.call_in(_APART, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            alarm.cancel()
