"""The rules of loop and task templates."""

from __future__ import annotations

from typing import Any

from ..document import Loop, Task
from .calls import check_arguments, check_closed_call, check_closed_inputs, check_executor
from .context import Context, Entry, parameters_of
from .dag import unknown_template
from .expressions import (
    check_conditions,
    check_expression,
    check_list_source,
    check_placeholders,
    check_retry,
)
from .limits import check_limits
from .names import shown
from .sight import Sight
from .values import check_values

_ITERATION = frozenset({"loop_iter", "iterator"})
_END_WORDS = frozenset({"phase", "code", "msg", "outputs", "tasks"})
_SEEN_BY_LIMITS = frozenset({"inputs", "tasks", "loop_iter", "iterator"})
_NODE_ONLY = (
    ("template", "template"),
    ("template_ref", "templateRef"),
    ("arguments", "arguments"),
    ("dependencies", "dependencies"),
    ("when", "when"),
    ("continue_on", "continueOn"),
    ("hooks", "hooks"),
)


def check_task(ctx: Context, entry: Entry) -> None:
    task, at = entry.body, entry.at
    assert isinstance(task, Task), "dispatched by kind"
    ctx.members(task, at)
    for attribute, member in _NODE_ONLY:
        if getattr(task, attribute):
            what = f"'{member}' has no effect in a task template"
            fix = "move it to the nodes that use the template"
            ctx.report.warn("ignored-member", (*at, member), what, fix)
    if task.executor is not None:
        check_executor(ctx, task.executor, (*at, "executor"))
    elif not ctx.report.is_damaged((*at, "executor")):
        _no_executor(ctx, entry)
    check_values(ctx, task.outputs, (*at, "outputs"), Sight(ctx))
    if task.retry is not None:
        check_retry(ctx, task.retry, (*at, "retry"), Sight(ctx, roots=_END_WORDS))
    if task.limits:
        check_limits(ctx, task.limits, at, Sight(ctx, roots=_SEEN_BY_LIMITS))
    if task.phase_conditions is not None:
        own = Sight(ctx, roots=_END_WORDS)
        check_conditions(ctx, task.phase_conditions, (*at, "phaseConditions"), own)
    if ctx.known.executors:
        check_closed_inputs(ctx, task, at)


def _no_executor(ctx: Context, entry: Entry) -> None:
    what = f"the task template '{shown(entry.name)}' has no executor, so nothing can run it"
    fix = "add 'executor: {type: ...}'"
    if "work" in entry.roles:
        ctx.report.error("no-executor", entry.at, what, fix)
    else:
        ctx.report.warn("no-executor", entry.at, what, fix)


def check_loop(ctx: Context, entry: Entry) -> None:
    loop, at = entry.body, entry.at
    assert isinstance(loop, Loop), "dispatched by kind"
    ctx.members(loop, at)
    if loop.aggregate is not None:
        ctx.members(loop.aggregate, (*at, "aggregate"))
    _check_mode(ctx, entry, loop)
    _check_body(ctx, entry, loop)
    own = Sight(ctx, inputs=entry, roots=_ITERATION)
    if loop.items_from:
        check_list_source(ctx, loop.items_from, (*at, "itemsFrom"), Sight(ctx, inputs=entry))
    if loop.items:
        outside = Sight(ctx, inputs=entry)
        check_placeholders(ctx, loop.items, (*at, "items"), outside, frozenset())
    if loop.repeat_condition:
        finished = Sight(ctx, inputs=entry, roots=_ITERATION)
        check_expression(ctx, loop.repeat_condition, (*at, "repeatCondition"), finished)
    check_values(ctx, loop.arguments, (*at, "arguments"), own, bare=item_members(loop))
    check_values(ctx, loop.outputs, (*at, "outputs"), own)
    if loop.retry is not None:
        check_retry(ctx, loop.retry, (*at, "retry"), Sight(ctx, roots=_END_WORDS | _ITERATION))
    if loop.phase_conditions is not None:
        ends = Sight(ctx, inputs=entry, roots=_END_WORDS)
        check_conditions(ctx, loop.phase_conditions, (*at, "phaseConditions"), ends)


def item_members(loop: Loop) -> frozenset[str] | None:
    """The names that object items contribute; None when the items are known only at run time."""
    if loop.items_from:
        return None
    names: set[str] = set()
    for item in loop.items:
        if isinstance(item, dict):
            names.update(item)
    return frozenset(names)


def _check_mode(ctx: Context, entry: Entry, loop: Loop) -> None:
    at = entry.at
    modes: list[tuple[str, Any]] = [
        ("items", loop.items),
        ("itemsFrom", loop.items_from),
        ("repeatCondition", loop.repeat_condition),
    ]
    given = [member for member, value in modes if value]
    if len(given) != 1:
        if any(ctx.report.is_damaged((*at, member)) for member, _ in modes):
            return
        what = f"the loop '{shown(entry.name)}' has "
        what += (
            " and ".join(f"'{member}'" for member in given) if given else "nothing to go through"
        )
        fix = "give exactly one of items (not empty), itemsFrom and repeatCondition"
        ctx.report.error("loop-mode", at, what, fix)
    if not loop.repeat_condition:
        return
    if loop.max_iterations <= 0:
        what = "'repeatCondition' needs a positive maxIterations, so that the loop ends"
        fix = "add for example 'maxIterations: 10'"
        ctx.report.missing(at, "maxIterations", what, fix, "repeat-without-limit")
    if loop.concurrency > 0:
        what = "'repeatCondition' runs one iteration at a time, so concurrency cannot be set"
        ctx.report.error("repeat-concurrency", (*at, "concurrency"), what, "remove concurrency")


def _check_body(ctx: Context, entry: Entry, loop: Loop) -> None:
    at = entry.at
    if loop.body_ref is not None:
        if loop.body:
            what = "'body' and 'bodyRef' are both given"
            ctx.report.error("reference-conflict", (*at, "bodyRef"), what, "remove one of the two")
        return
    if not loop.body:
        if not ctx.report.is_damaged((*at, "bodyRef")):
            what = f"the loop '{shown(entry.name)}' has no body"
            ctx.report.missing(at, "body", what, "name the template to repeat", "no-body")
        return
    target = ctx.templates.get(loop.body)
    if target is None:
        unknown_template(ctx, loop.body, (*at, "body"))
        return
    if loop.arguments is not None:
        check_arguments(ctx, loop.arguments, (*at, "arguments"), target)
    if isinstance(target.body, Task) and ctx.known.executors:
        names = item_members(loop)
        open_ended = names is None or bool(names)
        check_closed_call(ctx, target.body, loop.arguments, at, open_ended=open_ended)


def passed_names(loop: Loop) -> set[str] | None:
    """What an iteration hands to its body, by name; None when that is known only at run time."""
    members = item_members(loop)
    if members is None:
        return None
    own = {argument.name for argument in parameters_of(loop.arguments)}
    return own | members | {"loop_iter.index", "loop_iter.item"}
