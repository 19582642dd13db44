"""Steps and activities: functions that do the work, as decorators and as calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, overload

import msgspec

from ..errors import InvalidState, Problem, Refused
from ..flow import (
    ActivityDefinition,
    FunctionReference,
    Limit,
    Retry,
    Span,
    StepDefinition,
    activity_options,
    current_context,
    decode,
    is_async,
    micros,
)
from .executors import CompleteLater, current_request, send_heartbeat

P = ParamSpec("P")
R = TypeVar("R")
AsyncFunction = Callable[P, Coroutine[Any, Any, R]]


class _Callable(Generic[P, R]):
    """Called inside a workflow it is a durable call; anywhere else it is the plain function."""

    definition: StepDefinition | ActivityDefinition

    def __init__(self, definition: StepDefinition | ActivityDefinition) -> None:
        self.definition = definition
        function = definition.function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", definition.name)
        self.__module__ = getattr(function, "__module__", __name__)
        self.__wrapped__ = function

    @property
    def name(self) -> str:
        return self.definition.name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise Refused(
            Problem(
                "decorated-method",
                f"'{self.name}' is a method, and an object cannot be recorded with the call",
                fix='decorate a function, or call `ctx.step("name", lambda: self.method(…))`',
            )
        )


class Step(_Callable[P, R]):
    """A function that runs in the worker of its run, once for the record."""

    definition: StepDefinition

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        context = current_context()
        if context is None:
            value: R = self.definition.function(*args, **kwargs)
            return value
        called: R = context.run_step(self.definition, args, kwargs)
        return called


class Activity(_Callable[P, R]):
    """A function that any worker may run as a task of its own: with retries, time limits, heartbeats."""

    definition: ActivityDefinition

    def __repr__(self) -> str:
        return f"<activity {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        context = current_context()
        if context is None:
            value: R = self.definition.function(*args, **kwargs)
            return value
        called: R = context.run_activity(self.definition, args, kwargs)
        return called


class AsyncStep(Step[P, Coroutine[Any, Any, R]], FunctionReference[P, R]):
    """A Step of an async function: awaited wherever it is called."""


class PlainStep(Step[P, Any], FunctionReference[P, R]):
    """A Step of a plain function: awaited in an async workflow, called in any other and outside."""


class AsyncActivity(Activity[P, Coroutine[Any, Any, R]], FunctionReference[P, R]):
    """An Activity of an async function: awaited wherever it is called."""


class PlainActivity(Activity[P, Any], FunctionReference[P, R]):
    """An Activity of a plain function: awaited in an async workflow, called in any other and outside."""


class StepDecorator:
    def __init__(self, name: str, retry: Retry | None, timeout: Span | None) -> None:
        self._name = name
        self._retry = retry
        self._timeout = micros(timeout, "timeout")

    @overload
    def __call__(self, function: AsyncFunction[P, R]) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R]) -> PlainStep[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Step[..., Any]:
        kind = AsyncStep if is_async(function) else PlainStep
        return kind(StepDefinition(function, self._name, self._retry, self._timeout))


class ActivityDecorator:
    def __init__(
        self,
        make: Callable[[Callable[..., Any]], ActivityDefinition],
        register: Callable[[Activity[..., Any]], None] | None,
    ) -> None:
        self._make = make
        self._register = register

    @overload
    def __call__(self, function: AsyncFunction[P, R]) -> AsyncActivity[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R]) -> PlainActivity[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Activity[..., Any]:
        kind = AsyncActivity if is_async(function) else PlainActivity
        made: Activity[..., Any] = kind(self._make(function))
        if self._register is not None:
            self._register(made)
        return made


@overload
def step(name: AsyncFunction[P, R], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
@overload
def step(name: Callable[P, R], /) -> PlainStep[P, R]: ...
@overload
def step(
    name: str = "", *, retry: Retry | None = None, timeout: Span | None = None
) -> StepDecorator: ...
def step(name: Any = "", *, retry: Retry | None = None, timeout: Span | None = None) -> Any:
    """`@step` or `@step("name", …)` makes a step of a function: called in a workflow it is recorded, and
    not run again once it is. Without `retry` its first failure is raised in the workflow."""
    if callable(name):
        return StepDecorator("", None, None)(name)
    return StepDecorator(name, retry, timeout)


class ActivityInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an activity may know of the attempt that it is. `token` lets somebody else complete it."""

    run_id: str
    name: str
    attempt: int
    token: str


class _Activities:
    """`activity` itself: the decorator, and what an activity says and asks while it runs."""

    __name__ = "activity"

    @overload
    def __call__(self, name: AsyncFunction[P, R], /) -> AsyncActivity[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, name: Callable[P, R], /) -> PlainActivity[P, R]: ...
    @overload
    def __call__(
        self,
        name: str = "",
        *,
        retry: Retry | None = None,
        timeout: Span | None = None,
        schedule_to_start: Span | None = None,
        heartbeat: Span | None = None,
        priority: int | None = None,
        limits: Sequence[Limit] = (),
        register: Registrar | None = None,
    ) -> ActivityDecorator: ...
    def __call__(
        self,
        name: Any = "",
        *,
        retry: Retry | None = None,
        timeout: Span | None = None,
        schedule_to_start: Span | None = None,
        heartbeat: Span | None = None,
        priority: int | None = None,
        limits: Sequence[Limit] = (),
        register: Registrar | None = None,
    ) -> Any:
        """`@activity` or `@activity("name", …)` makes an activity of a function. `timeout` is for each
        attempt from its start (30 s unless given), `schedule_to_start` for the wait in the queue,
        `heartbeat` for the silence between two `activity.heartbeat()`; it is tried 3 times unless `retry`
        says otherwise. Each attempt waits for slots of its `limits`."""
        options = activity_options(
            retry,
            timeout=timeout,
            schedule_to_start=schedule_to_start,
            heartbeat=heartbeat,
            priority=priority,
        )
        given = "" if callable(name) else name
        decorate = ActivityDecorator(
            lambda function: ActivityDefinition(function, given, options, limits), register
        )
        return decorate(name) if callable(name) else decorate

    def heartbeat(self, details: Any = None) -> None:
        """Say, from the activity that runs here, that it is alive and how far it is. Cheap: call it as
        often as you like. Outside of an activity it does nothing, so the function stays a plain one."""
        send_heartbeat(details)

    def details(self) -> Any:
        """What the last heartbeat of an earlier attempt said; None in the first attempt."""
        request = current_request()
        return None if request is None or request.details is None else decode(request.details)

    def info(self) -> ActivityInfo:
        """Which attempt of which activity runs here. Raises InvalidState outside of one."""
        request = current_request()
        if request is None:
            raise _not_inside("activity.info()")
        token = f"{request.task_run_id}:{request.epoch}:{request.delivery}"
        return ActivityInfo(
            run_id=request.run_id, name=request.executor_type, attempt=request.attempt, token=token
        )

    def complete_later(self) -> NoReturn:
        """Leave the activity without a result: whoever has `info().token` brings it, with
        `app.complete(token, result)` or `app.fail(token, error)`."""
        if current_request() is None:
            raise _not_inside("activity.complete_later()")
        raise CompleteLater


activity = _Activities()


def _not_inside(call: str) -> InvalidState:
    return InvalidState(
        Problem(
            "no-activity",
            f"{call} was called where no activity runs",
            fix="call it in a function that is decorated with `@app.activity`, while a worker runs it",
        )
    )


Registrar = Callable[[Activity[..., Any]], None]
