"""BlockingContext: what a plain workflow function does its work with. It blocks where Context is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import UnionType
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .calls import Call
from .definition import ActivityDefinition, StepDefinition
from .gather import Mapping as MapOfSteps
from .gather import OnFailure, in_parallel
from .making import CallMaker, FunctionReference, WorkflowReference, take_spans
from .options import Retry, Span
from .threads import thread_here

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class BlockingContext(CallMaker):
    """The first argument of a plain workflow function, which runs in a thread and may block.

    Its calls are those of Context, and just as durable; they return what Context's are awaited for.
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
    ) -> R: ...
    @overload
    def step(
        self,
        name: str,
        function: FunctionReference[..., R],
        /,
        *args: Any,
        timeout: Span | None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def step(
        self, name: str, function: FunctionReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
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
    ) -> R: ...
    @overload
    def step(
        self,
        name: str,
        function: Callable[..., R],
        /,
        *args: Any,
        timeout: Span | None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def step(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def step(
        self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    def step(
        self,
        name: str,
        function: Any,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Calls `function` in a thread of its own (an async one on the event loop), and records what comes
        of it. Durable: see `Context.step`."""
        retry, timeout = kwargs.pop("retry", None), kwargs.pop("timeout", None)
        return self._wait(self.step_call(name, function, args, kwargs, retry, timeout))

    def run_step(
        self, step: StepDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """A decorated step, called like a function."""
        return self._wait(self.step_call(step.name, step, args, kwargs, None, None))  # type: ignore[arg-type]

    def parallel(
        self,
        branches: Sequence[Callable[[], T]],
        *,
        limit: int | None = None,
        on_failure: OnFailure = "cancel",
    ) -> list[T]:
        """Runs each function in a thread of its own, and returns their results in order. They take turns:
        one goes on when another waits in a durable call, so put what takes time into steps. Durable and
        replayed as `Context.parallel` is."""
        run = self._run
        works = [partial(run.threads.call, branch, (), {}) for branch in branches]
        results: list[T] = self._ask(lambda: in_parallel(run, works, limit, on_failure))
        return results

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
    ) -> list[R]: ...
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
    ) -> list[R]: ...
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
    ) -> list[R]: ...
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
    ) -> list[Any]:
        """A step for each item, at most `limit` at the same time; results in order. Durable: each item is
        recorded on its own. An iterator is drawn from whole before the first step."""
        run, items = self._run, list(items)
        where = self.step_call(name, _nothing, (), {}, None, None).where

        def call(item: Any) -> Any:
            made = self.step_call(name, function, (item,), {}, retry, timeout)
            made.where = where
            return made

        results: list[Any] = self._ask(
            lambda: MapOfSteps(run, call, items, limit, on_failure).results()
        )
        return results

    def sleep(
        self,
        span: Span = 0,
        /,
        *,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
    ) -> None:
        """Sleeps for a span. Durable: while it sleeps for long the run holds no thread: this function is
        unwound, and led back here from its record when the time has come."""
        self._wait(self.timer_call(span, seconds, minutes, hours, days))

    def sleep_until(self, at: datetime, /) -> None:
        """Sleeps until an instant, which must name its time zone. Durable, as `sleep` is."""
        self._wait(self.instant_call(at))

    @overload
    def wait_for(self, signal: str, *, type: type[T], timeout: Span | None = None) -> T: ...
    @overload
    def wait_for(
        self, signal: str, *, type: UnionType | None = None, timeout: Span | None = None
    ) -> Any: ...
    def wait_for(
        self,
        signal: str,
        *,
        type: Any = None,  # noqa: A002
        timeout: Span | None = None,
    ) -> Any:
        """Waits for a signal and returns its payload. Durable: see `Context.wait_for`."""
        return self._wait(self.wait_call(signal, type, timeout))

    @overload
    def activity(
        self, activity: FunctionReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, retry: Retry | None, **more: Any
    ) -> R: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, timeout: Span | None, **more: Any
    ) -> R: ...
    @overload
    def activity(
        self,
        activity: FunctionReference[..., R],
        /,
        *args: Any,
        heartbeat: Span | None,
        **more: Any,
    ) -> R: ...
    @overload
    def activity(
        self,
        activity: FunctionReference[..., R],
        /,
        *args: Any,
        schedule_to_start: Span | None,
        **more: Any,
    ) -> R: ...
    @overload
    def activity(
        self, activity: FunctionReference[..., R], /, *args: Any, priority: int | None, **more: Any
    ) -> R: ...
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
    ) -> Any: ...
    def activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Has a task done by any worker that serves it. Durable: see `Context.activity`."""
        retry, spans = kwargs.pop("retry", None), take_spans(kwargs)
        return self._wait(self.activity_call(activity, args, kwargs, retry, spans))

    def run_activity(
        self, activity: ActivityDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """A decorated activity, called like a function."""
        return self._wait(self.activity_call(activity, args, kwargs, None, {}))

    @overload
    def child(
        self,
        workflow: WorkflowReference[..., R],
        /,
        *args: Any,
        id: str | None,
        on_parent_end: str = "cancel",
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def child(
        self, workflow: WorkflowReference[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def child(
        self, workflow: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
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
    ) -> Any: ...
    def child(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Runs another workflow or stored template as a run of its own. Durable: see `Context.child`."""
        return self._wait(self.child_call(workflow, args, kwargs))

    def _wait(self, call: Call) -> Any:
        return self._ask(partial(self._run.perform, call))

    def _ask(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return thread_here(self._run).ask(work)


def _nothing() -> None:
    """Stands for a step whose place in the code is wanted, and nothing else."""
