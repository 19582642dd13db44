"""The store as engines reach it: across a line that delays, fails and forgets to answer.

What is true is the MemoryStore inside; `Watcher` sees every commit at the moment it happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ...adapters.store.memory import MemoryStore
from ...errors import CommitUnknown, StoreUnavailable
from ...ports import Commit, CommitOutcome, Committed, DueRun
from ...record import Token
from ..chance import Chance
from .faults import Faults
from .loop import Node, SimLoop, current_node, node_context

T = TypeVar("T")


class Watcher(Protocol):
    def committed(self, commit: Commit, token: Token) -> None: ...

    def deleted(self, run_id: str) -> None: ...

    def on_its_way(self, client: Node, delay: int) -> None: ...


def at_once(call: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        call.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the store inside the simulation must not wait")


class StoreServer:
    """One store, as a node of its own, for any number of engines one after another."""

    def __init__(self, loop: SimLoop, chance: Chance, faults: Faults, watcher: Watcher) -> None:
        self.loop = loop
        self.inner = MemoryStore(history=True)
        self.node = loop.node("store")
        self.faults = faults
        self._chance = chance.child("store")
        self._watcher = watcher
        # Where the store lives in the engine's process, what is on its way dies with that.
        self.outlives_engines = self._chance.happens(0.6)
        self.slowness = self._chance.one_of((0, 0, 200, 20_000))
        self.batches = self._chance.one_of((1, 1, 2))

    def write(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes = at_once(self.inner.commit(batch))
        for commit, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Committed):
                self._watcher.committed(commit, outcome.token)
        return outcomes

    def delete(self, run_id: str) -> bool:
        existed = at_once(self.inner.delete(run_id))
        if existed:
            self._watcher.deleted(run_id)
        return existed

    def delay(self) -> int:
        if self.faults.strike("store.slow"):
            return self._chance.span(500_000, 20_000_000)
        return self._chance.span(1, self.slowness) if self.slowness else 0

    async def call(self, client: Node, work: Callable[[], T], delay: int) -> T:
        """Carry out `work` at the store's side of the line."""
        if not delay:
            return work()
        self._watcher.on_its_way(client, delay)
        answer: asyncio.Future[T] = self.loop.create_future()

        def arrive() -> None:
            if not client.alive:
                if not self.outlives_engines or not self.faults.active:
                    return
                self.faults.note("store.zombie")
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is the caller's answer
                self.loop.call_in(delay, _fail, answer, error)
            else:
                self.loop.call_in(delay, _give, answer, result)

        self.loop.call_in(delay, arrive, context=node_context(self.node))
        return await answer


def _give(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


class FaultyStore:
    """One engine's connection to the server: an adapter of the Store port.

    Named here is what fails in a way of its own, or is watched."""

    keeps_log = True

    def __init__(self, server: StoreServer, chance: Chance) -> None:
        self._server = server
        self._faults = server.faults
        self._chance = chance.child("connection")
        self._inner = server.inner
        self.concurrency = server.batches

    def __getattr__(self, name: str) -> Any:
        """Whatever else the port promises goes over the same line."""
        found = getattr(self._inner, name)
        if not iscoroutinefunction(found):
            return found
        is_definition = name.startswith(("put_", "delete_"))

        async def call(*args: Any, **named: Any) -> Any:
            work = partial(found, **named) if named else found
            if is_definition:
                return await self._define(work, *args)
            return await self._read(name, work, *args)

        self.__dict__[name] = call  # asked for once
        return call

    async def open(self) -> None:
        await self._read("open", self._inner.open)

    async def close(self) -> None:
        """The store stays, for the next engine."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        server, strike = self._server, self._faults.strike
        delay = server.delay()
        if strike("store.unavailable"):
            await server.call(current_node(), lambda: None, delay)
            raise StoreUnavailable("the store did not answer")
        if strike("store.unknown-lost"):
            await server.call(current_node(), lambda: None, delay)
            raise CommitUnknown("the line broke during a commit")
        batch = [
            replace(commit, expected=commit.expected - 1)
            if commit.expected and strike("store.conflict")
            else commit
            for commit in batch
        ]
        kept = batch
        if len(batch) > 1 and strike("store.unknown-part"):
            kept = [commit for commit in batch if self._chance.happens(0.5)]
        outcomes = await server.call(current_node(), lambda: server.write(kept), delay)
        if kept is not batch or strike("store.unknown-done"):
            raise CommitUnknown("the line broke during a commit")
        return outcomes

    async def _read(self, name: str, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        if self._faults.strike("store.read-fails"):
            raise StoreUnavailable(f"the store did not answer a call of {name}")
        return await self._server.call(
            current_node(), lambda: at_once(call(*args)), self._server.delay()
        )

    async def _define(self, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        if self._faults.strike("store.definition-unavailable"):
            raise StoreUnavailable("the store did not answer")
        result = await self._server.call(
            current_node(), lambda: at_once(call(*args)), self._server.delay()
        )
        if self._faults.strike("store.definition-unknown"):
            raise CommitUnknown("the line broke while a definition was written")
        return result

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        # Small pages, so that several are needed.
        return await self._read("unfinished", self._inner.unfinished, after, min(limit, 4))

    async def delete(self, run_id: str) -> bool:
        if self._faults.strike("store.definition-unavailable"):
            raise StoreUnavailable("the store did not answer")
        server = self._server
        return await server.call(current_node(), lambda: server.delete(run_id), server.delay())
