"""Workflows: functions that decide what happens in a run, and that start runs of themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    get_args,
    overload,
)

import msgspec

from ..errors import InvalidState, Problem, Refused
from ..flow import (
    BlockingContext,
    Context,
    Limit,
    Span,
    WorkflowDefinition,
    WorkflowReference,
    aware,
    labels_of,
    micros,
    result_type,
    wants_of,
)
from ..ports import FunctionRuns, FunctionStart
from .handle import Handle
from .outside import must_be_outside

P = ParamSpec("P")
R = TypeVar("R")
OnExisting = Literal["attach", "fail", "restart_failed"]
_ON_EXISTING = get_args(OnExisting)


class StartOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one run begins. `id` makes the start idempotent: with the same arguments it attaches to the
    run that exists, also when it is over; `on_existing` may ask for `fail` or `restart_failed`."""

    id: str = ""
    on_existing: OnExisting = "attach"
    delay: Span | None = None
    at: datetime | None = None
    timeout: Span | None = None
    labels: Mapping[str, str] | None = None
    tier: str = ""
    priority: int = 500

    def __post_init__(self) -> None:
        if self.on_existing not in _ON_EXISTING:
            known = ", ".join(f"'{name}'" for name in _ON_EXISTING)
            what = f"on_existing is {self.on_existing!r}, which is none of {known}"
            raise Refused(Problem("bad-option", what, fix='leave it out for "attach"'))
        if self.at is not None:
            aware(self.at, "at=")
        if self.labels is not None:
            labels_of(self.labels)


_NAMES = frozenset(StartOptions.__struct_fields__)
_PLAIN = StartOptions()


class Workflow(WorkflowReference[P, R]):
    """A workflow function. `start`, `start_and_wait`, and inside another workflow `ctx.child(this, …)`."""

    def __init__(self, definition: WorkflowDefinition, schedule: Schedule | None = None) -> None:
        self.definition = definition
        self.schedule = schedule
        self._runs: Callable[[], FunctionRuns] | None = None
        self._ready: Callable[[], Awaitable[None]] | None = None
        self.__doc__ = definition.function.__doc__
        self.__name__ = definition.name
        self.__wrapped__ = definition.function

    @property
    def name(self) -> str:
        return self.definition.name

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    if not TYPE_CHECKING:  # for type checkers it cannot be called at all

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise InvalidState(
                Problem(
                    "workflow-called",
                    f"the workflow '{self.name}' was called like a function",
                    fix=f"`await {self.__wrapped__.__name__}.start_and_wait(…)`, or inside a workflow "
                    f"`await ctx.child({self.__wrapped__.__name__}, …)`",
                )
            )

    def bound_to(
        self, runs: Callable[[], FunctionRuns], ready: Callable[[], Awaitable[None]]
    ) -> None:
        """The app that runs of it are started through."""
        self._runs, self._ready = runs, ready

    @overload
    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, id: str, **options: Any) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, delay: Span, **options: Any) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, at: datetime, **options: Any) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, timeout: Span, **options: Any) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, labels: Mapping[str, str], **options: Any) -> Handle[R]: ...
    @overload
    async def start(self, *args: Any, tier: str, **options: Any) -> Handle[R]: ...
    async def start(self, *args: Any, **kwargs: Any) -> Handle[R]:
        """Begin a run, and return once the start is on record. Besides its arguments it takes `id`,
        `on_existing`, `delay`, `at`, `timeout`, `labels`, `tier` and `priority`, unless the function has a
        parameter of that name: then, and where a type checker is to see every argument, write
        `workflow.options(id=…).start(…)`.
        """
        options = _PLAIN
        if kwargs:
            parameters = self.definition.signature.names
            mine = {name: kwargs.pop(name) for name in _NAMES & kwargs.keys() - set(parameters)}
            options = _options(mine) if mine else _PLAIN
        return await self._start(options, args, kwargs)

    @overload
    async def start_and_wait(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def start_and_wait(self, *args: Any, id: str, **options: Any) -> R: ...
    @overload
    async def start_and_wait(self, *args: Any, timeout: Span, **options: Any) -> R: ...
    @overload
    async def start_and_wait(self, *args: Any, labels: Mapping[str, str], **options: Any) -> R: ...
    async def start_and_wait(self, *args: Any, **kwargs: Any) -> R:
        """Begin a run and return what the function returns; its failure is raised."""
        handle: Handle[R] = await self.start(*args, **kwargs)
        return await handle.result()

    def options(
        self,
        *,
        id: str = "",  # noqa: A002 - what it is called everywhere
        on_existing: OnExisting = "attach",
        delay: Span | None = None,
        at: datetime | None = None,
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        tier: str = "",
        priority: int = 500,
    ) -> Prepared[P, R]:
        """The workflow with options set: `order.options(id="o-1").start("o-1")`."""
        options = StartOptions(
            id=id,
            on_existing=on_existing,
            delay=delay,
            at=at,
            timeout=timeout,
            labels=labels,
            tier=tier,
            priority=priority,
        )
        return Prepared(self, options)

    @property
    def result_type(self) -> Any:
        """What the function says it returns, or None."""
        return result_type(self.definition.function)

    async def _start(
        self, options: StartOptions, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Handle[R]:
        must_be_outside(f"the start of '{self.name}'")
        if self._runs is None or self._ready is None:
            raise _unbound(self.name)
        await self._ready()
        definition = self.definition
        inputs = definition.signature.encode(args, kwargs)
        single = wants_of((definition.single,), args, kwargs, inputs) if definition.single else ()
        start = FunctionStart(
            name=definition.name,
            version=definition.version,
            inputs=inputs,
            limits=wants_of(definition.limits, args, kwargs, inputs),
            priority=options.priority,
            singleton=single[0].key if single else "",
            run_id=options.id,
            on_existing=options.on_existing,
            delay=micros(options.delay, "delay"),
            at=options.at,
            timeout=micros(options.timeout, "timeout"),
            labels=options.labels,
            tier=options.tier,
        )
        run_id = await self._runs().start_function(start)
        return Handle(run_id, self._runs, self.result_type)


class Prepared(Generic[P, R]):
    """A workflow and how its runs begin. Every argument is checked against the function."""

    def __init__(self, workflow: Workflow[P, R], options: StartOptions) -> None:
        self._workflow = workflow
        self._options = options

    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        return await self._workflow._start(self._options, args, kwargs)

    async def start_and_wait(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return await (await self.start(*args, **kwargs)).result()


Startable = Workflow[P, R] | Prepared[P, R]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a workflow runs by itself."""

    cron: str
    timezone: str = "UTC"
    catch_up: str = "none"
    catch_up_window: Span | None = None
    jitter: Span | None = None
    inputs: Mapping[str, Any] = {}


AsyncWorkflowFunction = Callable[Concatenate[Context, P], Awaitable[R]]
PlainWorkflowFunction = Callable[Concatenate[BlockingContext, P], R]


class WorkflowDecorator:
    """What `workflow(…)` returns: it takes async and plain functions."""

    def __init__(
        self,
        name: str,
        version: str,
        schedule: Schedule | None,
        register: Registrar | None,
        limits: Sequence[Limit] = (),
        singleton: str | Callable[..., Any] = "",
    ) -> None:
        self._limits = limits
        self._singleton = singleton
        self._name = name
        self._version = version
        self._schedule = schedule
        self._register = register

    @overload
    def __call__(self, function: AsyncWorkflowFunction[P, R]) -> Workflow[P, R]: ...
    @overload
    def __call__(self, function: PlainWorkflowFunction[P, R]) -> Workflow[P, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Workflow[Any, Any]:
        definition = WorkflowDefinition(
            function, self._name, self._version, self._limits, self._singleton
        )
        made: Workflow[Any, Any] = Workflow(definition, self._schedule)
        if self._register is not None:
            self._register(made)
        return made


@overload
def workflow(name: AsyncWorkflowFunction[P, R], /) -> Workflow[P, R]: ...
@overload
def workflow(name: PlainWorkflowFunction[P, R], /) -> Workflow[P, R]: ...
@overload
def workflow(
    name: str = "",
    *,
    version: str = "",
    schedule: Schedule | None = None,
    limits: Sequence[Limit] = (),
    singleton: str | Callable[..., Any] = "",
    register: Registrar | None = None,
) -> WorkflowDecorator: ...
def workflow(
    name: Any = "",
    *,
    version: str = "",
    schedule: Schedule | None = None,
    limits: Sequence[Limit] = (),
    singleton: str | Callable[..., Any] = "",
    register: Registrar | None = None,
) -> Any:
    """`@workflow` or `@workflow("order")` makes a workflow of a function whose first parameter is a Context.
    It belongs to no app until one serves it: `await app.serve([order])`. `version` names the code;
    without one it is a digest of it."""
    if callable(name):
        return WorkflowDecorator("", version, schedule, register)(name)
    return WorkflowDecorator(name, version, schedule, register, limits, singleton)


Registrar = Callable[[Workflow[Any, Any]], None]


def _options(given: Mapping[str, Any]) -> StartOptions:
    return StartOptions(**given)


def _unbound(name: str) -> InvalidState:
    return InvalidState(
        Problem(
            "workflow-unbound",
            f"the workflow '{name}' belongs to no app yet",
            fix=f"define it with `@app.workflow(…)`, or `await app.serve([{name}])` first",
        )
    )
