"""The conformance documents and how the plan alone is driven through one of them.

The documents are data of the protocol's public playground; `AETHER_CONFORMANCE` may name another folder
with `examples` and `assertions` in it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from aether.adapters.executor import EchoExecutor
from aether.cli.verify import Assertions, load_assertions
from aether.document import CronWorkflow, Workflow
from aether.engine.view import execution_of
from aether.expr import Evaluator
from aether.plan import (
    CancelTask,
    Decision,
    DispatchTask,
    RunCancelled,
    RunSubmitted,
    State,
    TaskCompleted,
    TaskResumed,
    TaskStarted,
    TimePassed,
    compile_plan,
    decide,
)
from aether.ports import Execution, Request
from aether.record import (
    NamedValue,
    RunRow,
    RunRows,
    apply,
    as_mapping,
    decode_values,
    encode_json,
    encode_values,
    task_run_id,
)
from aether.validate import check

FOLDER = Path(os.environ.get("AETHER_CONFORMANCE") or Path(__file__).parent)
DOCUMENTS = sorted(path.name for path in (FOLDER / "examples").glob("*.json"))
PLATFORM = {"os": "linux", "arch": "amd64"}
VARIABLES = {
    "system.os": PLATFORM["os"],
    "system.arch": PLATFORM["arch"],
    "deploy.cluster": "prod-cluster",
    "deploy.region": "ap-east-1",
}
SECOND = 1_000_000
LIMIT = 5 * SECOND


def read(name: str) -> tuple[Any, Assertions]:
    document = msgspec.json.decode((FOLDER / "examples" / name).read_bytes())
    return document, load_assertions((FOLDER / "assertions" / name).read_bytes(), name)


class PlanAlone:
    """One run with no engine around it: decisions in virtual time, outcomes of the echo executor."""

    def __init__(self, document: Workflow, evaluator: Evaluator) -> None:
        plan = compile_plan(document, evaluator, ("system", "deploy"))
        self.state = State(plan)
        self.rows: RunRows | None = None
        self.now = 0
        self.waiting: deque[int] = deque()
        run = RunRow(
            run_id="r",
            name=document.metadata.name,
            document=b"",
            variables=encode_json(VARIABLES),
            created_at=self.now,
        )
        self.decide(RunSubmitted(run, self.now))

    def decide(self, event: Any) -> None:
        decision: Decision = decide(self.state, event)
        for change in decision.changes:
            self.rows = apply(self.rows, change)
        for command in decision.commands:
            if isinstance(command, DispatchTask):
                self.waiting.append(command.ordinal)
            elif isinstance(command, CancelTask) and command.ordinal in self.waiting:
                self.waiting.remove(command.ordinal)
        if decision.more:
            self.decide(TimePassed(self.now))

    def work(self, assertions: Assertions) -> Execution:
        """Until the run is over or the time limit has passed."""
        steered = False
        while not self.state.run.phase.is_terminal and self.now < LIMIT:
            if self.waiting:
                self._perform(self.waiting.popleft())
            elif not steered and self._steer(assertions):
                steered = True
            else:
                due = self.state.run.due_at
                if due is None or due > LIMIT:
                    break  # the time limit comes before anything else can happen
                self.now = max(due, self.now)
                self.decide(TimePassed(self.now))
        assert self.rows is not None
        return execution_of(self.rows, None)

    def _perform(self, ordinal: int) -> None:
        epoch = self.state.run.epoch
        row = self.state.nodes[ordinal].row
        self.decide(TaskStarted(ordinal, epoch, row.delivery, "w", self.now))
        request = Request(
            run_id="r",
            task_run_id=task_run_id("r", ordinal),
            task_name=row.task_name,
            executor_type=row.executor,
            inputs=as_mapping(row.inputs),
            parameters=decode_values(row.inputs),
            retry_count=row.retry_count,
        )
        outcome = asyncio.run(EchoExecutor().execute(request))
        outputs = encode_values(outcome.parameters) if outcome.parameters else None
        self.decide(
            TaskCompleted(
                ordinal, epoch, row.delivery, self.now, outcome.code, outcome.message, outputs
            )
        )

    def _steer(self, assertions: Assertions) -> bool:
        suspended = [n for n in self.state.nodes.values() if n.row.phase == "Suspended"]
        if not suspended:
            return False
        if assertions.resume_seconds is not None:
            self.now += int(assertions.resume_seconds * SECOND)
            payload = encode_values([NamedValue("__resumed", "", True)])
            self.decide(TaskResumed(suspended[0].row.ordinal, payload, self.now))
            return True
        if assertions.cancel_seconds is not None:
            self.now += int(assertions.cancel_seconds * SECOND)
            self.decide(RunCancelled(self.now))
            return True
        return False


def through_plan(document: Any, assertions: Assertions, evaluator: Evaluator) -> Execution:
    checked = check(document, evaluator=evaluator).document
    if isinstance(checked, CronWorkflow):
        checked = Workflow(metadata=checked.metadata, spec=checked.spec.workflow_spec)
    assert isinstance(checked, Workflow)
    return PlanAlone(checked, evaluator).work(assertions)
