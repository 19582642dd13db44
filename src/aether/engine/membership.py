"""This engine's session: the hold it has on its runs, renewed for as long as it lives.

In: a store. Out: the number under which runs are ours, and word of its loss. Never: a decision in a lease
that has passed, before the store has said that the session stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..errors import StoreError
from ..ports import Clock, Session, Store
from ..record import Instant
from .faults import Faults

LEASE = 10_000_000
"""Microseconds after its last sign of life when an engine's runs may be taken up by another."""


class Membership:
    """`number` is that of the session; `lost` is called when another one had to be taken,
    `renewed` after each renewal by time. Where no
    engine but this one can use the store nothing is renewed: nobody could take anything away."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        faults: Faults,
        lease: int = LEASE,
        name: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._name = name
        self._until: Instant = 0
        self._renewing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.lease = lease
        self.number = 0
        self.lost: Callable[[], None] = _nothing
        self.renewed: Callable[[], Awaitable[None]] = _nothing_to_await

    async def start(self) -> None:
        await self._take()
        if self._store.shared:
            self._task = asyncio.create_task(self._run(), name="aether: session")

    async def stop(self) -> None:
        """Renew no more. What we held is nobody's from here on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self.number:
            with suppress(StoreError):  # then its lease ends by itself
                await self._store.end_session(self.number)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the lease has passed by our own clock: we may have slept, and another have our runs."""
        return self._store.shared and self._clock.now() >= self._until

    async def confirm(self) -> None:
        """Renew the session, or take a new one if it is over. Raises what the store raises."""
        async with self._renewing:
            before = self.number
            if not await self._renew():
                await self._take()
                what = f"session {before} of this engine was ended by another one"
                then = "it drops what it held, and goes on with a new session"
                self._faults.report("renew the session", what, then=then, warning=True)
                self.lost()

    async def _take(self) -> None:
        self.number = await self._ask(0)

    async def _renew(self) -> bool:
        return await self._ask(self.number) != 0

    async def _ask(self, number: int) -> int:
        asked = self._clock.now()
        answer = await self._store.session(
            Session(number=number, lease=self.lease, name=self._name, at=asked)
        )
        if not answer.stands:
            return 0
        self._until = asked + self.lease
        return answer.number

    async def _run(self) -> None:
        wait = self.lease // 3
        while True:
            await self.nap(wait)
            try:
                await self.confirm()
                await self.renewed()
                wait = self.lease // 3
            except StoreError as error:
                wait = self.lease // 10
                then = f"it is tried again in {wait / 1_000_000:g}s"
                self._faults.report("renew the session", str(error), error, then=then)

    async def nap(self, span: int) -> None:
        """`span` microseconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        handle = self._clock.call_in(
            span, lambda: None if future.done() else future.set_result(None)
        )
        try:
            await future
        finally:
            handle.cancel()


def _nothing() -> None:
    """Nobody wants to know."""


async def _nothing_to_await() -> None:
    """Nor then."""
