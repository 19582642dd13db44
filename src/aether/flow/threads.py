"""Plain functions as branches: each runs in a thread, and only one thread of a run at a time.

A plain function blocks where an async one awaits. Its durable calls are carried out by a task on the
run's loop, its branch, while the thread waits; the next thread goes on when this one waits or ends. So
plain workflows take turns exactly as coroutines do, and replay as they do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar, copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import Problem, Refused
from .calls import Detached

if TYPE_CHECKING:
    from .blocking import BlockingContext
    from .run import FlowRun

BLOCKING: ContextVar[BlockingContext | None] = ContextVar("aether_blocking", default=None)
THREAD: ContextVar[PlainThread | None] = ContextVar("aether_thread", default=None)


class PlainThread:
    """The two ends of one thread's conversation with its branch."""

    __slots__ = ("detached", "replies", "run", "said")

    def __init__(self, run: FlowRun) -> None:
        self.run = run
        self.replies: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        self.said: asyncio.Future[Any] = run.loop.create_future()
        self.detached = False

    def ask(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """In the thread: what `call` gives, carried out by the branch."""
        if self.detached:
            raise Detached
        self._say((False, call))
        well, what = self.replies.get()
        if well:
            return what
        raise what

    def _say(self, what: tuple[bool, Any]) -> None:
        try:
            self.run.real.call_soon_threadsafe(self.run.threads.heard, self, what)
        except RuntimeError:
            raise Detached from None  # the loop is closed

    def work(self, function: Callable[[], Any]) -> None:
        """In the thread: the whole of it."""
        THREAD.set(self)
        BLOCKING.set(self.run.blocking)
        try:
            answer: tuple[bool, Any] = (True, function())
        except BaseException as error:  # noqa: BLE001 - it goes to whoever awaits the branch
            answer = (False, error)
        try:
            self._say((True, answer))
        except Detached:
            return


class Threads:
    """The threads of one run. `busy` while one of them runs or is about to."""

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._next: deque[Callable[[], object]] = deque()
        self._running: PlainThread | None = None
        self._live: dict[PlainThread, asyncio.Task[Any]] = {}

    @property
    def busy(self) -> bool:
        return self._running is not None or bool(self._next)

    def resume_next(self) -> bool:
        """Lets the next thread go on, unless one runs. False: none runs, and none wants to."""
        if self._running is None and self._next:
            self._next.popleft()()
        return self._running is not None

    async def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """What `function` returns, run in a thread as the branch that awaits this."""
        thread = PlainThread(self._run)
        variables = copy_context()
        work = partial(thread.work, partial(function, *args, **kwargs))
        self._next.append(partial(self._start, thread, work, variables))
        cancelled: BaseException | None = None
        while True:
            try:
                over, what = await thread.said
            except asyncio.CancelledError as error:  # while the thread runs, or waits for its turn
                cancelled = error
                thread.said = self._run.loop.create_future()
                continue
            thread.said = self._run.loop.create_future()
            if over:
                well, value = what
                if well and cancelled is None:
                    return value
                raise value if cancelled is None or not well else cancelled
            try:
                if cancelled is not None:  # it hears of it at its first call after that
                    stop, cancelled = cancelled, None
                    raise stop
                reply: tuple[bool, Any] = (True, await what())
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the thread's own
                reply = (False, error)
            self._next.append(partial(self._reply, thread, reply))

    def heard(self, thread: PlainThread, what: tuple[bool, Any]) -> None:
        """On the real loop: `thread` waits, or has ended."""
        if what[0]:
            self._live.pop(thread, None)
        if self._running is thread:
            self._running = None
        if not thread.said.done():
            thread.said.set_result(what)
        if thread.detached and not what[0]:
            thread.replies.put((False, Detached()))
        self._run.drive()

    def detach(self) -> None:
        for thread in self._live:
            thread.detached = True
            if thread is not self._running:
                thread.replies.put((False, Detached()))
        self._next.clear()
        self._running = None

    async def unwound(self) -> None:
        """Returns when no thread of the run is left."""
        while self._live:
            await asyncio.wait(list(self._live.values()))

    def _start(self, thread: PlainThread, work: Callable[[], None], variables: Any) -> None:
        run = self._run
        self._running = thread
        task = run.real.create_task(_offloaded(run, work), context=variables)
        self._live[thread] = task
        task.add_done_callback(partial(self._thread_ended, thread))

    def _thread_ended(self, thread: PlainThread, task: asyncio.Task[Any]) -> None:
        self._live.pop(thread, None)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or error is not None:  # it never ran, or its pool failed
            self.heard(thread, (True, (False, error or RuntimeError("the thread was not run"))))

    def _reply(self, thread: PlainThread, reply: tuple[bool, Any]) -> None:
        self._running = thread
        thread.replies.put(reply)


async def _offloaded(run: FlowRun, work: Callable[[], None]) -> None:
    await run.runtime.threads(work)


def outside(work: Callable[[], Any]) -> Any:
    """`work` as a step: no longer inside the workflow that called it."""
    leave_workflow()
    return work()


def leave_workflow() -> None:
    BLOCKING.set(None)
    THREAD.set(None)


def thread_here(run: FlowRun) -> PlainThread:
    """The thread that runs here, which must be one of `run`."""
    thread = THREAD.get()
    if thread is None or thread.run is not run:
        raise Refused(
            Problem(
                "context-elsewhere",
                "the context of a plain workflow was used outside of the workflow's own code",
                fix="call it in the workflow function or in the functions given to ctx.parallel; not in "
                "steps, and not in threads of your own",
            )
        )
    return thread
