"""An app as a process that can be watched and killed. All reaching behind the doors of the app is here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

from ..app import Aether
from ..errors import AetherError
from ..flow import Runtime
from ..ports import Executor, FunctionRuns
from .skipping import SkippingClock
from .watched_store import Life, WatchedStore

T = TypeVar("T")

_PATIENCE = 5.0  # seconds of a process that is to be stopped


class _Runs:
    """What handles ask: whoever waits lets the time pass."""

    def __init__(self, runs: FunctionRuns, passing: Callable[[Awaitable[Any]], Any]) -> None:
        self._runs = runs
        self._passing = passing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._runs, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def passing(*args: Any, **kwargs: Any) -> Any:
            return await self._passing(found(*args, **kwargs))

        return passing


class TestApp(Aether):
    """An app whose waiting callers make the time pass."""

    __test__ = False

    def __init__(self, passing: Callable[[Awaitable[Any]], Any], **options: Any) -> None:
        self._passing = passing
        super().__init__(**options)

    def _do_runs(self) -> FunctionRuns:
        return cast(FunctionRuns, _Runs(super()._do_runs(), self._passing))


class Process:
    """`app` with what it does at the moment; `life` is that of its stores."""

    def __init__(self, app: Aether, life: Life) -> None:
        self.app = app
        self.life = life
        tiers: Any = app.engine._tiers
        if (
            tiers is not None
        ):  # what is kept in memory dies with it, and counts as recorded meanwhile
            volatile = WatchedStore(tiers._volatile, life)
            tiers._volatile = tiers._snapshots._volatile = volatile

    @property
    def runtime(self) -> Runtime:
        return self.app._life.code._runtime

    def take_executors(self, app: Aether) -> None:
        """Serve what `app` serves besides its functions."""
        mine = {executor.schema.type for executor in self.app._registered}
        for executor in cast(Iterable[Executor], app._registered):
            if executor.schema.type not in mine:
                self.app.register(executor)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way that does not wait for the clock."""
        life = self.app._life
        live = self.runtime._live
        if self.life.calls or life.worker.running > len(live):
            return True
        if _works(self.app._pool._pool) or _works(life._packers):
            return True
        return any(_is_moving(run) for run in live.values())

    @property
    def is_working(self) -> bool:
        """Whether the user's functions are: then time passes as it does outside."""
        live = self.runtime._live
        if self.app._life.worker.running > len(live):
            return True
        return any(_is_moving(run) for run in live.values())

    async def stop(self, clock: SkippingClock) -> None:
        """Whatever it waits for meanwhile is due at once."""
        stopping = asyncio.ensure_future(self.app.stop(timedelta(0)))
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE
        while not stopping.done() and loop.time() < until:
            await asyncio.wait([stopping], timeout=0.002)
            if self.life.dead and not stopping.done() and (due := clock.next_due) is not None:
                clock.skip(due)
        stopping.cancel()
        with suppress(AetherError, asyncio.CancelledError, OSError):
            await stopping


def _works(pool: Any) -> bool:
    return bool(pool._jobs) or pool._threads > pool._idle


def _is_moving(run: Any) -> bool:
    if run.local._running:
        return True
    return run.is_plain and (run.threads.busy or (run.detached and bool(run.threads._live)))
