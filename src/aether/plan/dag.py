"""DAGs: create what has become eligible, and conclude when nothing is left."""

from __future__ import annotations

from functools import partial
from heapq import heappop

from .artifacts import container_artifacts
from .containers import conclude, stop_early
from .nodes import create_node
from .outputs import dag_outputs
from .state import DagScope
from .turn import NEW_NODES, Turn


def advance_dag(turn: Turn, scope: DagScope) -> None:
    node = scope.node
    if node is None or node.scope is not scope or node.row.phase.is_terminal:
        return
    if scope.stopped:
        stop_early(turn, scope)
    else:
        _create_eligible(turn, scope)
    if scope.open or (not scope.stopped and scope.next_eligible()):
        return
    outputs = None
    if scope.spec.outputs or scope.spec.passes_on:
        # Of a DAG that did not succeed nobody expects outputs: what is missing is no news.
        failed = scope.cancelled or scope.lost or scope.failed
        warn = _say_nothing if failed else partial(turn.warn, node.row.ordinal)
        outputs = dag_outputs(turn.state, scope, warn)
    conclude(turn, node, scope, scope.spec.conditions, outputs, container_artifacts(scope))


def _say_nothing(what: str) -> None: ...


def _create_eligible(turn: Turn, scope: DagScope) -> None:
    """All eligible nodes first, then what they contain: `turn.todo` is worked off from its top."""
    spec = scope.spec
    mark = len(turn.todo)
    scope.take_freed()
    while not scope.stopped and scope.next_eligible():
        if spec.parallelism and scope.open >= spec.parallelism:
            break
        if turn.created >= NEW_NODES:
            turn.postpone(scope)
            break
        index = heappop(scope.eligible)
        create_node(turn, scope, spec.nodes[index], index)
    turn.todo[mark:] = turn.todo[mark:][::-1]
