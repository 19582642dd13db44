"""Calls: the arguments a node or loop passes, against what the template and its executor declare."""

from __future__ import annotations

from ..document import ExecutorRef, Parameter, Path, Task, Values
from ..record import Field, Schema
from .context import Context, Entry, parameters_of
from .names import shown
from .types import fits, type_name
from .values import check_literal


def check_arguments(ctx: Context, arguments: Values | None, at: Path, target: Entry) -> None:
    """Names the template does not declare, and literals that do not fit what it declares."""
    for index, argument in enumerate(parameters_of(arguments)):
        declared = target.inputs.get(argument.name)
        if declared is None:
            if argument.name:
                _undeclared(ctx, argument.name, target, (*at, "parameters", index))
        elif declared.type or declared.enum:
            check_literal(ctx, argument.value, declared, (*at, "parameters", index, "value"))


def _undeclared(ctx: Context, name: str, target: Entry, path: Path) -> None:
    what = f"'{target.name}' declares no input '{shown(name)}'; the value is passed all the same"
    fix = ctx.report.speller.did_you_mean(
        name, target.inputs, f"declare it under the inputs of '{target.name}'"
    )
    ctx.report.warn("undeclared-argument", path, what, fix)


def check_executor(ctx: Context, executor: ExecutorRef, at: Path) -> None:
    kind = executor.type
    if not kind:
        ctx.report.missing(
            at,
            "type",
            "the executor has an empty type",
            "write the type of executor that does the work",
            "no-executor-type",
        )
        return
    known = ctx.known.executors
    if known is not None and kind not in known:
        what = (
            f"no worker serves the executor type '{shown(kind)}' yet; its tasks will wait for one"
        )
        fix = ctx.report.speller.did_you_mean(kind, known, "start a worker that serves it")
        ctx.report.warn_once("unknown-executor", kind, (*at, "type"), what, fix)


def schema_inputs(ctx: Context, executor: ExecutorRef | None) -> dict[str, Field] | None:
    """The closed inputs of the executor's schema by `spelled` name; None when it takes anything or is
    not known."""
    known = ctx.known.executors
    schema: Schema | None = known.get(executor.type) if known and executor else None
    if schema is None or schema.inputs is None:
        return None
    return {spelled(field.name): field for field in schema.inputs}


def spelled(name: str) -> str:
    """Declared inputs cannot have an underscore, arguments of functions no hyphen: they are the same."""
    return name.replace("_", "-")


def check_closed_inputs(ctx: Context, task: Task, at: Path) -> None:
    """Declared inputs of a task template or an inline node that its executor would refuse."""
    fields = schema_inputs(ctx, task.executor)
    if fields is not None:
        _check_given(ctx, task, parameters_of(task.inputs), fields, (*at, "inputs"))


def check_closed_call(
    ctx: Context, task: Task, arguments: Values | None, at: Path, *, open_ended: bool = False
) -> None:
    """One call of a task: what it passes must suit the executor, and nothing required is missing.
    `open_ended`: the call also passes names that are known only when it runs."""
    fields = schema_inputs(ctx, task.executor)
    if fields is None:
        return
    passed = parameters_of(arguments)
    declared = {parameter.name for parameter in parameters_of(task.inputs)}
    extra = tuple(argument for argument in passed if argument.name not in declared)
    _check_given(ctx, task, passed, fields, (*at, "arguments"), known_names=declared)
    if open_ended:
        return
    given = {spelled(name) for name in (*declared, *(argument.name for argument in extra))}
    for name, field in fields.items():
        if field.required and name not in given and task.executor is not None:
            what = f"the executor '{shown(task.executor.type)}' requires the input '{shown(name)}'"
            ctx.report.error("executor-input-missing", at, what, "pass it as an argument")


def _check_given(
    ctx: Context,
    task: Task,
    parameters: tuple[Parameter, ...],
    fields: dict[str, Field],
    at: Path,
    known_names: set[str] | None = None,
) -> None:
    executor = shown(task.executor.type if task.executor else "")
    for index, parameter in enumerate(parameters):
        here = (*at, "parameters", index)
        field = fields.get(spelled(parameter.name))
        if field is None:
            if parameter.name and parameter.name not in (known_names or ()):
                what = f"the executor '{executor}' knows no input '{shown(parameter.name)}'"
                fix = ctx.report.speller.did_you_mean(parameter.name, fields, "remove it")
                ctx.report.error("executor-input-unknown", here, what, fix)
            continue
        for member in ("value", "default"):
            value = getattr(parameter, member)
            if isinstance(value, str) and "{{" in value:
                continue
            if not fits(field.type, value):
                what = (
                    f"the executor '{executor}' takes '{shown(field.name)}' as {field.type},"
                    f" and this is {type_name(value)}"
                )
                ctx.report.error(
                    "type-mismatch", (*here, member), what, f"write a value of type {field.type}"
                )
