"""A store that is watched: what is under way in it, what was committed, and when its process is to die."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import StoreUnavailable
from ..ports import Commit, CommitOutcome, Store
from ..record import RunRow

_STILL_HEARD = frozenset({"close", "end_session"})  # as a lease would end by itself in time


class Life:
    """What the stores of one process share. `left` is how many commits it has before it dies."""

    def __init__(self, runs: dict[str, None]) -> None:
        self.left: int | None = None
        self.commits = 0
        self.calls = 0  # under way
        self.dead = False
        self.runs = runs  # that were begun

    def die(self) -> None:
        self.dead = True


class WatchedStore:
    """`store`, for as long as its process lives. Afterwards nothing reaches it."""

    def __init__(self, store: Store, life: Life, *, keeps_open: bool = False) -> None:
        self._store = store
        self._life = life
        self._keeps_open = keeps_open

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        life = self._life
        if life.left is not None and life.commits >= life.left:
            life.die()
        if life.dead:
            raise StoreUnavailable("the process is dead")
        life.commits += 1
        life.calls += 1
        try:
            for commit in batch:
                if isinstance(commit.run, RunRow):
                    life.runs[commit.run_id] = None
            return await self._store.commit(batch)
        finally:
            life.calls -= 1

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        if not self._keeps_open:
            await self._store.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(name, found) if inspect.iscoroutinefunction(found) else found

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        life = self._life

        async def counted(*args: Any, **kwargs: Any) -> Any:
            if life.dead and name not in _STILL_HEARD:
                raise StoreUnavailable("the process is dead")
            life.calls += 1
            try:
                return await call(*args, **kwargs)
            finally:
                life.calls -= 1

        self.__dict__[name] = counted
        return counted
