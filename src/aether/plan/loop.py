"""Loops: expand the items once, keep as many iterations going as allowed, conclude."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import InvalidExpression
from ..record import encode_json
from .binding import MISSING, Plain, look_up
from .containers import conclude, fail_container, stop_early
from .env import loop_env, task_value
from .nodes import create_node
from .outputs import loop_outputs
from .spec import LoopSpec
from .state import LoopScope, Node
from .turn import NEW_NODES, Turn


def advance_loop(turn: Turn, scope: LoopScope) -> None:
    node = scope.node
    if node is None or node.scope is not scope or node.row.phase.is_terminal:
        return
    if scope.stopped:
        stop_early(turn, scope)
    else:
        fault = _refill(turn, scope, node)
        if fault:
            fail_container(turn, node, fault)
            return
    if scope.open or not _is_spent(scope):
        return
    succeeded = not (scope.cancelled or scope.lost or scope.failed)
    outputs = loop_outputs(scope) if succeeded else None
    conclude(turn, node, scope, scope.spec.conditions, outputs)


def _is_spent(scope: LoopScope) -> bool:
    """No further iteration will come."""
    if scope.stopped:
        return True
    if scope.spec.repeat is not None:
        return scope.spent
    return scope.items is not None and scope.count >= len(scope.items) and not scope.missing


def _refill(turn: Turn, scope: LoopScope, node: Node) -> str:
    """Start iterations while there are free places; answers why the loop cannot go on."""
    spec = scope.spec
    if spec.repeat is not None:
        return _repeat(turn, scope, node, spec)
    if scope.items is None:
        fault = _expand(turn, scope, node)
        if fault:
            return fault
    items = scope.items or []
    mark = len(turn.todo)
    while (scope.missing or scope.count < len(items)) and not scope.stopped:
        if spec.concurrency and scope.open >= spec.concurrency:
            break
        if turn.created >= NEW_NODES:
            turn.postpone(scope)
            break
        index = scope.missing.pop(0) if scope.missing else scope.count
        create_node(turn, scope, spec.body, index)
    turn.todo[mark:] = turn.todo[mark:][::-1]
    return ""


def _expand(turn: Turn, scope: LoopScope, node: Node) -> str:
    """Find dynamic items, and keep them in the row: what they came from may change."""
    found = _items_from(turn, node, scope.spec)
    if isinstance(found, str):
        return found
    if scope.spec.max_iterations:
        del found[scope.spec.max_iterations :]
    scope.items = found
    turn.set_task(node, items=encode_json(found))
    return ""


def _items_from(turn: Turn, node: Node, spec: LoopSpec) -> list[Any] | str:
    env = loop_env(turn.state, node)
    value: object = None
    if spec.items_key:
        value = look_up(Plain(env), spec.items_key)
        if value is MISSING:
            return f"itemsFrom: there is no '{spec.items_key}'"
    elif spec.items_program is not None:
        try:
            value = spec.items_program.evaluate(Plain(env))
        except InvalidExpression as exc:
            return f"itemsFrom could not be evaluated: {exc.problems[0].what}"
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return "itemsFrom gave a text that is no JSON array"
    if value is None:
        return []
    if not isinstance(value, list):
        return f"itemsFrom gave {type(value).__name__}, not an array"
    return list(value)


def _repeat(turn: Turn, scope: LoopScope, node: Node, spec: LoopSpec) -> str:
    """One iteration after the other, the condition asked after each."""
    if scope.open or scope.spent:
        return ""
    last = scope.last
    if last is not None:
        if spec.max_iterations and scope.count >= spec.max_iterations:
            scope.spent = True
            return ""
        try:
            verdict = spec.repeat.evaluate(_RepeatEnv(scope)) if spec.repeat else False
        except InvalidExpression as exc:
            return f"repeatCondition could not be evaluated: {exc.problems[0].what}"
        if not (verdict is True or verdict == "true"):
            scope.spent = True
            return ""
    if turn.created >= NEW_NODES:
        turn.postpone(scope)
    else:
        create_node(turn, scope, spec.body, scope.count)
    return ""


class _RepeatEnv:
    """`loop_iter.index` and `tasks.<body>.*` of the iteration that just ended, nothing else."""

    __slots__ = ("_scope",)

    def __init__(self, scope: LoopScope) -> None:
        self._scope = scope

    def get(self, key: str, default: object = None, /) -> object:
        if key == "loop_iter.index":
            return self._scope.count - 1
        if key.startswith("tasks."):
            return task_value(self._scope, key[6:], default)
        return default
