"""The rules of DAGs and their nodes."""

from __future__ import annotations

from ..document import Dag, Hooks, Path, PhaseConditions, Task
from .calls import check_arguments, check_closed_call, check_closed_inputs, check_executor
from .context import Context, Entry
from .expressions import check_conditions, check_expression, check_retry
from .limits import check_limits, refuse_limits
from .names import is_name, shown
from .sight import Siblings, Sight
from .values import bad_name, check_values

_NO_CONDITIONS = PhaseConditions()
_END_WORDS = frozenset({"phase", "code", "msg", "outputs"})
_SEEN_BY_LIMITS = frozenset({"inputs", "tasks", "loop_iter", "iterator"})
HOOKS = tuple(zip(Hooks.__struct_fields__, Hooks.__struct_encode_fields__, strict=True))
_UNUSED_WITH_TEMPLATE = (
    ("executor", "executor"),
    ("inputs", "inputs"),
    ("outputs", "outputs"),
    ("resources", "resources"),
)


def check_dag(ctx: Context, entry: Entry) -> None:
    dag = entry.body
    assert isinstance(dag, Dag), "dispatched by kind"
    at = entry.at
    ctx.members(dag, at)
    siblings = Siblings(ctx, dag)
    inside = Sight(ctx, inputs=entry, siblings=siblings)
    check_values(ctx, dag.outputs, (*at, "outputs"), inside)
    if dag.phase_conditions is not None:
        own = Sight(ctx, inputs=entry, siblings=siblings, roots=_END_WORDS)
        check_conditions(ctx, dag.phase_conditions, (*at, "phaseConditions"), own)
    if not dag.tasks:
        ctx.report.missing(
            at, "tasks", f"the DAG '{shown(entry.name)}' has no tasks", "add a task", "no-tasks"
        )
        return
    names: set[str] = set()
    for index, node in enumerate(dag.tasks):
        here = (*at, "tasks", index)
        _check_name(ctx, node, names, here)
        _check_node(ctx, node, here, Sight(ctx, inputs=entry, siblings=siblings, node=index))
        if node.dependencies:
            _check_dependencies(ctx, node, siblings, here)
    _check_cycles(ctx, dag, siblings, at)
    if dag.entrypoints is not None:
        _check_entrypoints(ctx, dag, siblings, at)


def _check_name(ctx: Context, node: Task, names: set[str], at: Path) -> None:
    name = node.name
    if not name:
        ctx.report.missing(at, "name", "this node has no name", "give it a name")
    elif name in names:
        what = f"there are two nodes named '{shown(name)}'"
        ctx.report.error("duplicate-node", (*at, "name"), what, "rename one of them")
    elif not is_name(name):
        bad_name(ctx, "node", name, (*at, "name"))
    names.add(name)


def _check_node(ctx: Context, node: Task, at: Path, sight: Sight) -> None:
    if node.timeout:
        ctx.members(node, at)
    if node.when:
        check_expression(ctx, node.when, (*at, "when"), sight)
    if node.arguments is not None:
        check_values(ctx, node.arguments, (*at, "arguments"), sight)
    if node.retry is not None:
        check_retry(ctx, node.retry, (*at, "retry"), Sight(ctx, roots=_END_WORDS))
    if node.hooks is not None:
        check_hooks(ctx, node.hooks, (*at, "hooks"), f"node '{shown(node.name)}'")
    if node.limits:
        _check_limits(ctx, node, at)
    if node.template_ref is not None:
        _check_referring(ctx, node, at)
    elif node.template:
        _check_calling(ctx, node, at)
    else:
        _check_inline(ctx, node, at, sight)


def _check_limits(ctx: Context, node: Task, at: Path) -> None:
    """Their keys may also name the inputs of the task itself, which the node need not know."""
    check_limits(ctx, node.limits, at, Sight(ctx, roots=_SEEN_BY_LIMITS))
    target = ctx.templates.get(node.template) if node.template else None
    if node.template_ref is not None:
        refuse_limits(ctx, "a stored template", at)
    elif target is not None and target.kind != "task":
        refuse_limits(ctx, f"a {target.kind}", at)


def _check_referring(ctx: Context, node: Task, at: Path) -> None:
    if node.template:
        what = "'template' and 'templateRef' are both given"
        ctx.report.error("reference-conflict", (*at, "templateRef"), what, "remove one of the two")
    _ignore(ctx, node, at, _UNUSED_WITH_TEMPLATE, "the node runs a stored template")


def _check_calling(ctx: Context, node: Task, at: Path) -> None:
    target = ctx.templates.get(node.template)
    if target is None:
        unknown_template(ctx, node.template, (*at, "template"))
        return
    if node.phase_conditions is not None and node.phase_conditions != _NO_CONDITIONS:
        if target.kind == "task":
            _ignore(
                ctx,
                node,
                at,
                (("phase_conditions", "phaseConditions"),),
                "the node runs a template, which has its own",
            )
        else:
            what = f"the template '{node.template}' is a {target.kind}, which has its own"
            fix = f"move phaseConditions into the {target.kind} '{node.template}'"
            ctx.report.error("phase-conditions-on-container", (*at, "phaseConditions"), what, fix)
    if node.executor or node.inputs or node.outputs or node.resources:
        _ignore(ctx, node, at, _UNUSED_WITH_TEMPLATE, "the node runs a template")
    if node.arguments is not None:
        check_arguments(ctx, node.arguments, (*at, "arguments"), target)
    if isinstance(target.body, Task) and ctx.known.executors:
        check_closed_call(ctx, target.body, node.arguments, at)


def _check_inline(ctx: Context, node: Task, at: Path, sight: Sight) -> None:
    if node.executor is None:
        for member in ("template", "templateRef"):
            if ctx.report.is_damaged((*at, member)):
                return
        ctx.report.missing(
            at,
            "executor",
            f"the node '{shown(node.name)}' has neither a template nor an executor",
            "add 'template: ...' or 'executor: {type: ...}'",
            "node-without-work",
        )
        return
    check_executor(ctx, node.executor, (*at, "executor"))
    check_values(ctx, node.inputs, (*at, "inputs"), sight)
    check_values(ctx, node.outputs, (*at, "outputs"), Sight(ctx))
    if node.phase_conditions is not None:
        own = Sight(ctx, roots=_END_WORDS)
        check_conditions(ctx, node.phase_conditions, (*at, "phaseConditions"), own)
    if ctx.known.executors:
        check_closed_inputs(ctx, node, at)
        check_closed_call(ctx, node, node.arguments, at)


def _ignore(
    ctx: Context, node: Task, at: Path, members: tuple[tuple[str, str], ...], because: str
) -> None:
    for attribute, member in members:
        if getattr(node, attribute) is not None:
            what = f"'{member}' has no effect here: {because}"
            ctx.report.warn("ignored-member", (*at, member), what, "remove it")


def unknown_template(ctx: Context, name: str, path: Path) -> None:
    fix = ctx.report.speller.did_you_mean(name, ctx.templates, "add a template of that name")
    what = f"there is no template '{shown(name)}'"
    ctx.report.error("unknown-template", path, what, fix)


def check_hooks(ctx: Context, hooks: Hooks, at: Path, of: str) -> None:
    for attribute, member in HOOKS:
        hook = getattr(hooks, attribute)
        if hook is None or not hook.template:
            continue
        target = ctx.templates.get(hook.template)
        path = (*at, member, "template")
        if target is None:
            fix = ctx.report.speller.did_you_mean(
                hook.template, ctx.templates, "add a task template of that name"
            )
            what = f"{member} of the {of}: there is no template '{shown(hook.template)}'"
            ctx.report.error("unknown-hook-template", path, what, fix)
        elif target.kind != "task":
            what = (
                f"{member} of the {of}: '{shown(hook.template)}' is a {target.kind};"
                " it must be a task template"
            )
            ctx.report.error("hook-not-task", path, what, "name a template that holds a task")
        else:
            target.roles.add("hook")


def _check_dependencies(ctx: Context, node: Task, siblings: Siblings, at: Path) -> None:
    index = siblings.index
    for place, name in enumerate(node.dependencies):
        if name not in index:
            path = (*at, "dependencies", place)
            fix = ctx.report.speller.did_you_mean(name, index, "name a node of the same DAG")
            what = f"'{shown(node.name)}' depends on '{shown(name)}', which does not exist"
            ctx.report.error("unknown-dependency", path, what, fix)
    if len(node.dependencies) > 1 and len(set(node.dependencies)) < len(node.dependencies):
        seen: set[str] = set()
        for place, name in enumerate(node.dependencies):
            if name in seen:
                what = f"'{shown(node.name)}' lists the dependency '{shown(name)}' twice"
                path = (*at, "dependencies", place)
                ctx.report.warn("duplicate-dependency", path, what, "remove one of them")
            seen.add(name)


def _check_cycles(ctx: Context, dag: Dag, siblings: Siblings, at: Path) -> None:
    """Takes away what waits for nothing until only circles, and what waits for them, remain."""
    index = siblings.index
    waiting: list[set[int]] = [
        {index[name] for name in node.dependencies if name in index} for node in dag.tasks
    ]
    followers: list[list[int]] = [[] for _ in waiting]
    for position, above in enumerate(waiting):
        for other in above:
            followers[other].append(position)
    ready = [position for position, above in enumerate(waiting) if not above]
    while ready:
        here = ready.pop()
        for follower in followers[here]:
            waiting[follower].discard(here)
            if not waiting[follower]:
                ready.append(follower)
    seen: set[int] = set()
    for start, above in enumerate(waiting):
        if above and start not in seen:
            _follow(ctx, dag, waiting, seen, start, at)


def _follow(
    ctx: Context, dag: Dag, waiting: list[set[int]], seen: set[int], start: int, at: Path
) -> None:
    trail: list[int] = []
    position = start
    while position not in seen:
        seen.add(position)
        trail.append(position)
        position = min(waiting[position])
    if position not in trail:
        return
    circle = trail[trail.index(position) :]
    first = circle.index(min(circle))
    circle = circle[first:] + circle[:first]
    names = [shown(dag.tasks[member].name) for member in circle]
    if len(names) > 8:
        names = [*names[:4], "…", *names[-3:]]
    way = " → ".join([*names, names[0]])
    what = (
        f"the task '{names[0]}' waits for itself"
        if len(circle) == 1
        else f"these tasks wait for each other: {way}"
    )
    fix = "remove one of the dependencies, or use a loop template to repeat work"
    ctx.report.error("dag-cycle", (*at, "tasks", circle[0], "dependencies"), what, fix)


def _check_entrypoints(ctx: Context, dag: Dag, siblings: Siblings, at: Path) -> None:
    given = dag.entrypoints
    assert given is not None, "the caller looked"
    path = (*at, "entrypoints")
    names = (given,) if isinstance(given, str) else given
    if not names or given == "":
        what = "'entrypoints' is empty, so nothing would run"
        ctx.report.error("empty-entrypoints", path, what, "name a node, or remove 'entrypoints'")
        return
    index, starts = siblings.index, []
    for place, name in enumerate(names):
        if name in index:
            starts.append(index[name])
            continue
        fix = ctx.report.speller.did_you_mean(name, index, "name a node of this DAG")
        here = path if isinstance(given, str) else (*path, place)
        what = f"the entrypoint '{shown(name)}' is no node of this DAG"
        ctx.report.error("unknown-entrypoint-node", here, what, fix)
    if len(starts) == len(names):
        _check_reach(ctx, dag, siblings, starts, at)


def _check_reach(ctx: Context, dag: Dag, siblings: Siblings, starts: list[int], at: Path) -> None:
    """Nodes downstream of the entrypoints that also wait for one that is not."""
    index = siblings.index
    followers: list[list[int]] = [[] for _ in dag.tasks]
    for position, node in enumerate(dag.tasks):
        for name in node.dependencies:
            if (other := index.get(name)) is not None:
                followers[other].append(position)
    reached, waiting = set(starts), list(starts)
    while waiting:
        for follower in followers[waiting.pop()]:
            if follower not in reached:
                reached.add(follower)
                waiting.append(follower)
    for position in sorted(reached):
        for place, name in enumerate(dag.tasks[position].dependencies):
            if (other := index.get(name)) is not None and other not in reached:
                what = (
                    f"'{dag.tasks[position].name}' waits for '{name}', which 'entrypoints' leaves"
                    " out: it is omitted"
                )
                path = (*at, "tasks", position, "dependencies", place)
                fix = f"add '{name}' to 'entrypoints', or remove the dependency"
                ctx.report.warn("node-never-runs", path, what, fix)
