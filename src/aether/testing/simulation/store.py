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
from ...ports import (
    Clock,
    Commit,
    CommitOutcome,
    Committed,
    DueRun,
    Session,
    SessionAnswer,
)
from ...record import CronRow, RunRow, Token
from ..chance import Chance
from .faults import Faults
from .loop import Node, SimLoop, current_node, node_context

T = TypeVar("T")
Heard = Callable[[Sequence[str]], None]
_LONGEST_HINT = 5_000_000
_ONCE_MORE = frozenset({"claim", "post", "session"})
"""Calls that change something, and may be made again when nobody knows whether they did."""


class Line:
    """One place's way to the store: `cut` while nothing comes through."""

    def __init__(self) -> None:
        self.cut = False


class Watcher(Protocol):
    def committing(self, commit: Commit, before: RunRow | None, client: Node) -> None: ...

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
    """One store, as a node of its own, for any number of engines: one after another, and where it is
    `shared` several at a time."""

    def __init__(
        self,
        loop: SimLoop,
        chance: Chance,
        faults: Faults,
        watcher: Watcher,
        clock: Clock,
        *,
        shared: bool = False,
    ) -> None:
        self.loop = loop
        self.inner = MemoryStore(history=True, shared=shared, clock=clock)
        self.sessions: dict[int, Node] = {}
        self.claims_seen: dict[str, dict[Node, None]] = {}  # of fires, by who may work them off
        self._listeners: list[tuple[Node, Line, Heard]] = []
        self.node = loop.node("store")
        self.faults = faults
        self._chance = chance.child("store")
        self._watcher = watcher
        # Where the store lives in the engine's process, what is on its way dies with that.
        self.outlives_engines = self._chance.happens(0.6)
        self.slowness = self._chance.one_of((0, 0, 200, 20_000))
        self.batches = self._chance.one_of((1, 1, 2))

    def write(self, batch: Sequence[Commit], client: Node) -> Sequence[CommitOutcome]:
        if not client.alive and not self.inner.shared:
            # Nobody looks for new runs of an engine that was alone on its store, and cannot outlive it.
            batch = [commit for commit in batch if commit.expected is not None]
        before = [at_once(self.inner.run(commit.run_id)) for commit in batch]
        outcomes = at_once(self.inner.commit(batch))
        for commit, row, outcome in zip(batch, before, outcomes, strict=True):
            if isinstance(outcome, Committed):
                self._watcher.committing(commit, row, client)
                self._watcher.committed(commit, outcome.token)
        return outcomes

    def renew(self, session: Session, client: Node) -> SessionAnswer:
        answer = at_once(self.inner.session(session))
        if answer.stands:
            self.sessions[answer.number] = client
        else:
            self.faults.note("session.over")
        return answer

    # Hints

    def listen(self, node: Node, line: Line, heard: Heard) -> Callable[[], None]:
        listener = (node, line, heard)
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def tell(self, words: Sequence[str]) -> None:
        strike = self.faults.strike
        self._listeners = [listener for listener in self._listeners if listener[0].alive]
        for node, line, heard in self._listeners:
            if line.cut or strike("hint.lost"):
                continue
            for _ in range(2 if strike("hint.twice") else 1):
                late = strike("hint.late")
                span = self._chance.span(1, _LONGEST_HINT if late else max(1, self.slowness))
                self.loop.call_in(span, heard, list(words), context=node_context(node))

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

    def __init__(self, server: StoreServer, chance: Chance, line: Line) -> None:
        self._server = server
        self._line = line
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
        client = current_node()
        delay = server.delay()
        await self._come_through()
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
        outcomes = await server.call(client, lambda: server.write(kept, client), delay)
        if kept is not batch or self._line.cut or strike("store.unknown-done"):
            raise CommitUnknown("the line broke during a commit")
        return outcomes

    async def _read(self, name: str, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        await self._come_through()
        if self._faults.strike("store.read-fails"):
            raise StoreUnavailable(f"the store did not answer a call of {name}")
        result = await self._server.call(
            current_node(), lambda: at_once(call(*args)), self._server.delay()
        )
        if name in _ONCE_MORE and self._faults.strike("store.cluster-unknown"):
            raise CommitUnknown(f"the line broke during a call of {name}")
        if self._line.cut:
            raise StoreUnavailable(f"the line broke during a call of {name}")
        return result

    async def _come_through(self) -> None:
        """What is sent on a line that is cut gets no answer; after a while nobody waits for one."""
        if self._line.cut:
            patience = self._chance.span(1_000, 5_000_000) / 1_000_000
            await asyncio.sleep(patience)
            if self._line.cut:
                raise StoreUnavailable("the store cannot be reached")

    async def _define(self, call: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        await self._come_through()
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

    async def cron(self, cron_id: str) -> CronRow | None:
        client = current_node()
        row = await self._read("cron", self._inner.cron, cron_id)
        for run_id, *_ in () if row is None else row.pending:
            self._server.claims_seen.setdefault(run_id, {})[client] = None
        return row

    # How engines share it

    async def session(self, session: Session) -> SessionAnswer:
        client = current_node()

        async def renew() -> SessionAnswer:
            return self._server.renew(session, client)

        return await self._read("session", renew)

    def tell(self, words: Sequence[str]) -> None:
        if not self._line.cut:
            self._server.tell(words)

    async def listen(self, heard: Heard) -> Callable[[], None]:
        return self._server.listen(current_node(), self._line, heard)

    async def delete(self, run_id: str) -> bool:
        await self._come_through()
        if self._faults.strike("store.definition-unavailable"):
            raise StoreUnavailable("the store did not answer")
        server = self._server
        return await server.call(current_node(), lambda: server.delete(run_id), server.delay())
