"""What a fork keeps of the run it comes from, and what of it begins anew.

In: a plan, and a run's rows as they stood at some point. Out: which rows stay, and patches that make them
ones a run can go on from. Never: a change of the rows handed in, or a decision.

A result that others can build on stays. What was cut away is created again by the rules that created it
before: an open container makes whatever it lacks. So containers on the way to it are opened again, with
their values, and leaves that were being worked on are handed out once more, in the same attempt. Time
stood still between the point and the fork: whatever was due is due as much later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from copy import copy
from typing import Any

import msgspec

from ..record import Cut, Instant, Phase, RunRows, Slots, TaskPatch, TaskRow, cut_tasks
from .spec import DagSpec, LoopSpec, NodeSpec, Plan
from .state import scope_below

_HANDED_OUT = (Phase.READY, Phase.RUNNING)
_RESULTS = (Phase.SUCCEEDED, Phase.SKIPPED)

Keeps = Callable[[NodeSpec, TaskRow], bool]


class Kept(msgspec.Struct):
    """`tasks` are rows of the fork before `patches`. `again` is where the task run that the fork begins
    from will be: its parent, scope and name."""

    cut: Cut
    tasks: list[TaskRow]
    patches: list[TaskPatch]
    again: tuple[int | None, str, str] | None = None


def keep_all(plan: Plan, rows: RunRows, at: Instant) -> Kept:
    """The run as it stood."""
    return _Pruning(plan, rows).kept(at)


def keep_before(plan: Plan, rows: RunRows, ordinal: int, at: Instant) -> Kept:
    """All but one task run, and what came of it: those downstream of it and of the containers it is in,
    and iterations after it. What failed, with nobody to tolerate it, or was cancelled, goes too: there
    is no going on from it. Raises KeyError for a task run of an attempt that is over."""
    pruning = _Pruning(plan, rows)
    spec = pruning.spec_of(ordinal)
    row = rows.tasks[ordinal]
    pruning.begin_from(ordinal)
    kept = pruning.kept(at)
    parent = None if row.parent is None else pruning.renumbered(row.parent)
    return msgspec.structs.replace(kept, again=(parent, row.scope, spec.name))


def keep_succeeded(plan: Plan, rows: RunRows, at: Instant) -> Kept:
    """Whatever Succeeded, and what was Skipped for a reason that still holds."""
    pruning = _Pruning(plan, rows)
    if rows.tasks:
        pruning.renew(0, lambda spec, row: row.phase in _RESULTS)
    return pruning.kept(at)


def task_spec(plan: Plan, rows: RunRows, ordinal: int) -> NodeSpec:
    """Where in the document a task run stands. Raises KeyError for one of an attempt that is over."""
    return _Pruning(plan, rows).spec_of(ordinal)


def current_tasks(plan: Plan, rows: RunRows) -> Collection[int]:
    """The task runs that are not of an earlier attempt of a container they are in."""
    return _Pruning(plan, rows).specs


class _Pruning:
    """Goes down the tree of one run, and marks what is to go and what is to be opened again."""

    def __init__(self, plan: Plan, rows: RunRows) -> None:
        self._rows = rows
        self._tasks = rows.tasks
        self.specs: dict[int, NodeSpec] = {}
        self._children: dict[int, list[int]] = {}  # of the present attempt
        self._below: dict[int, list[int]] = {}  # of any
        self._gone: set[int] = set()
        self._opened: set[int] = set()
        for ordinal, row in rows.tasks.items():
            if row.parent is None:
                self.specs[ordinal] = plan.entry
                continue
            self._below.setdefault(row.parent, []).append(ordinal)
            body = spec.body if (spec := self.specs.get(row.parent)) else None
            if body is None or row.scope != scope_below(rows.tasks[row.parent], row.index):
                continue
            self._children.setdefault(row.parent, []).append(ordinal)
            self.specs[ordinal] = body.nodes[row.index] if isinstance(body, DagSpec) else body.body

    def spec_of(self, ordinal: int) -> NodeSpec:
        return self.specs[ordinal]

    def _drop(self, ordinal: int) -> None:
        line = [ordinal]
        while line:
            each = line.pop()
            self._gone.add(each)
            self._opened.discard(each)
            line += self._below.get(each, ())

    def begin_from(self, ordinal: int) -> None:
        at = ordinal
        above: list[int] = []
        self._drop(ordinal)
        while (parent := self._tasks[at].parent) is not None:
            self._drop_after(parent, at)
            above.append(parent)
            at = parent
        for container in reversed(above):
            if self._tasks[container].phase.is_terminal:
                self._opened.add(container)
        if above:
            self._renew_below(above[-1], _can_go_on)

    def _drop_after(self, container: int, ordinal: int) -> None:
        """Whatever in `container` came of the child `ordinal`."""
        body = self.specs[container].body
        index = self._tasks[ordinal].index
        later = _downstream(body, {index}) if isinstance(body, DagSpec) else None
        for child in self._children.get(container, ()):
            place = self._tasks[child].index
            if place > index if later is None else place in later:
                self._drop(child)

    def renew(self, ordinal: int, keeps: Keeps) -> None:
        """A task run that ended in a way that cannot stay: gone, or open again for what is below it."""
        if keeps(self.specs[ordinal], self._tasks[ordinal]):
            return
        if not self._children.get(ordinal):
            self._drop(ordinal)  # a leaf, or a container that failed before it had any children
            return
        self._opened.add(ordinal)
        self._renew_below(ordinal, keeps)

    def _renew_below(self, container: int, keeps: Keeps) -> None:
        body = self.specs[container].body
        if isinstance(body, DagSpec):
            self._renew_dag(container, body, keeps)
        else:
            assert body is not None, "a leaf has no children"
            self._renew_loop(container, body, keeps)

    def _renew_dag(self, container: int, body: DagSpec, keeps: Keeps) -> None:
        """Children in the order in which they were created: a dependency comes before its dependants."""
        behind: set[int] = set()  # indexes of nodes downstream of one that begins or goes on again
        for child in self._children.get(container, ()):
            row = self._tasks[child]
            if child not in self._gone:
                if row.index in behind and row.phase is not Phase.SUCCEEDED:
                    self._drop(child)
                else:
                    self._renew_child(child, keeps)
            if (child in self._gone or child in self._opened) and row.index not in behind:
                behind |= _downstream(body, {row.index})

    def _renew_loop(self, container: int, body: LoopSpec, keeps: Keeps) -> None:
        broken = False
        for child in sorted(self._children.get(container, ()), key=lambda o: self._tasks[o].index):
            if child in self._gone:
                broken = True
            elif broken and body.repeat is not None:
                self._drop(child)  # it was begun for what the one before gave
            else:
                self._renew_child(child, keeps)
                broken = broken or child in self._gone or child in self._opened

    def _renew_child(self, child: int, keeps: Keeps) -> None:
        if self._tasks[child].phase.is_terminal and child not in self._opened:
            self.renew(child, keeps)
        elif self._children.get(child):
            self._renew_below(child, keeps)

    # What comes of it

    def _ordinals(self) -> list[int]:
        return [ordinal for ordinal in self._tasks if ordinal not in self._gone]

    def renumbered(self, ordinal: int) -> int:
        return bisect_left(self._ordinals(), ordinal)

    def kept(self, at: Instant) -> Kept:
        ordinals = self._ordinals()
        cut = Cut(tuple(_ranges(ordinals)))
        tasks = cut_tasks({ordinal: copy(self._tasks[ordinal]) for ordinal in ordinals}, cut)
        run = self._rows.run
        stood = at - (run.decided_at if run.paused_at is None else run.paused_at)
        patches = [
            patch
            for old, row in zip(ordinals, tasks.values(), strict=True)
            if (patch := self._patch(old, row, stood, at)) is not None
        ]
        return Kept(cut, list(tasks.values()), patches)

    def _patch(self, old: int, row: TaskRow, stood: int, at: Instant) -> TaskPatch | None:
        if old in self._opened:
            return _opened_again(row.ordinal)
        if row.phase.is_terminal:
            return None
        if row.phase in _HANDED_OUT and row.kind == "task":
            patch = _handed_out_again(row.ordinal)
            if row.slots is not None:
                patch.slots = _wanted_again(row.slots, at)
            return patch
        members: dict[str, Any] = {}
        if row.slots is not None:
            members["slots"] = _wanted_again(row.slots, at)
        if row.deadline_at is not None:
            members["deadline_at"] = row.deadline_at + stood
        if row.retry_at is not None:
            members["retry_at"] = row.retry_at + stood
        return TaskPatch(row.ordinal, **members) if members else None


def _can_go_on(spec: NodeSpec, row: TaskRow) -> bool:
    return spec.tolerance.tolerates(row.phase)


def _downstream(body: DagSpec, indexes: Collection[int]) -> set[int]:
    """Who waits for these nodes, or for one that does."""
    found: set[int] = set()
    line = list(indexes)
    while line:
        for dependant in body.nodes[line.pop()].dependants:
            if dependant not in found:
                found.add(dependant)
                line.append(dependant)
    return found


def _opened_again(ordinal: int) -> TaskPatch:
    """The attempt stays, and with it the scope of the children that are kept; retries begin anew."""
    return TaskPatch(
        ordinal,
        phase=Phase.CREATED,
        message="",
        code=None,
        outputs=None,
        retry_count=0,
        ready_at=None,
        started_at=None,
        finished_at=None,
        deadline_at=None,
        retry_at=None,
        omitted=(),
        artifacts_out=None,
    )


def _handed_out_again(ordinal: int) -> TaskPatch:
    return TaskPatch(
        ordinal,
        phase=Phase.CREATED,
        message="",
        code=None,
        begun=0,
        losses=0,
        ready_at=None,
        started_at=None,
        deadline_at=None,
        worker="",
    )


def _wanted_again(slots: Slots, at: Instant) -> Slots:
    """What its origin holds is not its own."""
    return msgspec.structs.replace(slots, since=at, taken=None, before=())


def _ranges(ordinals: list[int]) -> Iterator[tuple[int, int]]:
    first = last = -2
    for ordinal in ordinals:
        if ordinal != last + 1:
            if first >= 0:
                yield first, last
            first = ordinal
        last = ordinal
    if first >= 0:
        yield first, last
