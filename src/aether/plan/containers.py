"""What DAGs and loops share: how a container ends, is stopped, and what was never reached."""

from __future__ import annotations

from functools import partial

from ..record import Phase
from .env import ContainerEnv
from .hooks import fire
from .leaf import judge, try_again
from .spec import Conditions
from .state import DagScope, LoopScope, Node, Scope
from .turn import Turn


def conclude(
    turn: Turn,
    node: Node,
    scope: DagScope | LoopScope,
    conditions: Conditions | None,
    outputs: bytes | None,
    artifacts: bytes | None = None,
) -> None:
    """Every child is over: the container's phase follows from theirs."""
    phase = scope.verdict()
    message = _message(scope, phase)
    if conditions is not None and phase is not Phase.CANCELLED:
        env = ContainerEnv(scope, phase, message, outputs)
        phase = judge(conditions, phase, env, partial(turn.warn, node.row.ordinal))
    members: dict[str, object] = {}
    if outputs is not None:
        members["outputs"] = outputs
    if artifacts is not None:
        members["artifacts_out"] = artifacts
    omitted = never_reached(scope)
    if omitted:
        members["omitted"] = omitted
    turn.end(node, phase, message, **members)


def fail_container(turn: Turn, node: Node, message: str) -> None:
    """The container itself cannot go on, whatever its children say."""
    scope = node.scope
    if scope is not None:
        scope.stopped = True
        stop_below(turn, scope, Phase.CANCELLED, message)
    turn.end(node, Phase.ERROR, message)


def overdue_container(turn: Turn, node: Node) -> None:
    """Its time is up: all below end as Timeout, and its own retry and continueOn apply."""
    seconds = node.spec.timeout / 1_000_000
    message = f"not finished within {seconds:g}s"
    scope = node.scope
    if scope is None:
        return
    scope.stopped = True
    stop_below(turn, scope, Phase.TIMEOUT, f"'{node.row.task_name}' was {message}")
    omitted = never_reached(scope)
    if try_again(turn, node, Phase.TIMEOUT, 4, message, None, "timeout"):
        return
    turn.end(node, Phase.TIMEOUT, message, omitted=omitted)


def stop_below(turn: Turn, scope: Scope, phase: Phase, reason: str, *, hooks: bool = False) -> None:
    """End every open task run below `scope`, innermost first, telling the brokers."""
    for node in open_children(scope):
        inner = node.scope
        members: dict[str, object] = {}
        if inner is not None:
            inner.stopped = True
            stop_below(turn, inner, phase, reason, hooks=hooks)
            omitted = never_reached(inner)
            if omitted:
                members["omitted"] = omitted
        elif node.row.phase in (Phase.READY, Phase.RUNNING, Phase.SUSPENDED):
            turn.cancel(node, reason)
        turn.end(node, phase, reason, **members)
        if hooks and isinstance(scope, DagScope):
            if node.spec.hooks or turn.state.plan.notify_all:
                fire(turn, "onCancel", node)
                fire(turn, "onExit", node)


def stop_early(turn: Turn, scope: DagScope | LoopScope) -> None:
    """Fail-fast: the verdict is clear, so what still runs is cancelled."""
    if scope.open:
        stop_below(turn, scope, Phase.CANCELLED, f"stopped because '{scope.failures[0][1]}' failed")


def open_children(scope: Scope) -> list[Node]:
    if isinstance(scope, DagScope):
        children = scope.children.values()
    elif isinstance(scope, LoopScope):
        children = scope.live.values()
    else:
        return [scope.root] if scope.root and not scope.root.row.phase.is_terminal else []
    return [child for child in children if not child.row.phase.is_terminal]


def never_reached(scope: DagScope | LoopScope) -> tuple[tuple[str, str], ...]:
    """Names of nodes without a task run, each with the reason."""
    if not isinstance(scope, DagScope) or len(scope.children) == len(scope.spec.nodes):
        return ()
    return tuple(
        (spec.name, _why_not(scope, spec.index))
        for spec in scope.spec.nodes
        if spec.index not in scope.children
    )


def _why_not(scope: DagScope, index: int) -> str:
    if scope.spec.waiting[index] < 0:
        return "it is not downstream of the entrypoints"
    for dependency in scope.spec.nodes[index].dependencies:
        name = scope.spec.nodes[dependency].name
        child = scope.children.get(dependency)
        if child is None:
            return f"its dependency '{name}' was not reached"
        if not child.spec.tolerance.tolerates(child.row.phase):
            return f"its dependency '{name}' ended {child.row.phase}"
    return "its scope was stopped first"


def _message(scope: DagScope | LoopScope, phase: Phase) -> str:
    if phase is Phase.SUCCEEDED:
        return ""
    if phase is Phase.CANCELLED:
        return "cancelled"
    count = scope.failed + scope.lost
    names = ", ".join(dict.fromkeys(name for _, name in scope.failures))
    more = ", …" if count > len(scope.failures) else ""
    what = "failed" if phase is Phase.FAILED else "ended in error"
    return f"{count} task{'s' if count != 1 else ''} {what}: {names}{more}"
