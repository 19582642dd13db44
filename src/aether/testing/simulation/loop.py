"""An event loop in virtual time, shared by nodes that stand for processes.

In: callbacks. Out: the same callbacks, in an order and at instants that one seed decides. Never: a
socket, a thread, the machine's clock.

Within a node callbacks run in the order in which they were asked for, as asyncio promises; between
nodes chance decides who goes next. A crashed node's callbacks are kept and never run: neither
cancelling nor collecting them would do, for both run `finally`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from array import array
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any
from warnings import catch_warnings, simplefilter

from ..chance import Chance

_PRUNE = 512
_TRACE = 4096


class Node:
    """One process of the simulated world; after a crash its successor is another Node."""

    __slots__ = (
        "alive",
        "context",
        "frozen",
        "name",
        "number",
        "ready",
        "ran",
        "tasks",
        "_prune_at",
    )

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.ready: deque[Handle] = deque()
        self.alive = True
        self.frozen = False
        self.ran = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self._prune_at = _PRUNE
        self.context = copy_context()
        self.context.run(_NODE.set, self)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """A task that nobody refers to would be collected while it waits."""
        self.tasks.append(task)
        if len(self.tasks) >= self._prune_at:
            self._prune_at = 2 * len(self.open_tasks()) + _PRUNE

    def open_tasks(self) -> list[asyncio.Task[Any]]:
        self.tasks = [task for task in self.tasks if not task.done()]
        return self.tasks


_NODE: ContextVar[Node] = ContextVar("node")


class Handle:
    """One callback that was asked for."""

    __slots__ = ("args", "callback", "context", "node", "when")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context, node: Node
    ) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.args = args
        self.context = context
        self.node = node
        self.when = 0

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None


class SimLoop(asyncio.BaseEventLoop):
    """`now` is microseconds since the loop was made. `faults` hears of exceptions nobody took."""

    def __init__(self, chance: Chance, unheard: Callable[[str], None]) -> None:
        super().__init__()
        self.now = 0
        self.ran = 0
        self._draw = chance.random
        self._unheard = unheard
        self._timers: list[tuple[int, int, Handle]] = []
        self._order = 0
        self._busy: list[Node] = []
        self._nodes = 0
        self._trace = array("Q")
        self._digest = blake2b(digest_size=16)
        self._closed = False
        self._graves: list[Node] = []

    # What asyncio asks for

    def time(self) -> float:
        return self.now / 1_000_000

    def call_soon(  # type: ignore[override]  # a Handle of ours does all that asyncio asks of one
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        if context is None:
            context = copy_context()
        node = context[_NODE]
        handle = Handle(callback, args, context, node)
        if not self._closed:
            self._queue(handle)
        return handle

    def call_later(  # type: ignore[override]  # likewise
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_in(round(delay * 1_000_000), callback, *args, context=context)

    def call_at(  # type: ignore[override]  # likewise
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        span = round(when * 1_000_000) - self.now
        return self.call_in(span, callback, *args, context=context)

    def call_in(
        self, span: int, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        """After `span` microseconds."""
        if context is None:
            context = copy_context()
        handle = Handle(callback, args, context, context[_NODE])
        handle.when = self.now + max(1, span)
        self._order += 1
        heappush(self._timers, (handle.when, self._order, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        text = None if name is None else str(name)
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=text, context=context)
        node = context[_NODE] if context is not None else _NODE.get()
        node.keep(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            error = context.get("exception")
            self._unheard(f"{context.get('message')}: {type(error).__name__}: {error}")

    # Nodes

    def node(self, name: str) -> Node:
        self._nodes += 1
        return Node(name, self._nodes)

    def crash(self, node: Node) -> None:
        """The process ends between two instructions. What it was doing stays as it was, for ever."""
        node.alive = False
        self._graves.append(node)
        if node in self._busy:
            self._busy.remove(node)

    def freeze(self, node: Node, span: int) -> None:
        """The process gets no time for `span` microseconds: swapped out, stopped, collecting garbage."""
        if node.frozen or not node.alive:
            return
        node.frozen = True
        if node in self._busy:
            self._busy.remove(node)
        self.call_in(span, self._thaw, node)

    def _thaw(self, node: Node) -> None:
        node.frozen = False
        if node.alive and node.ready:
            self._busy.append(node)

    def _queue(self, handle: Handle) -> None:
        node = handle.node
        ready = node.ready
        ready.append(handle)
        if len(ready) == 1 and node.alive and not node.frozen:
            self._busy.append(node)

    # Running

    def note(self, what: bytes) -> None:
        """Part of the trace: two runs of one seed must agree in it."""
        self._digest.update(what)

    def digest(self) -> str:
        self._digest.update(self._trace.tobytes())
        self._trace = array("Q")
        return self._digest.hexdigest()

    def step(self) -> bool:
        """Run one callback. False when nothing is left to be run at any time."""
        timers, busy = self._timers, self._busy
        while timers and (not busy or timers[0][0] <= self.now):
            when, _, handle = heappop(timers)
            if handle.callback is None or not handle.node.alive:
                continue
            if when > self.now:
                self.now = when
            self._queue(handle)
        if not busy:
            return False
        index = int(self._draw() * len(busy)) if len(busy) > 1 else 0
        node = busy[index]
        handle = node.ready.popleft()
        if not node.ready:
            busy[index] = busy[-1]
            busy.pop()
        callback = handle.callback
        if callback is None:
            return True
        self.ran += 1
        node.ran += 1
        self.now += 1 + (self.ran & 7)
        trace = self._trace
        trace.append(self.now << 8 | node.number & 255)
        if len(trace) >= _TRACE:
            self._digest.update(trace.tobytes())
            self._trace = array("Q")
        try:
            handle.context.run(callback, *handle.args)
        except Exception as error:  # noqa: BLE001 - a loop goes on whatever a callback does
            self._unheard(f"a callback raised {type(error).__name__}: {error}")
        return True

    def bury(self) -> None:
        """The simulation is over: whatever still stands is let go without a word."""
        self._closed = True
        self._timers.clear()
        self._busy.clear()
        self._graves.clear()


def node_context(node: Node) -> Context:
    """A context in which new work belongs to `node`."""
    return node.context.copy()


def current_node() -> Node:
    return _NODE.get()


@contextmanager
def running(loop: SimLoop) -> Generator[None, None, None]:
    """`loop` as asyncio's running loop."""
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        loop.bury()
        asyncio._set_running_loop(None)


@contextmanager
def cemetery() -> Generator[None, None, None]:
    """Around a whole simulation: the collector stays off, so that no `finally` of a crashed node runs
    unasked; what is left at the end objects to being collected, and is not listened to."""
    hook, was_on = sys.unraisablehook, gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        sys.unraisablehook = lambda _: None
        with catch_warnings():
            simplefilter("ignore")
            gc.collect()
        sys.unraisablehook = hook
        if was_on:
            gc.enable()
