"""The rules of a workflow spec: its templates, what leads where, and how deep it goes."""

from __future__ import annotations

from ..document import Dag, Loop, Path, Task, TemplateRef, WorkflowSpec, WorkflowTemplate
from .calls import check_closed_call
from .context import Context, Entry, parameters_of
from .dag import check_dag, check_hooks
from .limits import check_limits
from .loop import check_loop, check_task, passed_names
from .names import is_name, shown
from .sight import Sight
from .values import bad_name, check_values

_KINDS = ("task", "dag", "loop")
_NO_FIX = "add a template under 'templates'"


def check_spec(ctx: Context, spec: WorkflowSpec, at: Path) -> None:
    ctx.spec, ctx.at = spec, at
    ctx.arguments = frozenset(argument.name for argument in parameters_of(spec.arguments))
    ctx.members(spec, at)
    check_values(ctx, spec.arguments, (*at, "arguments"), Sight(ctx))
    if spec.limits:
        check_limits(ctx, spec.limits, at, Sight(ctx))
    if spec.workflow_template_ref is not None:
        _check_reference(ctx, spec, at)
        return
    if not spec.templates:
        what = "the workflow has no templates"
        ctx.report.missing(at, "templates", what, _NO_FIX, "no-templates")
    collect(ctx, spec, at)
    entry = _entrypoint(ctx, spec, at)
    if spec.hooks is not None:
        check_hooks(ctx, spec.hooks, (*at, "hooks"), "workflow")
    _note_calls(ctx, entry)
    for template in ctx.entries:
        _check_template(ctx, template)
    if entry is not None:
        check_nesting(ctx, spec, entry)
        _check_unused(ctx, entry)
        if isinstance(entry.body, Task) and ctx.known.executors:
            check_closed_call(ctx, entry.body, None, entry.at)


def _check_reference(ctx: Context, spec: WorkflowSpec, at: Path) -> None:
    for member, value in (("entrypoint", spec.entrypoint), ("templates", spec.templates)):
        if value:
            what = f"'{member}' and 'workflowTemplateRef' are both given"
            ctx.report.error("reference-conflict", (*at, member), what, "remove one of the two")
    if spec.hooks is not None:
        collect(ctx, spec, at)
        if spec.templates or ctx.known.templates is None:
            return
        referenced = stored(ctx, spec.workflow_template_ref)
        if referenced is not None:
            collect(ctx, referenced.spec, ())
            check_hooks(ctx, spec.hooks, (*at, "hooks"), "workflow")


def stored(ctx: Context, ref: TemplateRef | None) -> WorkflowTemplate | None:
    if ref is None or ctx.known.templates is None:
        return None
    return ctx.known.templates.get((ref.name, ref.version))


def collect(ctx: Context, spec: WorkflowSpec, at: Path) -> None:
    """Every template with exactly one kind, and the first of each name."""
    for index, template in enumerate(spec.templates):
        here = (*at, "templates", index)
        kinds = [kind for kind in _KINDS if getattr(template, kind) is not None]
        if len(kinds) != 1:
            if any(ctx.report.is_damaged((*here, kind)) for kind in _KINDS):
                continue
            what = "this template holds " + (" and ".join(kinds) if kinds else "nothing")
            fix = "give it exactly one of task, dag and loop"
            ctx.report.error("template-kind", here, what, fix)
        for kind in kinds:
            _collect_one(ctx, Entry(kind, getattr(template, kind), (*here, kind)))


def _collect_one(ctx: Context, entry: Entry) -> None:
    name = entry.name
    ctx.entries.append(entry)
    if not name:
        ctx.report.missing(entry.at, "name", "this template has no name", "give it a name")
        return
    if not is_name(name):
        bad_name(ctx, "template", name, (*entry.at, "name"))
    if name in ctx.templates:
        what = f"there are two templates named '{shown(name)}'"
        ctx.report.error("duplicate-template", (*entry.at, "name"), what, "rename one of them")
        return
    ctx.templates[name] = entry


def _entrypoint(ctx: Context, spec: WorkflowSpec, at: Path) -> Entry | None:
    if not spec.entrypoint:
        what = "'entrypoint' is missing: nothing says which template to start with"
        fix = ", ".join(f"'{shown(name)}'" for name in list(ctx.templates)[:5])
        ctx.report.missing(at, "entrypoint", what, f"name a template: {fix}" if fix else _NO_FIX)
        return None
    entry = ctx.templates.get(spec.entrypoint)
    if entry is None and spec.templates:
        fix = ctx.report.speller.did_you_mean(
            spec.entrypoint, ctx.templates, "name one of the templates"
        )
        what = f"the entrypoint '{shown(spec.entrypoint)}' names no template"
        ctx.report.error("unknown-entrypoint", (*at, "entrypoint"), what, fix)
    return entry


def _check_template(ctx: Context, entry: Entry) -> None:
    inputs = entry.body.inputs
    if inputs is not None:
        check_values(ctx, inputs, (*entry.at, "inputs"), Sight(ctx), strict_names=True)
    match entry.kind:
        case "dag":
            check_dag(ctx, entry)
        case "loop":
            check_loop(ctx, entry)
        case _:
            check_task(ctx, entry)


def _note_calls(ctx: Context, entry: Entry | None) -> None:
    """Who is used for work, and which names callers pass."""
    if entry is not None:
        entry.roles.add("work")
    for caller in ctx.entries:
        body = caller.body
        if isinstance(body, Dag):
            for node in body.tasks:
                target = ctx.templates.get(node.template) if node.template else None
                if target is not None:
                    target.roles.add("work")
                    if target.passed is not None and node.arguments is not None:
                        target.passed.update(p.name for p in node.arguments.parameters)
        elif isinstance(body, Loop) and (target := ctx.templates.get(body.body)):
            target.roles.add("work")
            names = passed_names(body)
            if names is None:
                target.passed = None
            elif target.passed is not None:
                target.passed |= names


def called(entry: Entry) -> dict[str, Path]:
    """The templates that `entry` runs directly, each with a place that says so."""
    body = entry.body
    found: dict[str, Path] = {}
    if isinstance(body, Dag):
        for index, node in enumerate(body.tasks):
            if node.template and node.template_ref is None:
                found.setdefault(node.template, (*entry.at, "tasks", index, "template"))
    elif isinstance(body, Loop) and body.body:
        found[body.body] = (*entry.at, "body")
    return found


def nesting_limit(spec: WorkflowSpec) -> int:
    """3 when absent; what is negative or above 10 counts as 10."""
    depth = spec.max_nested_depth
    return depth if 1 <= depth <= 10 else 10 if depth else 3


def check_nesting(ctx: Context, spec: WorkflowSpec, entry: Entry) -> None:
    """The entry is at depth 0; every node and every loop body is one deeper."""
    limit = nesting_limit(spec)
    calls: dict[str, dict[str, Path]] = {}
    level: dict[str, tuple[str, ...]] = {entry.name: (entry.name,)}
    for _ in range(limit):
        below: dict[str, tuple[str, ...]] = {}
        for name, way in level.items():
            if name not in calls:
                calls[name] = called(ctx.templates[name])
            for inner in calls[name]:
                if inner in ctx.templates and inner not in below:
                    below[inner] = (*way, inner)
        level = below
    for name, way in level.items():
        container = ctx.templates[name]
        if _has_children(container):
            _too_deep(ctx, container, way, limit)


def _has_children(entry: Entry) -> bool:
    body = entry.body
    return (
        bool(body.tasks)
        if isinstance(body, Dag)
        else isinstance(body, Loop) and bool(body.body or body.body_ref)
    )


def _too_deep(ctx: Context, entry: Entry, way: tuple[str, ...], limit: int) -> None:
    trail = " → ".join(shown(name) for name in way)
    member = "tasks" if entry.kind == "dag" else "body"
    if len(set(way)) < len(way):
        what = f"the templates {trail} contain themselves, which has no end"
        fix = "break the circle; a loop template repeats work"
    else:
        what = f"{trail} → … is nested deeper than {limit}"
        fix = "flatten the templates, or raise spec.maxNestedDepth (at most 10)"
    ctx.report.error("nesting-too-deep", (*entry.at, member), what, fix)


def _check_unused(ctx: Context, entry: Entry) -> None:
    reached = {entry.name}
    waiting = [entry]
    while waiting:
        for name in called(waiting.pop()):
            target = ctx.templates.get(name)
            if target is not None and name not in reached:
                reached.add(name)
                waiting.append(target)
    for template in ctx.templates.values():
        if template.name not in reached and "hook" not in template.roles:
            what = f"nothing leads to the template '{template.name}'"
            ctx.report.warn("unused-template", template.at, what, "use it or remove it")
