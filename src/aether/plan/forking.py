"""How a fork begins: with rows that another run left, and the decision that goes on from them."""

from __future__ import annotations

from copy import copy

from ..record import Phase, RunRows, patch_task
from .containers import fail_container
from .events import RunForked
from .hooks import fire, fire_task_end
from .limits import hold_run
from .nodes import bind_again, create_node
from .state import State
from .turn import Turn


def begin_fork(state: State, event: RunForked) -> Turn:
    """The turn in which the fork comes into being; the event stays as it is: it may be decided again."""
    run = copy(event.run)
    tasks = {row.ordinal: copy(row) for row in event.tasks}
    for patch in event.patches:
        patch_task(tasks[patch.ordinal], patch)
    run.total = len(tasks)
    run.done = sum(row.phase.is_terminal for row in tasks.values())
    state.take_up(RunRows(run, tasks))
    turn = Turn(state, event.at, fresh_run=True)
    turn.begin_fork(event.cut, [copy(patch) for patch in event.patches])
    return turn


def forked(turn: Turn, event: RunForked) -> None:
    """A run of its own, with a deadline of its own, and hooks that fire for it as for any other."""
    state = turn.state
    if not hold_run(turn):
        turn.set_run(deadline_at=turn.at + state.plan.timeout)
        if state.root.root is None:
            create_node(turn, state.root, state.plan.entry, 0)
    if state.root.root is None:
        return
    if any(node.row.phase is Phase.SUSPENDED for node in state.nodes.values()):
        turn.move_run(Phase.READY)
        turn.move_run(Phase.RUNNING, started_at=turn.at)
        fire(turn, "onStart", None)
    if event.binds:
        _bind_anew(turn)


def _bind_anew(turn: Turn) -> None:
    """Containers come before what they contain."""
    nodes = turn.state.nodes
    for ordinal in sorted(nodes):
        node = nodes.get(ordinal)
        if node is None or node.row.phase is Phase.SUSPENDED or node.row.retry_at is not None:
            continue  # it ended with its container, waits with what it has, or is bound at its retry
        fault = bind_again(turn, node)
        if not fault:
            continue
        if node.scope is not None:
            fail_container(turn, node, fault)
        else:
            turn.end(node, Phase.ERROR, fault)
            fire_task_end(turn, node)
