"""Makes calls out of what the function passes; the same for both kinds of context."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar
from uuid import UUID  # noqa: TID251 - the type; its bytes are derived from the run

import msgspec

from ..errors import Problem, Refused
from ..record import ChildOptions, StatusSet, encode_json
from . import codec
from .calls import ActivityCall, ChildCall, ContinueAsNew, StepCall, TimerCall, WaitCall
from .definition import WorkflowDefinition
from .limits import wants_of
from .options import Retry, Span, activity_options, aware, labels_of, micros
from .places import (
    activity_of,
    encode_arguments,
    line_of_caller,
    result_type,
    step_of,
    workflow_of,
)

if TYPE_CHECKING:
    from .run import FlowRun

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.encode


P = ParamSpec("P")
R = TypeVar("R")
_SPANS = ("timeout", "schedule_to_start", "heartbeat", "priority")


def take_spans(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The options of an activity out of its arguments."""
    return {name: kwargs.pop(name) for name in _SPANS if name in kwargs}


class WorkflowReference(Generic[P, R]):
    """What a decorated workflow is to a type checker: arguments `P`, result `R`."""

    definition: WorkflowDefinition


class FunctionReference(Generic[P, R]):
    """What a decorated step or activity is to a type checker where it is given to the context: arguments
    `P`, result `R`. Called, a plain one says Any: an async workflow awaits it, all others have it at once."""


class RunInfo:
    """What a function may know of its run. Nothing here is recorded."""

    __slots__ = ("_run",)

    def __init__(self, run: FlowRun) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def name(self) -> str:
        """The name of the workflow."""
        return self._run.definition.name

    @property
    def version(self) -> str:
        """The version of the code that runs now."""
        return self._run.definition.version

    @property
    def attempt(self) -> int:
        return self._run.attempt

    @property
    def is_replaying(self) -> bool:
        """Whether the function is being led through what it did before. Never decide by it."""
        return self._run.is_replaying


class QuietLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that says each thing once: it is silent while the function is replayed."""

    def __init__(self, run: FlowRun) -> None:
        super().__init__(logging.getLogger(f"aether.workflow.{run.definition.name}"))
        self._run = run

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - its base calls it so
        run = self._run
        if run.is_replaying or run.reading or run.detached:
            return False
        return super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), "run_id": self._run.run_id}
        return msg, kwargs


class CallMaker:
    """What Context and BlockingContext share: everything that needs no waiting."""

    __slots__ = ("_info", "_log", "_run")

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._info: RunInfo | None = None
        self._log: QuietLog | None = None

    @property
    def info(self) -> RunInfo:
        """Run id, name, attempt, and whether this is a replay."""
        if self._info is None:
            self._info = RunInfo(self._run)
        return self._info

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that is silent in a replay, so that each line is written once. Not durable."""
        if self._log is None:
            self._log = QuietLog(self._run)
        return self._log

    def now(self) -> datetime:
        """The time, as the run knows it: when the last result was handed to the function. A replay sees
        the same. Two calls with nothing awaited between them give the same instant."""
        return _EPOCH + self._run.instant() * _MICROSECOND

    def random(self) -> float:
        """A number from 0 (included) to 1 (not), derived from run and branch: a replay draws the same."""
        return (int.from_bytes(self._run.drawn("random")[:8]) >> 11) / (1 << 53)

    def uuid(self) -> UUID:
        """A UUID, derived from run and branch: a replay draws the same."""
        return UUID(bytes=self._run.drawn("uuid"), version=4)

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Says what the run is about, for lists and the dashboard. It replaces what was said before, and
        is recorded with what the run does next, not on its own."""
        self._run.tell(StatusSet(status=encode_json(dict(status), "the status")))

    def set_attributes(self, **attributes: str) -> None:
        """Search attributes, under which the run can be found; recorded as `set_status` is. An empty text
        takes an attribute away."""
        self._run.tell(StatusSet(attributes={name: str(text) for name, text in attributes.items()}))

    def patched(self, name: str) -> bool:
        """Whether this run is to take the new way that `name` stands for: True for runs that get here
        for the first time with code that asks, False for those that passed here before it asked.
        Durable: the answer is recorded and stays the same for the run."""
        run = self._run
        known = run.notes.get(name)
        if known is None:
            known = run.note(f"patch: {name}", codec.encode(True), lambda: None) is not None
            run.notes[name] = known
        return known

    def compensate_with(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Registers what undoes a step. When the workflow fails or is cancelled, what was registered
        runs in reverse order, each as a durable step (or activity, if it is one). Registering is not
        durable of itself: a replay registers again. Nothing is compensated when a run moves elsewhere."""
        self._run.compensations.append(
            lambda: self._run.perform(self.compensation(function, args, kwargs))
        )

    def continue_as_new(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Ends this run well, and begins the next one of the same workflow with these arguments and an
        empty record. Durable: both happen in one commit. Code after it does not run, `finally` does."""
        raise ContinueAsNew(self._run.definition.signature.encode(args, kwargs))

    def on_query(self, name: str, handler: Callable[..., Any]) -> None:
        """Answers queries called `name` with what `handler` returns. It looks and changes nothing:
        it may make no durable call. Register at the start of the workflow."""
        self._run.handlers.on_query(name, handler)

    def on_update(
        self,
        name: str,
        handler: Callable[..., Any],
        *,
        validator: Callable[..., object] | None = None,
    ) -> None:
        """Handles updates called `name`: recorded requests, each answered with what `handler` returns or
        raises. The handler runs in a branch of its own and may make durable calls. `validator` sees the
        arguments first; what it raises refuses the update. Register at the start of the workflow."""
        self._run.handlers.on_update(name, handler, validator)

    # -- calls

    def step_call(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        retry: Retry | None,
        timeout: Span | None,
    ) -> StepCall:
        if name.__class__ is not str:
            raise Refused(
                Problem(
                    "step-name",
                    f"ctx.step was given {name!r} where the name of the step belongs",
                    fix='write the name first: `ctx.step("name", function, …)`',
                )
            )
        step = step_of(function)
        if step is not None:
            inputs = step.signature.encode(args, kwargs)
            span = step.timeout if timeout is None else micros(timeout, "timeout")
            return StepCall(
                name,
                line_of_caller(),
                inputs,
                step.function,
                args,
                kwargs,
                retry or step.retry,
                span,
            )
        return StepCall(
            name,
            line_of_caller(),
            encode_arguments(function, args, kwargs),
            function,
            args,
            kwargs,
            retry,
            0 if timeout is None else micros(timeout, "timeout"),
        )

    def timer_call(
        self, span: Span, seconds: float, minutes: float, hours: float, days: float
    ) -> TimerCall:
        total = micros(span)
        if seconds or minutes or hours or days:
            total += micros(seconds + minutes * 60 + hours * 3_600 + days * 86_400)
        return TimerCall(line_of_caller(), self._run.clock.now() + total)

    def instant_call(self, at: datetime) -> TimerCall:
        instant = (aware(at, "ctx.sleep_until") - _EPOCH) // _MICROSECOND
        return TimerCall(line_of_caller(), instant)

    def wait_call(self, signal: str, type: Any, timeout: Span | None) -> WaitCall:  # noqa: A002
        deadline = None
        if timeout is not None:
            deadline = self._run.clock.now() + micros(timeout, "timeout")
        return WaitCall(signal, line_of_caller(), type, deadline)

    def activity_call(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        retry: Retry | None,
        spans: Mapping[str, Any],
    ) -> ActivityCall:
        activity = activity_of(target)
        if activity is None:
            if not isinstance(target, str):
                raise Refused(
                    Problem(
                        "not-an-activity",
                        f"ctx.activity was given {target!r}, which is no activity",
                        fix="decorate it with `@app.activity`, or have it done here: "
                        '`ctx.step("name", function, …)`',
                    )
                )
            name = target
            if args:
                raise Refused(
                    Problem(
                        "unnamed-arguments",
                        f"the activity '{name}' is known by name only, and was given arguments by position",
                        fix="pass its arguments by name, or pass the decorated function itself",
                    )
                )
            inputs, options, hint = (
                codec.encode_inputs(kwargs),
                activity_options(retry, **spans),
                None,
            )
        else:
            name = activity.name
            inputs, hint = activity.signature.encode(args, kwargs), result_type(activity.function)
            options = activity.options
            given = {key: span for key, span in spans.items() if span is not None}
            if retry is not None or given:
                chosen = activity_options(retry, **spans)
                members = [key if key != "timeout" else "start_to_close" for key in given]
                if retry is not None:
                    members += ["attempts", "initial", "factor", "max", "jitter", "non_retryable"]
                options = msgspec.structs.replace(
                    options, **{member: getattr(chosen, member) for member in members}
                )
            if activity.limits:
                limits = wants_of(activity.limits, args, kwargs, inputs)
                options = msgspec.structs.replace(options, limits=limits)
        return ActivityCall(name, line_of_caller(), inputs, name, _encode(options), hint)

    def child_call(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> ChildCall:
        run_id: str | None = kwargs.pop("id", None)
        on_parent_end: str = kwargs.pop("on_parent_end", "cancel")
        timeout: Span | None = kwargs.pop("timeout", None)
        labels: Mapping[str, str] | None = kwargs.pop("labels", None)
        options = ChildOptions(
            on_parent_end=on_parent_end,
            timeout=micros(timeout, "timeout"),
            labels=labels_of(labels),
        )
        workflow = workflow_of(target) or self._run.runtime.workflow_of(target)
        template, hint = "", None
        if workflow is not None:
            name, inputs = workflow.name, workflow.signature.encode(args, kwargs)
            hint = result_type(workflow.function)
            if workflow.limits:
                limits = wants_of(workflow.limits, args, kwargs, inputs)
                options = msgspec.structs.replace(options, limits=limits)
        else:
            name = template = str(target)
            if args or not isinstance(target, str):
                raise Refused(
                    Problem(
                        "not-a-workflow",
                        f"ctx.child was given {target!r} and {len(args)} arguments by position, and no "
                        "workflow of that name runs here",
                        fix="pass a workflow of this application, or the name of a stored template and "
                        "its arguments by name",
                    )
                )
            inputs = codec.encode_inputs(kwargs)
        return ChildCall(
            name,
            line_of_caller(),
            inputs,
            run_id=run_id or "",
            function="" if template else name,
            template=template,
            options=_encode(options),
            type=hint,
        )

    def compensation(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> StepCall | ActivityCall:
        if activity_of(function) is not None:
            return self.activity_call(function, args, kwargs, None, {})
        step = step_of(function)
        name = step.name if step is not None else getattr(function, "__name__", "function")
        return self.step_call(f"compensate: {name}", function, args, kwargs, None, None)
