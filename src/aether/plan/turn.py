"""One decision in the making: every change is written down and applied in the same move.

`set_task` and its siblings are the only code in this room that touches a row. A row made in this
turn is changed in place, because its creation is not yet written; any other change goes into the one
patch that the turn keeps for each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from ..record import Change, Cut, HookPatch, HookRow, Instant, Phase, RunPatch, TaskPatch, TaskRow
from .events import CancelTask, Command, Decision, DispatchHook, DispatchTask, NotifyHook, Warn
from .phase import CONTAINER_MOVES, LEAF_MOVES, RUN_MOVES, check_move
from .spec import HookSpec
from .state import DEADLINE, Node, Scope, State

NEW_NODES = 256
"""At most so many task runs are created in one decision, so that other runs get their turn."""


# Looking a phase up in its class runs Python code: the hot path asks once.
_READY = Phase.READY
_AT_WORK = (Phase.READY, Phase.RUNNING)


class Turn:
    __slots__ = (
        "_commands",
        "_created",
        "_fresh",
        "_fresh_run",
        "_handed",
        "_hooks",
        "_run",
        "_tasks",
        "at",
        "created",
        "nothing",
        "state",
        "todo",
    )

    def __init__(self, state: State, at: Instant, *, fresh_run: bool = False) -> None:
        self.state = state
        # Time in a run never goes back, whatever the clock does.
        self.at = max(at, state.now)
        self.todo: list[Scope] = []  # scopes to advance, innermost on top
        self.created = 0
        self.nothing = ""
        self._commands: list[Command] = []
        self._handed: dict[int, int] = {}  # the first delivery that this turn made of each task
        # What is written becomes patches once, at the end: members gathered in dicts are cheap.
        self._created: list[Change] = [state.run] if fresh_run else []
        self._fresh: set[int] = set()
        self._tasks: dict[int, dict[str, Any]] = {}
        self._hooks: dict[int, dict[str, Any]] = {}
        self._run: dict[str, Any] = {}
        self._fresh_run = fresh_run

    # Writing

    def begin_fork(self, cut: Cut, patches: Iterable[TaskPatch]) -> None:
        """The first changes of a fork, which are made already."""
        self._created = [cut, *self._created, *patches]

    def set_run(self, **members: Any) -> None:
        run = self.state.run
        for name, value in members.items():
            setattr(run, name, value)
        if not self._fresh_run:
            self._run.update(members)

    def move_run(self, phase: Phase, **members: Any) -> None:
        check_move(RUN_MOVES, "the run", self.state.run.phase, phase)
        self.set_run(phase=phase, **members)

    def set_task(self, node: Node, **members: Any) -> None:
        self._write(node.row, members)

    def _write(self, row: TaskRow, members: dict[str, Any]) -> None:
        """`members` are the turn's from here on."""
        for name, value in members.items():
            setattr(row, name, value)
        ordinal = row.ordinal
        if ordinal in self._fresh:
            return
        written = self._tasks.get(ordinal)
        if written is None:
            self._tasks[ordinal] = members
        else:
            written.update(members)

    def move(self, node: Node, phase: Phase, **members: Any) -> None:
        """A legal step to `phase`, counted where leaves are counted."""
        self._move(node, phase, members)

    def _move(self, node: Node, phase: Phase, members: dict[str, Any]) -> None:
        row = node.row
        before = row.phase
        if node.spec.body is None:
            check_move(LEAF_MOVES, row.task_name, before, phase)
            self.state.active += (phase in _AT_WORK) - (before in _AT_WORK)
        else:
            check_move(CONTAINER_MOVES, row.task_name, before, phase)
        members["phase"] = phase
        self._write(row, members)

    def create(self, row: TaskRow, parent: Scope) -> Node:
        """Write a new task run; one that is terminal already is settled at once."""
        state = self.state
        self._created.append(row)
        self._fresh.add(row.ordinal)
        self.created += 1
        state.run.total += 1
        node = state.attach(row, parent)
        if row.phase.is_terminal:
            state.run.done += 1
        return node

    def end(self, node: Node, phase: Phase, message: str, **members: Any) -> None:
        """A terminal phase for a task run; its scope is looked at next."""
        members["message"], members["finished_at"] = message, self.at
        self._move(node, phase, members)
        state, parent = self.state, node.parent
        state.run.done += 1
        parent.open -= 1
        state.settle(node)
        self.look_at(parent)

    def set_hook(self, hook: HookRow, **members: Any) -> None:
        for name, value in members.items():
            setattr(hook, name, value)
        self._hooks.setdefault(hook.number, {}).update(members)
        if hook.notified and hook.phase.is_terminal:
            self.state.hooks.pop(hook.number, None)

    def add_hook(self, hook: HookRow, spec: HookSpec | None) -> None:
        self._created.append(hook)
        self.state.hooks_total += 1
        if not (hook.notified and hook.phase.is_terminal):
            self.state.hooks[hook.number] = hook
        if not hook.notified:
            self._commands.append(NotifyHook(hook.number))
        if spec is not None:
            self._commands.append(DispatchHook(hook.number))

    # Ordering

    def dispatch(self, node: Node) -> None:
        row = node.row
        self._handed.setdefault(row.ordinal, row.delivery)
        self._commands.append(DispatchTask(row.ordinal))

    def dispatch_hook(self, number: int) -> None:
        self._commands.append(DispatchHook(number))

    def notify(self, number: int) -> None:
        self._commands.append(NotifyHook(number))

    def cancel(self, node: Node, reason: str) -> None:
        """Tell whoever may hold this delivery that it is over."""
        epoch = self.state.run.epoch
        row = node.row
        self._commands.append(CancelTask(row.ordinal, epoch, row.delivery, reason))

    def warn(self, ordinal: int | None, what: str) -> None:
        self._commands.append(Warn(ordinal, what))

    def look_at(self, scope: Scope) -> None:
        if not self.todo or self.todo[-1] is not scope:
            self.todo.append(scope)

    def postpone(self, scope: Scope) -> None:
        """Its turn is over; the next decision goes on with it."""
        agenda = self.state.agenda
        if not any(scope is waiting for waiting in agenda):
            agenda.append(scope)

    # Waiting

    def wake_at(self, node: Node, instant: Instant, kind: int) -> None:
        heappush(self.state.dues, (instant, node.row.ordinal, kind))

    def due_nodes(self) -> Iterator[tuple[Node, int]]:
        """The task runs with a deadline or retry that is due, and which of the two it is. Each is
        judged when its turn comes: what was done about the one before may have changed that."""
        dues = self.state.dues
        while dues and (dues[0][0] <= self.at or not self._still_due(dues[0])):
            due = heappop(dues)
            if self._still_due(due):
                yield self.state.nodes[due[1]], due[2]

    def _still_due(self, due: tuple[Instant, int, int]) -> bool:
        node = self.state.nodes.get(due[1])
        if node is None:
            return False
        return due[0] == (node.row.deadline_at if due[2] == DEADLINE else node.row.retry_at)

    def _next_due(self) -> Instant | None:
        state = self.state
        run = state.run
        if run.phase.is_terminal or run.paused_at is not None:
            return min(self._hook_dues(), default=None) if state.hooks else None
        dues = state.dues
        while dues and not self._still_due(dues[0]):
            heappop(dues)
        due = dues[0][0] if dues else None
        if run.deadline_at is not None and (due is None or run.deadline_at < due):
            due = run.deadline_at
        for hook_due in self._hook_dues() if state.hooks else ():
            due = hook_due if due is None else min(due, hook_due)
        return due

    def _hook_dues(self) -> Iterator[Instant]:
        for hook in self.state.hooks.values():
            if hook.deadline_at is not None and hook.finished_at is None:
                yield hook.deadline_at

    def _drop_stillborn(self) -> None:
        """A delivery that was made and is over within this turn never reaches a broker."""
        nodes, handed = self.state.nodes, self._handed
        if not handed:
            return
        gone: dict[int, bool] = {}  # and whether a later delivery of it counts
        for ordinal, first in handed.items():
            node = nodes.get(ordinal)
            is_ready = node is not None and node.row.phase is _READY
            if node is None or not is_ready or node.row.delivery != first:
                gone[ordinal] = is_ready
        if not gone:
            return
        self._commands = [c for c in self._commands if not self._is_stillborn(c, gone)]
        self._commands += [DispatchTask(ordinal) for ordinal, again in gone.items() if again]

    def _is_stillborn(self, command: Command, gone: dict[int, bool]) -> bool:
        if isinstance(command, CancelTask):
            return command.ordinal in gone and command.delivery >= self._handed[command.ordinal]
        return isinstance(command, DispatchTask) and command.ordinal in gone

    def decision(self) -> Decision:
        """What this turn has come to."""
        run = self.state.run
        nothing = self.nothing
        changes = self._created
        if changes or self._tasks or self._hooks or self._run:
            nothing = ""
            self.state.now = self.at  # only what is written counts: a loaded state knows no more
            members = self._run
            run.seq = members["seq"] = run.seq + 1
            run.decided_at = members["decided_at"] = self.at
            if self._fresh or self._tasks:
                members["total"], members["done"] = run.total, run.done
            due = self._next_due()
            if due != run.due_at:
                run.due_at = members["due_at"] = due
            for ordinal, written in self._tasks.items():
                changes.append(TaskPatch(ordinal, **written))
            for number, written in self._hooks.items():
                changes.append(HookPatch(number=number, **written))
            if not self._fresh_run:
                changes.append(RunPatch(**members))
        self._drop_stillborn()
        more = bool(self.state.agenda) and not run.phase.is_terminal
        return Decision(changes, self._commands, more, nothing)
