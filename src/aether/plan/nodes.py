"""Task runs come into being, are handed out, and end."""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush

from ..errors import InvalidExpression
from ..record import Phase, TaskRow
from .artifacts import bind_artifacts
from .binding import Plain, bind, merge
from .env import child_env
from .hooks import fire, fire_task_end
from .iteration import bind_iteration
from .limits import is_held, queue_up, stands_in_line
from .spec import NodeSpec
from .state import DEADLINE, LoopScope, Node, Scope, scope_text
from .turn import Turn

# Looking a phase up in its class runs Python code: the hot path has them at hand.
_CREATED, _READY, _RUNNING = Phase.CREATED, Phase.READY, Phase.RUNNING


def create_node(turn: Turn, parent: Scope, spec: NodeSpec, index: int) -> None:
    """One child of `parent`: skipped, opened if it is a container, else dispatched if it may be."""
    state = turn.state
    owner = parent.node
    row = TaskRow(
        ordinal=state.run.total,
        parent=owner.row.ordinal if owner else None,
        depth=owner.row.depth + 1 if owner else 0,
        scope=scope_text(owner, index) if owner else "",
        task_name=spec.name,
        template_name=spec.template,
        kind=spec.kind,
        executor=spec.executor,
        index=index,
        created_at=turn.at,
    )
    if spec.when is not None:
        reason = _reason_to_skip(turn, parent, spec, row)
        if reason:
            row.phase, row.message, row.finished_at = Phase.SKIPPED, reason, turn.at
            turn.create(row, parent)
            return
    begin_attempt(turn, turn.create(row, parent))


def begin_attempt(turn: Turn, node: Node) -> None:
    """Bind the inputs of this attempt and let it go: also called for each retry."""
    fault = _bind(turn, node) or bind_artifacts(turn, node)
    if fault:
        turn.end(node, Phase.ERROR, fault)
        fire_task_end(turn, node)
    elif node.spec.body is not None:
        turn.todo.append(turn.state.open_scope(node))
    elif node.spec.limits:
        queue_up(turn, node)
    else:
        dispatch_or_hold(turn, node)


def bind_again(turn: Turn, node: Node) -> str:
    """The inputs of something that is open already; answers what is wrong with them."""
    return _bind(turn, node) or bind_artifacts(turn, node)


def dispatch_or_hold(turn: Turn, node: Node) -> None:
    """To the broker if a slot is free and the run is not paused; else in line, as Created."""
    row = node.row
    if row.phase is not _CREATED:
        turn.move(node, _CREATED)  # its own slot counts as free
    if may_dispatch(turn):
        dispatch(turn, node)
    else:
        heappush(turn.state.held, row.ordinal)


def may_dispatch(turn: Turn) -> bool:
    state = turn.state
    run, limit = state.run, state.plan.parallelism
    if run.paused_at is not None or (run.slots is not None and is_held(run)):
        return False
    return not limit or state.active < limit


def release_held(turn: Turn) -> None:
    """Leaves that waited for a slot or for the end of a pause go now, oldest first."""
    held = turn.state.held
    while held and may_dispatch(turn):
        node = turn.state.nodes.get(heappop(held))
        if node is None or node.row.phase is not _CREATED or node.row.retry_at is not None:
            continue
        if not stands_in_line(node.row):
            dispatch(turn, node)


def dispatch(turn: Turn, node: Node) -> None:
    """To the broker: a new delivery, and the deadline of this attempt."""
    row = node.row
    members: dict[str, object] = {"delivery": row.delivery + 1, "ready_at": turn.at}
    if node.spec.timeout and row.deadline_at is None:
        members["deadline_at"] = turn.at + node.spec.timeout
        turn.wake_at(node, turn.at + node.spec.timeout, DEADLINE)
    turn.move(node, _READY, **members)
    turn.dispatch(node)
    _raise_to_ready(turn, node)


def started(turn: Turn, node: Node, worker: str) -> None:
    """A worker has this delivery: the leaf runs, and so do its ancestors and the run."""
    row = node.row
    members: dict[str, object] = {"worker": worker} if worker else {}
    if row.started_at is None:
        members["started_at"] = turn.at
    is_first = row.begun != row.attempt  # a resume, or another delivery, is no second start
    if is_first:
        members["begun"] = row.attempt
    turn.move(node, _RUNNING, **members)
    owner = node.parent.node
    while owner is not None and owner.row.phase is not _RUNNING:
        first = {"started_at": turn.at} if owner.row.started_at is None else {}
        turn.move(owner, _RUNNING, **first)
        owner = owner.parent.node
    run = turn.state.run
    if run.phase is _READY:
        turn.move_run(_RUNNING, started_at=turn.at)
        fire(turn, "onStart", None)
    if is_first:
        fire(turn, "onStart", node)


def _raise_to_ready(turn: Turn, node: Node) -> None:
    owner = node.parent.node
    while owner is not None and owner.row.phase is _CREATED:
        members: dict[str, object] = {"ready_at": turn.at}
        if owner.spec.timeout:
            members["deadline_at"] = turn.at + owner.spec.timeout
            turn.wake_at(owner, turn.at + owner.spec.timeout, DEADLINE)
        turn.move(owner, _READY, **members)
        owner = owner.parent.node
    if turn.state.run.phase is _CREATED:
        turn.move_run(_READY)


def _bind(turn: Turn, node: Node) -> str:
    """Store the node's inputs; answers what is wrong with them."""
    parent, binding, fault = node.parent, node.spec.binding, ""
    inputs: bytes | None
    if isinstance(parent, LoopScope):
        warn = partial(turn.warn, node.row.ordinal)
        inputs = bind_iteration(turn.state, parent, node.row.index, warn)
    elif not binding.varies:
        inputs = binding.encoded  # whatever there is to see
    else:
        warn = partial(turn.warn, node.row.ordinal)
        inputs, fault = bind(binding, child_env(turn.state, parent), warn)
    given = turn.state.given
    if given is not None and given[0] == (node.row.parent, node.row.scope, node.row.task_name):
        inputs = merge(inputs, given[1])
    if inputs is not None or node.row.inputs is not None:
        turn.set_task(node, inputs=inputs)
    return fault


def _reason_to_skip(turn: Turn, parent: Scope, spec: NodeSpec, row: TaskRow) -> str:
    """Why `when` skips this node; "" if it runs."""
    assert spec.when is not None
    try:
        verdict = spec.when.evaluate(Plain(child_env(turn.state, parent)))
    except InvalidExpression as exc:
        what = f"condition `{spec.when_text}` could not be evaluated: {exc.problems[0].what}"
        turn.warn(row.ordinal, what)
        return what
    if verdict is True or verdict == "true":
        return ""
    if verdict is False or verdict == "false":
        return f"condition `{spec.when_text}` is false"
    what = f"condition `{spec.when_text}` is neither true nor false"
    turn.warn(row.ordinal, what)
    return what
