"""Who stops an app that nobody stops: the end of the event loop on which it was started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ..errors import InvalidState, Problem


class Guard:
    """Knows the loop on which the app is up. `stand` makes a task that waits for its cancellation, which
    `asyncio.run` sends to every task at its end, and then stops the app: so a script may start a
    workflow without a word about starting and stopping."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: asyncio.Lock | None = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """One start at a time, on one loop. Gives whether the loop of an earlier start is closed, and the
        app with it."""
        loop = asyncio.get_running_loop()
        lost = self._loop is not None and self._loop.is_closed()
        if self._loop is not loop:
            if self._loop is not None and not lost:
                raise _elsewhere()
            self._loop, self._lock, self._task = loop, asyncio.Lock(), None
        assert self._lock is not None, "made with the loop"
        async with self._lock:
            yield lost

    @property
    def here(self) -> bool:
        """Whether this is the loop on which the app is up."""
        return self._loop is asyncio.get_running_loop()

    def stand(self, stop: Callable[[], Awaitable[None]]) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._wait(stop), name="aether: stop with the loop")

    def leave(self) -> None:
        """Somebody else stops it."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def forget(self) -> None:
        """The app is down: it may come up on any loop."""
        self._loop = None

    async def _wait(self, stop: Callable[[], Awaitable[None]]) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if self._task is not asyncio.current_task():
                raise
            await stop()
            raise


def _elsewhere() -> InvalidState:
    return InvalidState(
        Problem(
            "other-loop",
            "the app is up on another event loop",
            fix="use one loop for all of it, or `app.sync`, which has a loop of its own, for all of it",
        )
    )
