"""A run in memory: its header and its open scopes. Everything here can be rebuilt from rows.

`attach` takes in a task row, `settle` closes one: between them they keep the counters from which
readiness is read off. Nothing searches siblings: a node that ends counts down those that wait for
it. A closed scope is dropped whole, and only its container's row stays. Whatever stands in line is
ordered by place, never by arrival, which no row remembers.
"""

from __future__ import annotations

from bisect import insort
from heapq import heappush
from typing import Any

from ..record import (
    HookRow,
    Instant,
    NamedValue,
    Phase,
    RunRow,
    RunRows,
    TaskRow,
    as_mapping,
    decode_json,
    decode_values,
)
from .spec import DagSpec, LoopSpec, NodeSpec, Plan

DEADLINE, RETRY = 0, 1


# Looking a phase up in its class runs Python code: the hot path has them at hand.
_CANCELLED, _FAILED, _SUCCEEDED = Phase.CANCELLED, Phase.FAILED, Phase.SUCCEEDED


class Node:
    """One task run that is still of use: open, or a sibling that others may refer to."""

    __slots__ = ("_inputs", "_outputs", "parent", "row", "scope", "spec")

    def __init__(self, row: TaskRow, spec: NodeSpec, parent: Scope) -> None:
        self.row = row
        self.spec = spec
        self.parent = parent
        self.scope: DagScope | LoopScope | None = None
        self._outputs: tuple[bytes | None, dict[str, Any]] | None = None
        self._inputs: tuple[bytes | None, dict[str, Any]] | None = None

    def outputs(self) -> dict[str, Any]:
        if self._outputs is None or self._outputs[0] is not self.row.outputs:
            self._outputs = (self.row.outputs, as_mapping(self.row.outputs))
        return self._outputs[1]

    def inputs(self) -> dict[str, Any]:
        """Values by name; a secret is its reference."""
        if self._inputs is None or self._inputs[0] is not self.row.inputs:
            self._inputs = (self.row.inputs, input_values(self.row.inputs))
        return self._inputs[1]


def input_values(data: bytes | None) -> dict[str, Any]:
    return {v.name: v.secret if v.secret is not None else v.value for v in decode_values(data)}


class _Scope:
    """The children of one container, in one attempt."""

    __slots__ = ("cancelled", "failed", "failures", "lost", "node", "open", "stopped")

    def __init__(self, node: Node | None) -> None:
        self.node = node
        self.open = 0  # children that exist and are not terminal
        self.cancelled = 0
        self.lost = 0  # untolerated Error or Timeout
        self.failed = 0  # untolerated Failed
        self.failures: list[tuple[int, str]] = []  # the first few of them, for the message
        self.stopped = False  # fail-fast: nothing more starts

    def note(self, child: Node) -> None:
        """Count how `child` ended."""
        phase = child.row.phase
        if phase is _CANCELLED:
            self.cancelled += not self.stopped
        elif not child.spec.tolerance.tolerates(phase):
            if phase is _FAILED:
                self.failed += 1
            else:
                self.lost += 1
            insort(self.failures, (child.row.ordinal, child.row.task_name))
            del self.failures[3:]

    def verdict(self) -> Phase:
        if self.cancelled:
            return _CANCELLED
        return Phase.ERROR if self.lost else _FAILED if self.failed else _SUCCEEDED


class DagScope(_Scope):
    __slots__ = ("children", "eligible", "freed", "spec", "waiting")

    def __init__(self, node: Node, spec: DagSpec) -> None:
        super().__init__(node)
        self.spec = spec
        self.waiting = list(spec.waiting)
        self.children: dict[int, Node] = {}
        self.eligible = [i for i, n in enumerate(spec.waiting) if n == 0]  # a heap
        self.freed: list[int] = []  # eligible too, but behind all that were so before

    def child_spec(self, index: int) -> NodeSpec:
        return self.spec.nodes[index]

    def adopt(self, child: Node) -> None:
        self.children[child.row.index] = child

    def release(self, child: Node) -> None:
        """Count down whoever waits for `child`, if the way it ended lets them run."""
        if not child.spec.tolerance.tolerates(child.row.phase):
            self.stopped = self.stopped or (
                self.spec.fail_fast and child.row.phase is not _CANCELLED
            )
            return
        waiting = self.waiting
        for index in child.spec.dependants:
            if waiting[index] > 0:
                waiting[index] -= 1
                if not waiting[index] and index not in self.children:
                    self.freed.append(index)

    def next_eligible(self) -> bool:
        """Whether a node may be created now; it then stands first in `eligible`."""
        if not self.eligible:
            self.take_freed()
        return bool(self.eligible)

    def take_freed(self) -> None:
        for index in self.freed:
            heappush(self.eligible, index)
        self.freed.clear()

    def named(self, name: str) -> Node | None:
        index = self.spec.by_name.get(name)
        return None if index is None else self.children.get(index)


class LoopScope(_Scope):
    __slots__ = ("count", "first", "items", "kept", "last", "live", "missing", "spec", "spent")

    def __init__(self, node: Node, spec: LoopSpec) -> None:
        super().__init__(node)
        self.spec = spec
        self.items: list[Any] | None = None  # None: not expanded, or a repeat loop
        self.count = 0  # the next iteration, but for those missing
        self.missing: list[int] = []  # of a fork: earlier ones that it did not keep
        self.first: Node | None = None
        self.last: Node | None = None
        self.live: dict[int, Node] = {}
        # Outputs by iteration, for `list` alone; a tolerated failure keeps nothing.
        self.kept: list[bytes | None] = []
        self.spent = False  # a repeat loop whose condition said stop

    def child_spec(self, index: int) -> NodeSpec:
        return self.spec.body

    def adopt(self, child: Node) -> None:
        index = child.row.index
        if index > self.count:
            self.missing += range(self.count, index)
        elif index in self.missing:
            self.missing.remove(index)
        self.count = max(self.count, index + 1)
        self.live[index] = child
        if index == 0:
            self.first = child
        if self.last is None or index >= self.last.row.index:
            self.last = child
        if self.spec.strategy == "list":
            while len(self.kept) <= index:
                self.kept.append(None)

    def note(self, child: Node) -> None:
        if self.spec.repeat is not None and child.spec.tolerance.failed:
            # Judged by its last iteration alone, and iterations come one after the other.
            self.cancelled = self.lost = self.failed = 0
            self.failures.clear()
            if child.row.phase is _FAILED:
                self.failed = 1
                self.failures.append((child.row.ordinal, child.row.task_name))
                return
        super().note(child)

    def release(self, child: Node) -> None:
        phase = child.row.phase
        self.live.pop(child.row.index, None)
        if self.spec.strategy == "list" and phase is _SUCCEEDED:
            self.kept[child.row.index] = child.row.outputs
        bad = phase is not _CANCELLED and not child.spec.tolerance.tolerates(phase)
        if bad and self.spec.fail_fast:
            self.stopped = True

    def named(self, name: str) -> Node | None:
        return self.last if self.last is not None and name == self.last.row.task_name else None


class RootScope(_Scope):
    """Around the entry; it has no container."""

    __slots__ = ("root", "spec")

    def __init__(self, spec: NodeSpec) -> None:
        super().__init__(None)
        self.spec = spec
        self.root: Node | None = None

    def child_spec(self, index: int) -> NodeSpec:
        return self.spec

    def adopt(self, child: Node) -> None:
        self.root = child

    def release(self, child: Node) -> None:
        pass

    def named(self, name: str) -> Node | None:
        return None


Scope = DagScope | LoopScope | RootScope

_NO_RUN = RunRow(run_id="", name="", document=b"", created_at=0)


class State:
    """What `decide` works on. Dropping it loses nothing: `State.load` makes it again from rows."""

    __slots__ = (
        "active",
        "agenda",
        "dues",
        "given",
        "held",
        "hooks",
        "hooks_total",
        "nodes",
        "now",
        "parameters",
        "plan",
        "root",
        "run",
        "variables",
    )

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = _NO_RUN
        self.nodes: dict[int, Node] = {}
        self.hooks: dict[int, HookRow] = {}  # those that are not finished
        self.hooks_total = 0
        self.root = RootScope(plan.entry)
        self.active = 0  # leaves that are Ready or Running
        # Ordinals of leaves that could go but for a pause or `parallelism`: a heap.
        self.held: list[int] = []
        self.agenda: list[Scope] = []  # scopes with work left over from the last decision
        self.dues: list[tuple[Instant, int, int]] = []
        self.now: Instant = 0
        self.parameters: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        # Of a fork: inputs that the task run at this parent, scope and name is given.
        self.given: tuple[tuple[int | None, str, str], list[NamedValue]] | None = None

    @property
    def created(self) -> bool:
        return self.run is not _NO_RUN

    @property
    def limited(self) -> bool:
        """There are limits on the run, or on tasks of it."""
        return self.plan.limited

    @property
    def finished(self) -> bool:
        """Nothing can happen to this run any more: it is terminal and so are its hooks."""
        return self.run.phase.is_terminal and not self.hooks

    def begin(self, run: RunRow) -> None:
        self.run = run
        self.now = max(run.created_at, run.decided_at)
        self.parameters = self.plan.parameters
        if run.arguments:
            self.parameters = self.parameters | input_values(run.arguments)
        if run.variables:
            self.variables = decode_json(run.variables)
        if run.given and run.origin is not None and run.origin.place is not None:
            self.given = run.origin.place, decode_values(run.given)

    # Rows in, rows out

    def attach(self, row: TaskRow, parent: Scope) -> Node:
        """Take in a row that was just created, or is being loaded."""
        node = Node(row, parent.child_spec(row.index), parent)
        parent.adopt(node)
        self.nodes[row.ordinal] = node
        if row.phase.is_terminal:
            self.settle(node)
            return node
        parent.open += 1
        if row.deadline_at is not None:
            heappush(self.dues, (row.deadline_at, row.ordinal, DEADLINE))
        if row.retry_at is not None:
            heappush(self.dues, (row.retry_at, row.ordinal, RETRY))
        return node

    def open_scope(self, node: Node) -> DagScope | LoopScope:
        """A fresh scope for a container's present attempt."""
        body = node.spec.body
        scope: DagScope | LoopScope
        if isinstance(body, DagSpec):
            scope = DagScope(node, body)
        else:
            assert isinstance(body, LoopSpec)
            scope = LoopScope(node, body)
            if body.items:
                scope.items = list(body.items[: body.max_iterations or None])
            elif node.row.items is not None:
                scope.items = decode_json(node.row.items)
        node.scope = scope
        return scope

    def settle(self, node: Node) -> None:
        """The row has become terminal: count it, free whoever waited for it, forget what is below."""
        node.parent.note(node)
        node.parent.release(node)
        node.scope = None
        del self.nodes[node.row.ordinal]

    @classmethod
    def load(cls, plan: Plan, rows: RunRows) -> State:
        """The state that these rows stand for."""
        state = cls(plan)
        state.take_up(rows)
        return state

    def take_up(self, rows: RunRows) -> None:
        """Into a state of which nothing is known yet."""
        self.begin(rows.run)
        owners: dict[int, Node] = {}
        for row in rows.tasks.values():
            parent: Scope | None = self.root
            if row.parent is not None:
                owner = owners.get(row.parent)
                parent = owner.scope if owner else None
                if parent is None or owner is None or row.scope != scope_text(owner, row.index):
                    continue  # below a closed container, or of an earlier attempt of an open one
            assert parent is not None
            node = self.attach(row, parent)
            self._take_up(node)
            if node.scope is not None:
                owners[row.ordinal] = node
        for node in owners.values():
            scope = node.scope
            if isinstance(scope, DagScope):
                waiting = (i for i in scope.eligible + scope.freed if i not in scope.children)
                scope.eligible, scope.freed = sorted(waiting), []
            if scope is not None:
                self.agenda.append(scope)
        self.agenda.append(self.root)
        for hook in rows.hooks.values():
            self.hooks_total = max(self.hooks_total, hook.number + 1)
            if not (hook.phase.is_terminal and hook.notified):
                self.hooks[hook.number] = hook

    def _take_up(self, node: Node) -> None:
        """Put a loaded node where it stood: an open scope, a slot, or the line of those held back."""
        row = node.row
        if row.phase.is_terminal:
            return
        if row.phase is Phase.CREATED and row.retry_at is not None:
            return
        if node.spec.body is not None:
            self.open_scope(node)
        elif row.phase is Phase.CREATED:
            if row.slots is None or not row.slots.waits:  # else it stands in line
                heappush(self.held, row.ordinal)
        elif row.phase is not Phase.SUSPENDED:
            self.active += 1


def scope_text(owner: Node, index: int) -> str:
    return scope_below(owner.row, index)


def scope_below(row: TaskRow, index: int) -> str:
    """The scope segment of a container's children: the direct parent only, not a path."""
    name = row.task_name
    if row.attempt > 1:
        name = f"{name}#{row.attempt}"
    return f"{name}.loop[{index}]/" if row.kind == "loop" else f"{name}/"
