"""One decision about a function run in the making. As Turn for documents, without scopes.

Every change is written down and applied in the same move. Most decisions add one row that is over
already: that path allocates the row, the patch of the run, and little else.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

import msgspec

from ..record import Change, Instant, Phase, RunPatch, TaskPatch, TaskRow
from .events import CancelTask, Command, Decision, DispatchTask, Event
from .functions import CALL_MOVES, STUCK, Call, FunctionState
from .phase import RUN_MOVES, check_move
from .state import DEADLINE, RETRY


class FunctionTurn:
    __slots__ = (
        "_created",
        "_fresh",
        "_fresh_run",
        "_handed",
        "_run",
        "_tasks",
        "at",
        "commands",
        "nothing",
        "state",
        "superseded",
        "woken",
    )

    def __init__(self, state: FunctionState, at: Instant, *, fresh_run: bool = False) -> None:
        self.state = state
        self.at = max(at, state.now)
        self.commands: list[Command] = []
        self.nothing = ""
        self.superseded: list[Event] = []
        self.woken = False  # there is something new for the function
        self._created: list[Change] = [state.run] if fresh_run else []
        self._fresh: set[int] = set()
        self._fresh_run = fresh_run
        self._tasks: dict[int, dict[str, Any]] = {}
        self._run: dict[str, Any] = {}
        self._handed: dict[int, int] = {}  # the first delivery that this turn made of each task

    # Writing

    def set_run(self, **members: Any) -> None:
        run = self.state.run
        for name, value in members.items():
            setattr(run, name, value)
        if not self._fresh_run:
            self._run.update(members)

    def move_run(self, phase: Phase, **members: Any) -> None:
        check_move(RUN_MOVES, "the run", self.state.run.phase, phase)
        self.set_run(phase=phase, **members)

    def add(self, row: TaskRow) -> None:
        """A row that is over as it comes."""
        run = self.state.run
        self._created.append(row)
        run.total += 1
        run.done += 1

    def create(self, row: TaskRow) -> Call:
        """A row that something is still to happen to."""
        self._created.append(row)
        self._fresh.add(row.ordinal)
        self.state.run.total += 1
        return self.state.attach(row)

    def write(self, call: Call, **members: Any) -> None:
        row = call.row
        for name, value in members.items():
            setattr(row, name, value)
        if row.ordinal in self._fresh:
            return
        written = self._tasks.get(row.ordinal)
        if written is None:
            self._tasks[row.ordinal] = members
        else:
            written.update(members)

    def move(self, call: Call, phase: Phase, **members: Any) -> None:
        check_move(CALL_MOVES, call.row.task_name, call.row.phase, phase)
        self.write(call, phase=phase, **members)

    def end(self, call: Call, phase: Phase, **members: Any) -> None:
        """A terminal phase. What was due of it is due no more."""
        members.setdefault("finished_at", self.at)
        row = call.row
        if row.retry_at is not None:
            members["retry_at"] = None
        if row.beat_by is not None:
            members["beat_by"] = None
        self.move(call, phase, **members)
        self.state.run.done += 1
        self.state.settle(call)

    def answer(self, call: Call) -> None:
        """The function is to be handed this row as the next of its answers."""
        state = self.state
        state.answered += 1
        self.write(call, order=state.answered)
        state.answers.append((state.answered, call.row))
        self.woken = True

    # Ordering

    def dispatch(self, call: Call, **members: Any) -> None:
        """To the broker: a new delivery."""
        row = call.row
        self._handed.setdefault(row.ordinal, row.delivery)
        self.move(call, Phase.READY, delivery=row.delivery + 1, ready_at=self.at, **members)
        self.commands.append(DispatchTask(row.ordinal))

    def call_off(self, call: Call, reason: str) -> None:
        """Tell whoever may hold this delivery that it is over."""
        row = call.row
        if row.phase is Phase.READY or row.phase is Phase.RUNNING:
            epoch = self.state.run.epoch
            self.commands.append(CancelTask(row.ordinal, epoch, row.delivery, reason))

    def wake_at(self, call: Call, instant: Instant, kind: int) -> None:
        heappush(self.state.dues, (instant, call.row.ordinal, kind))

    # Due

    def due_calls(self) -> Iterator[tuple[Call, int]]:
        dues = self.state.dues
        while dues and (dues[0][0] <= self.at or not self._still_due(dues[0])):
            due = heappop(dues)
            if self._still_due(due):
                yield self.state.nodes[due[1]], due[2]

    def _still_due(self, due: tuple[Instant, int, int]) -> bool:
        call = self.state.nodes.get(due[1])
        if call is None:
            return False
        row, kind = call.row, due[2]
        if kind == DEADLINE:
            return due[0] == row.deadline_at
        return due[0] == (row.retry_at if kind == RETRY else row.beat_by)

    def _next_due(self) -> Instant | None:
        state = self.state
        run = state.run
        if run.phase.is_terminal or run.paused_at is not None:
            return None
        dues = state.dues
        while dues and not self._still_due(dues[0]):
            heappop(dues)
        due = dues[0][0] if dues else None
        if run.deadline_at is not None and (due is None or run.deadline_at < due):
            due = run.deadline_at
        return due

    # The end

    def wake(self) -> None:
        """Hand the function out again if it is parked and something came for it."""
        root = self.state.root
        if root is None or root.row.phase is not Phase.SUSPENDED or root.row.code == STUCK:
            return
        self.hand_out_root(root)

    def hand_out_root(self, root: Call) -> None:
        """To a worker; in a paused run it waits as Created."""
        if root.row.phase is not Phase.CREATED:
            self.move(root, Phase.CREATED)
        if root.row.message:
            self.write(root, message="")
        run = self.state.run
        if run.message:
            self.set_run(message="")
        if run.slots is not None and run.slots.taken is None:
            if not run.slots.since:
                self.set_run(
                    slots=msgspec.structs.replace(run.slots, since=self.at, number=run.seq + 1)
                )
            self.write(root, retry_at=None)
        elif run.paused_at is None:
            self.dispatch(root, code=None, retry_at=None)
            if self.state.run.phase is Phase.CREATED:
                self.move_run(Phase.READY)

    def decision(self) -> Decision:
        if self.woken:
            self.wake()
        state = self.state
        run = state.run
        changes = self._created
        tasks = self._tasks
        if not (changes or tasks or self._run):
            return Decision(changes, self.commands, False, self.nothing, self.superseded)
        state.now = self.at
        members = self._run
        members["seq"] = run.seq = run.seq + 1
        members["decided_at"] = run.decided_at = self.at
        if changes or tasks:
            members["total"], members["done"] = run.total, run.done
        due = self._next_due()
        if due != run.due_at:
            members["due_at"] = run.due_at = due
        for ordinal, written in tasks.items():
            changes.append(TaskPatch(ordinal, **written))
        if not self._fresh_run:
            changes.append(RunPatch(**members))
        if len(self.commands) > 1:
            self._drop_stillborn()
        return Decision(changes, self.commands, False, "", self.superseded)

    def _drop_stillborn(self) -> None:
        """What was handed out and is over within this turn never reaches a broker; what was handed out
        twice reaches it once."""
        handed = self._handed
        kept: list[Command] = []
        seen: set[int] = set()
        for command in self.commands:
            if isinstance(command, DispatchTask):
                call = self.state.nodes.get(command.ordinal)
                if call is None or call.row.phase is not Phase.READY or command.ordinal in seen:
                    continue
                seen.add(command.ordinal)
            elif isinstance(command, CancelTask):
                first = handed.get(command.ordinal)
                if first is not None and command.delivery > first:
                    continue
            kept.append(command)
        self.commands = kept
