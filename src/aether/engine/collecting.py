"""Payloads that no run names any more go, a few at a time.

In: word that something was deleted, and the clock. Out: small deletes with pauses between. Never: a thread
that polls, or a delete that others wait for.
"""

from __future__ import annotations

import asyncio

from ..ports import Clock, Handle, Store
from .faults import Faults

BATCH = 16
_PAUSE = 20_000  # microseconds in which the engine's own work has the store to itself
_SOON = 1_000_000  # after a delete: what is deleted in one sweep is collected in one
_FIRST = 30_000_000  # after the start: what the last process did not come to
_AGAIN = 60_000_000  # after a failure


class Collecting:
    def __init__(self, store: Store, clock: Clock, faults: Faults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._armed: Handle | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._open = False

    def start(self) -> None:
        self._open = True
        if self._armed is None:
            self._arm(_FIRST)

    def soon(self) -> None:
        """Something was deleted."""
        if not self._open:
            return
        if self._task is not None:
            self._again = True
            return
        if self._armed is not None:
            self._armed.cancel()
        self._arm(_SOON)

    async def stop(self) -> None:
        """Nothing is collected afterwards. Idempotent."""
        self._open = False
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def _arm(self, after: int) -> None:
        self._armed = self._clock.call_in(after, self._begin)

    def _begin(self) -> None:
        self._armed = None
        self._task = asyncio.create_task(self._sweep(), name="aether: collect payloads")

    async def _sweep(self) -> None:
        self._again = False
        failed = False
        try:
            while await self._store.collect(BATCH):
                await self._pause()
        except Exception as error:  # noqa: BLE001 - whatever a store does, the engine's work goes on
            failed = True
            then = "it is tried again in a minute"
            self._faults.report("collect payloads", str(error), error, then=then, warning=True)
        self._task = None
        if failed or self._again:
            self._arm(_AGAIN if failed else _SOON)

    async def _pause(self) -> None:
        over = asyncio.Event()
        handle = self._clock.call_in(_PAUSE, over.set)
        try:
            await over.wait()
        finally:
            handle.cancel()
