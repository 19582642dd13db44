"""The code-first face of an app: functions are registered, served, started and waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, overload

from ..errors import Problem, Refused
from ..flow import Limit, Retry, Span
from ..ports import FunctionRuns
from .handle import Handle
from .steps import (
    Activity,
    ActivityDecorator,
    AsyncActivity,
    AsyncFunction,
    AsyncStep,
    PlainActivity,
    PlainStep,
    Step,
    StepDecorator,
    activity,
    step,
)
from .workflow import (
    AsyncWorkflowFunction,
    PlainWorkflowFunction,
    Schedule,
    Workflow,
    WorkflowDecorator,
    workflow,
)

P = ParamSpec("P")
R = TypeVar("R")

Served = Workflow[Any, Any] | Activity[..., Any] | Step[..., Any]


class Functions:
    """Mixed into an app, which says how its parts are reached: the methods that begin with `_do`."""

    def __init__(self) -> None:
        self._workflows: dict[str, Workflow[Any, Any]] = {}
        self._activities: dict[str, Activity[..., Any]] = {}
        self._late = False  # was anything registered that is not served yet?

    # What an app provides

    def _do_runs(self) -> FunctionRuns:
        raise NotImplementedError

    async def _do_start(self) -> None:
        """Up and serving; does nothing when it is."""
        raise NotImplementedError

    async def _do_serve(
        self, workflows: Iterable[Workflow[Any, Any]], activities: Iterable[Activity[..., Any]]
    ) -> None:
        """Begin to serve these, now or with the start."""
        raise NotImplementedError

    # Registering

    @overload
    def workflow(self, name: AsyncWorkflowFunction[P, R], /) -> Workflow[P, R]: ...
    @overload
    def workflow(self, name: PlainWorkflowFunction[P, R], /) -> Workflow[P, R]: ...
    @overload
    def workflow(
        self,
        name: str = "",
        *,
        version: str = "",
        cron: str = "",
        timezone: str = "UTC",
        catch_up: str = "none",
        catch_up_window: Span | None = None,
        jitter: Span | None = None,
        inputs: Mapping[str, Any] | None = None,
        limits: Sequence[Limit] = (),
        singleton: str | Callable[..., Any] = "",
    ) -> WorkflowDecorator: ...
    def workflow(
        self,
        name: Any = "",
        *,
        version: str = "",
        cron: str = "",
        timezone: str = "UTC",
        catch_up: str = "none",
        catch_up_window: Span | None = None,
        jitter: Span | None = None,
        inputs: Mapping[str, Any] | None = None,
        limits: Sequence[Limit] = (),
        singleton: str | Callable[..., Any] = "",
    ) -> Any:
        """`@app.workflow` or `@app.workflow("order")`: a workflow of this app. With `cron` it also runs by
        itself, with `inputs` as its arguments, as long as the app is up. Each run waits for slots of its
        `limits`, and holds them to its end. Of `singleton`, a key like those of limits, there is one run at a
        time: to start another is to find that one."""
        schedule = None
        if cron:
            schedule = Schedule(
                cron=cron,
                timezone=timezone,
                catch_up=catch_up,
                catch_up_window=catch_up_window,
                jitter=jitter,
                inputs=inputs or {},
            )
        return workflow(
            name,
            version=version,
            schedule=schedule,
            limits=limits,
            singleton=singleton,
            register=self._add_workflow,
        )

    @overload
    def step(self, name: AsyncFunction[P, R], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def step(self, name: Callable[P, R], /) -> PlainStep[P, R]: ...
    @overload
    def step(
        self, name: str = "", *, retry: Retry | None = None, timeout: Span | None = None
    ) -> StepDecorator: ...
    def step(
        self, name: Any = "", *, retry: Retry | None = None, timeout: Span | None = None
    ) -> Any:
        """`@app.step` or `@app.step("name")`: a function that is a step wherever a workflow calls it."""
        return step(name) if callable(name) else step(name, retry=retry, timeout=timeout)

    @overload
    def activity(self, name: AsyncFunction[P, R], /) -> AsyncActivity[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def activity(self, name: Callable[P, R], /) -> PlainActivity[P, R]: ...
    @overload
    def activity(
        self,
        name: str = "",
        *,
        retry: Retry | None = None,
        timeout: Span | None = None,
        schedule_to_start: Span | None = None,
        heartbeat: Span | None = None,
        priority: int | None = None,
        limits: Sequence[Limit] = (),
    ) -> ActivityDecorator: ...
    def activity(self, name: Any = "", **options: Any) -> Any:
        """`@app.activity` or `@app.activity("name", retry=Retry(attempts=5), timeout="30s")`."""
        if callable(name):
            return activity(register=self._add_activity)(name)
        return activity(name, **options, register=self._add_activity)

    def _add_workflow(self, made: Workflow[Any, Any]) -> None:
        known = self._workflows.get(made.name)
        if known is not None and known.definition.function is not made.definition.function:
            raise _twice("workflow", made.name)
        made.bound_to(self._do_runs, self._do_start)
        self._workflows[made.name] = made
        self._late = True

    def _add_activity(self, made: Activity[..., Any]) -> None:
        known = self._activities.get(made.name)
        if known is not None and known.definition.function is not made.definition.function:
            raise _twice("activity", made.name)
        self._activities[made.name] = made
        self._late = True

    # Serving

    async def serve(self, functions: Iterable[Served] = ()) -> None:
        """Register `functions`, start if the app is not up, and return once all of them are served."""
        for function in functions:
            if isinstance(function, Workflow):
                self._add_workflow(function)
            elif isinstance(function, Activity):
                self._add_activity(function)
            elif not isinstance(function, Step):
                raise Refused(
                    Problem(
                        "not-served",
                        f"{function!r} is neither a workflow nor an activity",
                        fix="decorate it: `@app.workflow()`, `@app.activity()`",
                    )
                )
        await self._do_serve(self._workflows.values(), self._activities.values())
        await self._do_start()

    def handle(self, run_id: str, result_type: type[R] | None = None) -> Handle[R]:
        """A run by its id, whoever started it."""
        return Handle(run_id, self._do_runs, result_type)

    # Names by which the app finds what it serves

    def workflows(self) -> Mapping[str, Workflow[Any, Any]]:
        return dict(self._workflows)

    def activities(self) -> Mapping[str, Activity[..., Any]]:
        return dict(self._activities)


def _twice(kind: str, name: str) -> Refused:
    return Refused(
        Problem(
            "function-exists",
            f"there are two {kind}s named '{name}'",
            fix="give one of them another name: `@app." + kind + '("another-name")`',
        )
    )
