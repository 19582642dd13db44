"""How a worker shows in the WorkerRegistry: announced, renewed by the clock, taken off at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from ..errors import NotFound
from ..ports import Clock, Handle, WorkerInfo, WorkerRegistry
from .faults import Faults


class Presence:
    """Trouble with the registry is a fault that is reported; the worker works on."""

    def __init__(
        self,
        registry: WorkerRegistry | None,
        info: Callable[[], WorkerInfo],
        every: timedelta,
        clock: Clock,
        faults: Faults,
    ) -> None:
        self._registry = registry
        self._info = info
        self._every = every // timedelta(microseconds=1)
        self._clock = clock
        self._faults = faults
        self._alarm: Handle | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self._registry is not None:
            await self._register(self._registry)
            self._set_alarm()

    def announce(self) -> None:
        if self._registry is not None:
            self._spawn(self._register(self._registry))

    async def stop(self) -> None:
        if self._registry is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for call in self._calls:
            call.cancel()
        try:
            await self._registry.unregister(self._info().worker_id)
        except Exception as error:  # noqa: BLE001 - the entry expires by itself
            self._faults.report(
                "unregister the worker", "the registry failed", error, "the entry expires"
            )

    async def _register(self, registry: WorkerRegistry) -> None:
        try:
            await registry.register(self._info())
        except Exception as error:  # noqa: BLE001 - a registry in trouble stops no worker
            self._faults.report(
                "register the worker",
                "the registry failed",
                error,
                "the next heartbeat tries again",
            )

    def _set_alarm(self) -> None:
        self._alarm = self._clock.call_in(self._every, self._due)

    def _due(self) -> None:
        assert self._registry is not None
        if not self._calls:  # a registry that hangs gets one call at a time
            self._spawn(self._beat(self._registry))
        self._set_alarm()

    async def _beat(self, registry: WorkerRegistry) -> None:
        try:
            await registry.heartbeat(self._info().worker_id)
        except NotFound:
            await self._register(registry)
        except Exception as error:  # noqa: BLE001 - a registry in trouble stops no worker
            self._faults.report(
                "renew the worker", "the registry failed", error, "the next heartbeat tries again"
            )

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
