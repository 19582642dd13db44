"""Context: what an async workflow function does its work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .calls import Detached
from .definition import ActivityDefinition, StepDefinition
from .gather import Mapping as MapOfSteps
from .gather import OnFailure, in_parallel
from .making import CallMaker, FunctionReference, WorkflowReference, take_spans
from .options import Retry, Span

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Context(CallMaker):
    """The first argument of an async workflow function.

    *Durable* calls are recorded: when the run is taken up again, in this process or another, they answer
    from the record instead of happening again. Everything else in the function is plain code that may
    run again: keep it free of effects, and put effects into steps. `asyncio.sleep`, `timeout`, `gather`,
    `TaskGroup`, queues and locks work as they do anywhere; sleeping in them is durable.
    """

    __slots__ = ()

    @overload
    def step(
        self,
        name: str,
        function: FunctionReference[..., R],
        /,
        *args: Any,
        retry: Retry | None,
        timeout: Span | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self,
        name: str,
        function: FunctionReference[..., R],
        /,
        *args: Any,
        timeout: Span | None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self, name: str, function: FunctionReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self,
        name: str,
        function: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        retry: Retry | None,
        timeout: Span | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self,
        name: str,
        function: Callable[..., R],
        /,
        *args: Any,
        retry: Retry | None,
        timeout: Span | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self,
        name: str,
        function: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        timeout: Span | None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self,
        name: str,
        function: Callable[..., R],
        /,
        *args: Any,
        timeout: Span | None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def step(
        self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    def step(
        self,
        name: str,
        function: Any,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Calls `function` here, and records what comes of it. Durable: recorded once, executed at least
        once; a step that was under way when the process died runs again. An async function runs on the
        event loop, any other in a thread. It is tried again only if `retry` is given, and each failure is
        recorded first. `timeout` limits each attempt; a thread cannot be stopped and goes on unheard.
        Arguments and result must be data; a replay refuses other arguments than the recorded ones."""
        retry = timeout = None
        if kwargs:
            retry, timeout = kwargs.pop("retry", None), kwargs.pop("timeout", None)
        return self._run.perform(self.step_call(name, function, args, kwargs, retry, timeout))

    def run_step(
        self, step: StepDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """A decorated step, called like a function."""
        return self._run.perform(self.step_call(step.name, step, args, kwargs, None, None))  # type: ignore[arg-type]

    def parallel(
        self,
        branches: Sequence[Callable[[], Awaitable[T]] | Awaitable[T]],
        *,
        limit: int | None = None,
        on_failure: OnFailure = "cancel",
    ) -> Coroutine[Any, Any, list[T]]:
        """Runs all branches at the same time, at most `limit` of them, and returns their results in order.
        Each branch is followed on its own, so what finishes first changes nothing. The calls made in the
        branches are durable. A failure cancels the others and is raised; with `on_failure="finish"` the
        others end first, with "return" exceptions stand among the results."""
        return in_parallel(self._run, branches, limit, on_failure)

    @overload
    def map(
        self,
        name: str,
        function: FunctionReference[Concatenate[T, ...], R],
        items: Iterable[T],
        /,
        *,
        limit: int = 100,
        on_failure: OnFailure = "cancel",
        retry: Retry | None = None,
        timeout: Span | None = None,
    ) -> Coroutine[Any, Any, list[R]]: ...
    @overload
    def map(
        self,
        name: str,
        function: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        /,
        *,
        limit: int = 100,
        on_failure: OnFailure = "cancel",
        retry: Retry | None = None,
        timeout: Span | None = None,
    ) -> Coroutine[Any, Any, list[R]]: ...
    @overload
    def map(
        self,
        name: str,
        function: Callable[[T], R],
        items: Iterable[T],
        /,
        *,
        limit: int = 100,
        on_failure: OnFailure = "cancel",
        retry: Retry | None = None,
        timeout: Span | None = None,
    ) -> Coroutine[Any, Any, list[R]]: ...
    def map(
        self,
        name: str,
        function: Any,
        items: Iterable[Any],
        /,
        *,
        limit: int = 100,
        on_failure: OnFailure = "cancel",
        retry: Retry | None = None,
        timeout: Span | None = None,
    ) -> Coroutine[Any, Any, list[Any]]:
        """A step for each item, at most `limit` at the same time; results in the order of the items, which
        are drawn only as they are needed. Durable: each item is recorded on its own."""
        return self._map(name, function, items, limit, on_failure, retry, timeout)

    async def _map(
        self,
        name: str,
        function: Callable[..., Any],
        items: Iterable[Any],
        limit: int,
        on_failure: OnFailure,
        retry: Retry | None,
        timeout: Span | None,
    ) -> list[Any]:
        if self._run.detached:
            raise Detached

        def call(item: Any) -> Any:
            return self.step_call(name, function, (item,), {}, retry, timeout)

        return await MapOfSteps(self._run, call, items, limit, on_failure).results()

    def sleep(
        self,
        span: Span = 0,
        /,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
    ) -> Coroutine[Any, Any, None]:
        """Sleeps for a span: seconds, a text like "1h30m", a timedelta, or its parts by name. Durable:
        the instant is recorded, and while it sleeps for long the run holds no slot and no memory."""
        return self._run.perform(self.timer_call(span, seconds, minutes, hours, days))

    def sleep_until(self, at: datetime, /) -> Coroutine[Any, Any, None]:
        """Sleeps until an instant, which must name its time zone. Durable, as `sleep` is."""
        return self._run.perform(self.instant_call(at))

    @overload
    def wait_for(
        self, signal: str, *, type: type[T], timeout: Span | None = None
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def wait_for(
        self, signal: str, *, type: UnionType | None = None, timeout: Span | None = None
    ) -> Coroutine[Any, Any, Any]: ...
    def wait_for(
        self,
        signal: str,
        *,
        type: Any = None,  # noqa: A002
        timeout: Span | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Waits for a signal and returns its payload, as `type` if that is given. Signals sent before
        count, each is taken by one waiter, in order. Durable: the record decides between the signal and
        the deadline, after which it raises SignalTimeout, a TimeoutError."""
        return self._run.perform(self.wait_call(signal, type, timeout))

    @overload
    def activity(
        self, activity: FunctionReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, retry: Retry | None, **more: Any
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, timeout: Span | None, **more: Any
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self,
        activity: FunctionReference[..., R],
        /,
        *args: Any,
        heartbeat: Span | None,
        **more: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self,
        activity: FunctionReference[..., R],
        /,
        *args: Any,
        schedule_to_start: Span | None,
        **more: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, priority: int | None, **more: Any
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def activity(
        self,
        activity: str,
        /,
        *,
        retry: Retry | None = None,
        timeout: Span | None = None,
        schedule_to_start: Span | None = None,
        heartbeat: Span | None = None,
        priority: int | None = None,
        **inputs: Any,
    ) -> Coroutine[Any, Any, Any]: ...
    def activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Has a task done by any worker that serves it: a decorated activity, or the name of an executor
        with its inputs by name. Durable; retried, timed and watched as its options say. While it runs
        elsewhere, this run holds no slot."""
        retry, spans = kwargs.pop("retry", None), take_spans(kwargs)
        return self._run.perform(self.activity_call(activity, args, kwargs, retry, spans))

    def run_activity(
        self, activity: ActivityDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """A decorated activity, called like a function."""
        return self._run.perform(self.activity_call(activity, args, kwargs, None, {}))

    @overload
    def child(
        self,
        workflow: WorkflowReference[..., R] | Callable[Concatenate[Any, ...], Awaitable[R]],
        /,
        *args: Any,
        id: str | None,
        on_parent_end: str = "cancel",
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def child(
        self, workflow: WorkflowReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def child(
        self,
        workflow: Callable[Concatenate[Any, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def child(
        self,
        workflow: str,
        /,
        *,
        id: str | None = None,
        on_parent_end: str = "cancel",
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]: ...
    def child(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Runs another workflow, or the stored template of that name (`name@version`), as a run of its own,
        and returns its result. Durable: the child's id follows from the call, or is `id`. Its failure is
        raised here. When this run ends first the child is cancelled; with `on_parent_end="leave"` it goes
        on. The options `id`, `on_parent_end`, `timeout` and `labels` are not passed to the workflow; to
        give others than `id`, give `id=None` with them."""
        return self._run.perform(self.child_call(workflow, args, kwargs))


def current_context() -> Any:
    """The context of the workflow whose code runs here: a Context, a BlockingContext, or None outside of
    workflows, which includes their steps."""
    from .loop import FlowLoop
    from .threads import BLOCKING

    loop = asyncio._get_running_loop()
    if loop is None:
        return BLOCKING.get()
    return loop.keeper.context if isinstance(loop, FlowLoop) else None
