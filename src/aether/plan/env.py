"""Who sees what: the variables at each place where a document may name one."""

from __future__ import annotations

from typing import Any

from ..record import Phase, as_mapping
from .state import Node, RootScope, Scope, State

_PHASE_CODES = {
    Phase.SUCCEEDED: 0,
    Phase.SUSPENDED: 1,
    Phase.FAILED: 2,
    Phase.ERROR: 3,
    Phase.TIMEOUT: 4,
}


class ScopeEnv:
    """Variable sources, workflow parameters, inputs of the enclosing container, `tasks.*` of `scope`."""

    __slots__ = ("_container", "_scope", "_state")

    def __init__(self, state: State, scope: Scope | None, container: Node | None) -> None:
        self._state = state
        self._scope = scope
        self._container = container

    def get(self, key: str, default: object = None, /) -> object:
        head, _, tail = key.partition(".")
        if head == "tasks":
            return default if self._scope is None else task_value(self._scope, tail, default)
        if head == "inputs":
            if self._container is None or not tail.startswith("parameters."):
                return default
            return self._container.inputs().get(tail[11:], default)
        if head == "workflow":
            return _workflow_value(self._state, tail, default)
        return self._state.variables.get(key, default)


def child_env(state: State, scope: Scope) -> ScopeEnv:
    """For `when`, inputs and hooks of the children of `scope`: siblings, and the container's inputs."""
    return ScopeEnv(state, None if isinstance(scope, RootScope) else scope, scope.node)


def loop_env(state: State, node: Node) -> ScopeEnv:
    """For `itemsFrom` and loop arguments: the loop's own inputs, and the siblings of the loop."""
    return ScopeEnv(state, node.parent, node)


class OutputsEnv:
    """For outputs of a DAG: everything but its own inputs. The arguments of a stored template, which
    come down as inputs named `workflow.<name>`, are no inputs of its own."""

    __slots__ = ("_env", "_node")

    def __init__(self, state: State, scope: Scope) -> None:
        self._env = ScopeEnv(state, scope, None)
        self._node = scope.node

    def get(self, key: str, default: object = None, /) -> object:
        if key.startswith("inputs.parameters.workflow.") and self._node is not None:
            return self._node.inputs().get(key[18:], default)
        return self._env.get(key, default)


def task_value(scope: Scope, path: str, default: object = None) -> object:
    """`<name>.phase`, `.code`, `.msg` or `.outputs.parameters.<p>` of a task in `scope`."""
    name, _, member = path.partition(".")
    node = scope.named(name)
    if node is None:
        return default
    row = node.row
    if member.startswith("outputs.parameters."):
        return node.outputs().get(member[19:], default)
    match member:
        case "phase":
            return str(row.phase)
        case "code":
            code = row.code if row.code is not None else _PHASE_CODES.get(row.phase)
            return default if code is None or not row.phase.is_terminal else code
        case "msg":
            return row.message if row.phase.is_terminal else default
    return default


class Facts:
    """An Env of nothing but a few keys."""

    __slots__ = ("_facts",)

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    def get(self, key: str, default: object = None, /) -> object:
        return self._facts.get(key, default)


def attempt_env(name: str, phase: Phase, code: int, message: str, outputs: bytes | None) -> Facts:
    """For retry expressions: the attempt that just ended, as `tasks.<name>.*`."""
    return Facts(_facts(f"tasks.{name}.", phase, code, message, outputs))


def leaf_env(phase: Phase, code: int, message: str, outputs: bytes | None) -> Facts:
    """For a leaf's phaseConditions: its own facts, without a prefix."""
    return Facts(_facts("", phase, code, message, outputs))


class ContainerEnv:
    """For a container's phaseConditions: `phase`, `msg`, `outputs.parameters.*` and its children."""

    __slots__ = ("_facts", "_scope")

    def __init__(self, scope: Scope, phase: Phase, message: str, outputs: bytes | None) -> None:
        self._scope = scope
        self._facts = _facts("", phase, None, message, outputs)

    def get(self, key: str, default: object = None, /) -> object:
        if key.startswith("tasks."):
            return task_value(self._scope, key[6:], default)
        return self._facts.get(key, default)


def _facts(
    prefix: str, phase: Phase, code: int | None, message: str, outputs: bytes | None
) -> dict[str, Any]:
    facts: dict[str, Any] = {prefix + "phase": str(phase), prefix + "msg": message}
    if code is not None:
        facts[prefix + "code"] = code
    for name, value in as_mapping(outputs).items():
        facts[f"{prefix}outputs.parameters.{name}"] = value
    return facts


def _workflow_value(state: State, path: str, default: object) -> object:
    if path.startswith("parameters."):
        return state.parameters.get(path[11:], default)
    if path.startswith("arguments.parameters."):
        return state.parameters.get(path[21:], default)
    run = state.run
    match path:
        case "name":
            return run.name
        case "id" | "runId":
            return run.run_id
        case "namespace":
            return run.namespace
    return default
