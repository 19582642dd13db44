"""A function run without engine or I/O: facts go in, and after each the state is also loaded from rows
and must decide the same."""

from __future__ import annotations

from copy import deepcopy

import msgspec

from aether.plan import (
    Command,
    Decision,
    Event,
    FunctionPlan,
    FunctionState,
    JournalAppended,
    RunSubmitted,
    TaskStarted,
    decide_all,
    function_plan,
    function_text,
)
from aether.record import Fact, Path, RunRow, RunRows, StepDone, TaskRow, apply

START = 1_700_000_000_000_000
SECOND = 1_000_000


def a_path(name: str, occurrence: int = 0, branch: str = "") -> Path:
    return Path(branch, name, occurrence)


def a_step(name: str, occurrence: int = 0, **members: object) -> StepDone:
    members = {"outputs": b"[1]", **members}
    return StepDone(
        path=a_path(name, occurrence),
        started_at=START,
        finished_at=START,
        **members,  # type: ignore[arg-type]
    )


def the_plan() -> FunctionPlan:
    plan = function_plan(function_text("order", "1"))
    assert plan is not None
    return plan


class FunctionWorld:
    """Keeps rows beside the live state. `decide` asks both, and both must come to the same."""

    def __init__(self, *, begin: bool = True, **members: object) -> None:
        self.plan = the_plan()
        self.state = FunctionState(self.plan)
        self.rows: RunRows | None = None
        self.now = START
        self.commands: list[Command] = []
        self.last = Decision([], [])
        run = RunRow(run_id="r", name="order", document=b"d", created_at=START, **members)  # type: ignore[arg-type]
        self.decide(RunSubmitted(run, START))
        if begin:
            self.start()

    @property
    def run(self) -> RunRow:
        assert self.rows is not None
        return self.rows.run

    def row(self, name: str) -> TaskRow:
        assert self.rows is not None
        return [row for row in self.rows.tasks.values() if row.task_name == name][-1]

    @property
    def root(self) -> TaskRow:
        assert self.rows is not None
        return self.rows.tasks[0]

    def start(self) -> None:
        self.decide(TaskStarted(0, self.run.epoch, self.root.delivery, "w", self.now))

    def append(self, *facts: Fact, after: int | None = None) -> Decision:
        after = self.state.answered if after is None else after
        event = JournalAppended(self.run.epoch, self.root.delivery, after, facts, self.now)
        return self.decide(event)

    def decide(self, *events: Event) -> Decision:
        told = deepcopy(events)
        reloaded = None
        if self.rows is not None:
            reloaded = FunctionState.load(self.plan, deepcopy(self.rows))
        self.last = decide_all(self.state, events)
        if reloaded is not None:
            again = decide_all(reloaded, told)
            assert msgspec.to_builtins(again.changes) == msgspec.to_builtins(self.last.changes)
            assert again.commands == self.last.commands
            assert again.nothing == self.last.nothing
        for change in self.last.changes:
            self.rows = apply(self.rows, deepcopy(change))
        self.commands = list(self.last.commands)
        assert self.rows is not None
        done = sum(row.phase.is_terminal for row in self.rows.tasks.values())
        assert (self.run.total, self.run.done) == (len(self.rows.tasks), done)
        assert msgspec.to_builtins(self.run) == msgspec.to_builtins(self.state.run)
        for ordinal, call in self.state.nodes.items():
            assert msgspec.to_builtins(call.row) == msgspec.to_builtins(self.rows.tasks[ordinal])
        return self.last
