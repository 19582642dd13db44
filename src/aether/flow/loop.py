"""The loop on which a workflow function runs: ready callbacks in order, and nothing else.

It never waits and knows no socket, thread or clock. Somebody on the real loop calls `turn`, which runs
everything that is ready until the function is quiet. A timer of it is a durable timer; everything that
would reach outside is refused with the words that help.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context as Variables
from contextvars import ContextVar, copy_context
from typing import Any, Protocol

from ..errors import Problem, Refused
from ..record import Path

_SWAPS_TASKS = sys.version_info >= (3, 14)  # from then on one thread has one current task
_TURN = 10_000  # callbacks before the real loop has its say


class Branch:
    """An asyncio task of a workflow: who made it, and what it has done so far. Branches are numbered by
    their parents, so their names depend on the code alone and never on what finished first."""

    __slots__ = ("_block", "calls", "children", "drawn", "name")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.children = 0
        self.drawn = 0
        self.calls: dict[str, int] = {}
        self._block: tuple[Any, int] | None = None

    def block(self, whose: object, given: Any, coro: object) -> Branch:
        """The child for `coro` out of the numbers kept for all that `whose` was given."""
        if not isinstance(given, list | tuple | dict):
            raise Refused(
                Problem(
                    "unordered-tasks",
                    "asyncio.as_completed was given neither a list nor a tuple, and would start its "
                    "coroutines in another order each time",
                    fix="pass a list, or make the tasks first: [asyncio.create_task(c) for c in …]",
                )
            )
        if self._block is None or self._block[0] is not whose:
            self._block = (whose, self.children)
            self.children += len(given)
        at = next(at for at, one in enumerate(given) if one is coro)
        number = self._block[1] + at
        return Branch(f"{self.name}.{number}" if self.name else str(number))

    def child(self) -> Branch:
        number = self.children
        self.children = number + 1
        return Branch(f"{self.name}.{number}" if self.name else str(number))

    def path(self, name: str) -> Path:
        calls = self.calls
        occurrence = calls.get(name, 0)
        calls[name] = occurrence + 1
        return Path(self.name, name, occurrence)


class Detached(BaseException):
    """Raised by durable calls of a function that is being put away: its run goes on elsewhere, or later,
    from its record. It passes through `finally`, and nothing it does there counts."""


BRANCH: ContextVar[Branch] = ContextVar("aether_branch")


Outer = tuple[asyncio.AbstractEventLoop | None, Any, Any]
"""The loop that ran outside, its task, and what the interpreter was told about generators."""


class TimerKeeper(Protocol):
    """Whoever makes the loop's timers durable."""

    detached: bool
    context: Any

    @property
    def seconds(self) -> float: ...

    def timer_set(self, timer: Timer, delay: float) -> None: ...

    def timer_dropped(self, timer: Timer) -> None: ...

    def loop_failed(self, context: dict[str, Any]) -> None: ...


class Ready(asyncio.Handle):
    """A callback that is to run now. Its members are those of its base, set without a debug traceback."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], variables: Variables
    ) -> None:
        self._callback: Any = callback
        self._args: Any = args
        self._context: Any = variables
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def __repr__(self) -> str:
        return f"<Ready {self._callback!r}>"


class Timer(asyncio.TimerHandle):
    """A callback for later, which is a durable timer: `call` is the call that stands for it."""

    __slots__ = ("call", "keeper")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: FlowLoop,
        variables: Variables | None,
        keeper: TimerKeeper,
    ) -> None:
        super().__init__(when, callback, args, loop, variables or copy_context())
        self.keeper = keeper
        self.call: Any = None

    def cancel(self) -> None:
        if not self.cancelled():
            super().cancel()
            self.keeper.timer_dropped(self)

    def fire_soon(self) -> None:
        """Its time has come: the callback runs in the loop's next turn."""
        self._loop.call_soon(self._callback, *self._args, context=self._context)  # type: ignore[attr-defined]


class FlowLoop(asyncio.AbstractEventLoop):
    """`ready` is what `turn` runs. Tasks made on it are branches; `tasks` are those that have not ended."""

    def __init__(self, keeper: TimerKeeper) -> None:
        self.keeper = keeper
        self.ready: deque[Ready] = deque()
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.by_task: dict[asyncio.Task[Any], Branch] = {}  # tasks in a context that others share

    def turn(self) -> bool:
        """Runs what is ready. False: it is not quiet, and the real loop should come first."""
        if not self.ready:
            return True
        outer = self.enter()
        try:
            return self.drain()
        finally:
            self.leave(outer)

    def drain(self) -> bool:
        """As `turn`, between `enter` and `leave`."""
        ready = self.ready
        budget = _TURN
        while ready:
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except Exception as error:  # noqa: BLE001 - a callback's fault ends no loop
                    self.call_exception_handler(
                        {"message": "a callback failed", "exception": error, "handle": handle}
                    )
            budget -= 1
            if not budget:
                return False
        return True

    def enter(self) -> Outer:
        """From here to `leave`, this is the loop that runs."""
        loop = asyncio._get_running_loop()
        task = _leave(loop)
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(None, None)
        return loop, task, hooks

    def leave(self, outer: Outer) -> None:
        loop, task, hooks = outer
        sys.set_asyncgen_hooks(*hooks)
        asyncio._set_running_loop(loop)
        _enter(loop, task)

    def inside(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, run as if by a callback of this loop."""
        outer = self.enter()
        try:
            return work()
        finally:
            self.leave(outer)

    def branch(self) -> Branch:
        """The branch of the code that runs."""
        if self.by_task:
            task = asyncio.current_task(self)
            if task is not None and task in self.by_task:
                return self.by_task[task]
        return BRANCH.get()

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self.keeper.seconds

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Variables | None = None
    ) -> Ready:
        handle = Ready(callback, args, context or copy_context())
        self.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Variables | None = None,
    ) -> Timer:
        timer = Timer(self.time() + delay, callback, args, self, context, self.keeper)
        self.keeper.timer_set(timer, delay)
        return timer

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Variables | None = None,
    ) -> Timer:
        timer = Timer(when, callback, args, self, context, self.keeper)
        self.keeper.timer_set(timer, when - self.time())
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Variables | None = None,
        **_options: Any,
    ) -> asyncio.Task[Any]:
        if self.keeper.detached:  # nothing that is put away begins anything
            coro.close()
            raise Detached
        branch = self.branch()
        at = _place_in_set(coro, branch)
        return self.make_task(coro, branch.child() if at is None else at, name, context)

    def make_task(
        self,
        coro: Coroutine[Any, Any, Any],
        branch: Branch,
        name: object = None,
        context: Variables | None = None,
    ) -> asyncio.Task[Any]:
        label = branch.name or "main" if name is None else str(name)
        if context is None:
            context = copy_context()
            context.run(BRANCH.set, branch)
            task = asyncio.Task(coro, loop=self, name=label, context=context)
        else:
            task = asyncio.Task(coro, loop=self, name=label, context=context)
            self.by_task[task] = branch
        self.tasks[task] = None
        task.add_done_callback(self._ended, context=_NOTHING)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        self.by_task.pop(task, None)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Debugging is the real loop's."""

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_exception_handler(self) -> None:
        return None

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.keeper.loop_failed(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The timer itself has told its keeper."""


_NOTHING = Variables()
_TASKS = asyncio.tasks.__file__


def _place_in_set(coro: Coroutine[Any, Any, Any], branch: Branch) -> Branch | None:
    """`asyncio.as_completed` makes its tasks in the order of a set, which is that of addresses. Their
    numbers follow the list it was given instead. None for tasks that anybody else makes."""
    frame = sys._getframe(
        3
    )  # create_task <- ensure_future <- a comprehension in, or as_completed itself
    for _ in range(3):
        code = frame.f_code
        if code.co_filename != _TASKS or frame.f_back is None:
            return None
        given = frame.f_locals.get("fs") if code.co_name == "as_completed" else None
        if given is None and code.co_name == "__init__":
            given = frame.f_locals.get("aws")
        if given is not None:
            return branch.block(frame, given, coro)
        frame = frame.f_back
    return None


def _leave(outer: asyncio.AbstractEventLoop | None) -> Any:
    if _SWAPS_TASKS and outer is not None:
        return asyncio.tasks._swap_current_task(outer, None)  # type: ignore[attr-defined]
    return None


def _enter(outer: asyncio.AbstractEventLoop | None, task: Any) -> None:
    if _SWAPS_TASKS and outer is not None:
        asyncio.tasks._swap_current_task(outer, task)  # type: ignore[attr-defined]


def bare_io(what: str) -> Refused:
    """What every attempt to reach outside gets to hear."""
    return Refused(
        Problem(
            "bare-io",
            f"the workflow function {what}, which no replay could repeat",
            fix='wrap it in ctx.step: `await ctx.step("name", function, …)`; a step may do anything',
        )
    )


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(self: FlowLoop, *args: Any, **kwargs: Any) -> Any:
        raise bare_io(f"called `{name}` of its event loop")

    refuse.__name__ = name
    return refuse


_REFUSED = [
    "run_forever",
    "run_until_complete",
    "stop",
    "close",
    "shutdown_asyncgens",
    "shutdown_default_executor",
    "call_soon_threadsafe",
    "run_in_executor",
    "set_default_executor",
    "getaddrinfo",
    "getnameinfo",
    "create_connection",
    "create_server",
    "start_tls",
    "sendfile",
    "create_unix_connection",
    "create_unix_server",
    "connect_accepted_socket",
    "create_datagram_endpoint",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_shell",
    "subprocess_exec",
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendto",
    "sock_connect",
    "sock_accept",
    "sock_sendfile",
    "add_signal_handler",
    "remove_signal_handler",
    "set_task_factory",
    "set_exception_handler",
    "default_exception_handler",
]
for _name in _REFUSED:
    setattr(FlowLoop, _name, _refusing(_name))
