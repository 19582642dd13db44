"""One run of somebody's own workflow in virtual time, with its process dying at chosen places.

In: a way to load the code, inputs, a schedule of strikes. Out: a Trial: what came of the run, and what was
executed more than once. Never: the machine's clock, or a strike that the schedule does not name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ...adapters.broker import LocalBroker
from ...adapters.clock import SystemClock
from ...adapters.executor import Executors
from ...adapters.ids import CounterIds
from ...adapters.store.memory import MemoryStore
from ...adapters.timeouts import HeapTimeoutWatcher
from ...engine import Engine
from ...errors import ProblemError, StoreUnavailable
from ...expr import CelEvaluator
from ...flow import Runtime, WorkflowDefinition, encode
from ...ports import (
    Commit,
    CommitOutcome,
    Executor,
    Fault,
    FunctionStart,
    Outcome,
    Request,
    RunQuery,
)
from ...record import Phase, TaskRow, decode_values
from ...sdk import Activity, ActivityExecutor, Workflow
from ...worker import Worker
from ..chance import Chance
from .loop import Node, SimLoop, node_context, running
from .store import at_once

T = TypeVar("T")
RUN_ID = "sim"
STRIKES = {
    "crash-before-commit": "the process dies before commit {} is written: what it records is done again",
    "crash-after-commit": "the process dies after commit {} is written",
    "store-away": "the store does not answer commit {}",
    "repeat": "execution {} of an activity is repeated: its worker died before it could tell",
    "slow": "execution {} of an activity takes longer than its time limit",
    "skew": "the clock of process {} is an hour behind",
}
_START = 1_750_000_000_000_000
_MOST_EVENTS = 200_000
_HOUR = 3_600_000_000
_LONGEST = 400 * 24 * _HOUR
_LOOK = 1_000_000


class Strike(msgspec.Struct, frozen=True, order=True):
    """The `number`-th time that `point` could happen, it does."""

    point: str
    number: int

    def __str__(self) -> str:
        return STRIKES[self.point].format(self.number)


class Code(msgspec.Struct):
    """What one process serves: loaded anew for each, as it would be."""

    workflow: Workflow[Any, Any]
    workflows: Sequence[Workflow[Any, Any]] = ()
    activities: Sequence[Activity[Any, Any]] = ()


class Trial(msgspec.Struct):
    """`fault` is "" for a run that went as it should: else `stuck`, `non-deterministic`, `never-ends` or
    `not-idempotent`, and `what` says more. `outcome` is the result or the error as text."""

    fault: str = ""
    what: str = ""
    phase: str = ""
    outcome: str = ""
    commits: int = 0
    executions: int = 0
    lives: int = 0
    repeated: Counter[str] = msgspec.field(default_factory=Counter)


class _Line:
    """The store, as this process reaches it."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._inner = world.store
        self.keeps_log = True
        self.concurrency = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def close(self) -> None:
        """It outlives its processes."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        world = self._world
        number = world.count("commit")
        if world.strikes("store-away", number):
            raise StoreUnavailable("the simulated store is away")
        if world.strikes("crash-before-commit", number):
            await world.die()
        outcomes = await self._inner.commit(batch)
        world.look_soon()
        if world.strikes("crash-after-commit", number):
            await world.die()
        return outcomes


class _Watched:
    """An activity whose executions are counted, repeated and delayed."""

    def __init__(self, inner: Executor, world: _World, limit: int) -> None:
        self._inner = inner
        self._world = world
        self._limit = limit / 1_000_000
        self.schema = inner.schema

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        world = self._world
        number = world.count("execution")
        outcome = await self._once(request)
        if world.strikes("repeat", number):
            outcome = await self._once(request)
        if world.strikes("slow", number):
            await asyncio.sleep(self._limit + 1)
        return outcome

    async def _once(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        outcome = await self._inner.execute(request)
        self._world.executed(self.schema.type, request.task_run_id, outcome)
        return outcome


class _World:
    def __init__(
        self, load: Callable[[], Code], schedule: Sequence[Strike], signals: Mapping[str, Any]
    ) -> None:
        self.loop = SimLoop(Chance("trial").child("loop"), lambda what: None)
        self.store = MemoryStore(history=True)
        self.trial = Trial()
        self.signals = signals
        self._load = load
        self._schedule = frozenset(schedule)
        self._counts: Counter[str] = Counter()
        self._answers: dict[str, list[str]] = {}
        self._outside = self.loop.node("outside")
        self.engine: Engine | None = None
        self._node: Node | None = None
        self._offset = 0
        self._looking = False

    def count(self, what: str) -> int:
        self._counts[what] += 1
        return self._counts[what]

    def strikes(self, point: str, number: int) -> bool:
        return Strike(point, number) in self._schedule

    def executed(self, name: str, task_run_id: str, outcome: Any) -> None:
        """Another answer to the same call: whoever called it must not mind, and this one does."""
        if isinstance(outcome, Outcome) and outcome.code:
            return  # it failed, and says so
        values = outcome.parameters if isinstance(outcome, Outcome) else outcome
        answers = self._answers.setdefault(task_run_id, [])
        answers.append(repr([v.value for v in values] if isinstance(values, list) else values))
        if len(answers) > 1:
            self.trial.repeated[name] += 1
            if len(set(answers)) > 1 and not self.trial.fault:
                told = ", then ".join(
                    answer.removeprefix("[").removesuffix("]") for answer in answers
                )
                what = f"activity '{name}' was executed {len(answers)} times for one call"
                self.fail("not-idempotent", f"{what}, and answered {told}")

    def fail(self, fault: str, what: str) -> None:
        if not self.trial.fault:
            self.trial.fault, self.trial.what = fault, what

    # Processes

    def begin_life(self) -> None:
        number = self.count("life")
        self._offset = -_HOUR if self.strikes("skew", number) else 0
        self._node = self.loop.node(f"process {number}")
        self._node.context.run(self._make)

    async def die(self) -> None:
        """This process ends here: nothing of it runs any more."""
        assert self._node is not None
        self.loop.crash(self._node)
        self.engine = None
        self.loop.call_in(1_000_000, self.begin_life, context=node_context(self._outside))
        await self.loop.create_future()

    def _make(self) -> None:
        node, offset = self._node, self._offset
        assert node is not None
        clock = SystemClock(lambda: (_START + self.loop.now + offset) * 1000)
        broker = LocalBroker()
        engine = Engine(
            store=_Line(self),  # what is not named there is the store's own
            broker=broker,
            id_generator=CounterIds("sim-"),
            clock=clock,
            evaluator=CelEvaluator(),
            timeout_watcher=HeapTimeoutWatcher(clock, self),
            error_sink=self,
        )
        runtime = Runtime(
            journal=engine.journal,
            clock=clock,
            offload=_inline,
            threads=_inline,
            errors=self,
            memory=1,  # nothing stays parked: each time the function goes on from its record
        )
        code = self._load()
        executors = Executors()
        for workflow in code.workflows:
            executors.register(runtime.register(workflow.definition))
        for activity in code.activities:
            limit = activity.definition.options.start_to_close
            inner = ActivityExecutor(activity.definition, _inline)
            executors.register(_Watched(inner, self, limit))
        worker = Worker(broker, executors, worker_id=node.name, clock=clock, errors=self)

        async def start() -> None:
            await engine.start()
            await worker.start()
            self.engine = engine

        self.loop.create_task(start(), context=node_context(node))

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        if fault.severity == "critical":
            self.fail("engine-bug", f"{fault.operation}: {fault.what}")

    # The run

    def begin(self, definition: WorkflowDefinition, inputs: bytes | None) -> None:
        """Ask until a process has taken it: starting twice is the same run."""
        start = FunctionStart(
            name=definition.name, version=definition.version, inputs=inputs, run_id=RUN_ID
        )

        def ask() -> None:
            engine, node = self.engine, self._node
            if at_once(self.store.run(RUN_ID)) is None:
                self.loop.call_in(_LOOK, ask, context=node_context(self._outside))
                if engine is not None and node is not None:
                    self.spawn(engine.start_function(start), node)

        self.loop.call_in(1_000, ask, context=node_context(self._outside))

    def look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.call_in(_LOOK, self._look, context=node_context(self._outside))

    def spawn(self, work: Any, node: Node) -> None:
        async def quietly() -> None:
            try:
                await work
            except ProblemError as error:
                if error.code not in ("run-exists", "run-over", "engine-stopped"):
                    self.fail("refused", str(error))

        self.loop.create_task(quietly(), context=node_context(node))

    def _look(self) -> None:
        """Send the signals that are waited for, and see whether the code fits its record."""
        self._looking = False
        if self.engine is None:
            self.look_soon()
        asked: list[str] = []
        moving = False
        for run in (
            at_once(self.store.runs(RunQuery(limit=200))).runs if self.engine is not None else ()
        ):
            rows = at_once(self.store.load([run.run_id]))[0]
            if rows is None or run.phase.is_terminal:
                continue
            if rows.tasks[0].phase is Phase.SUSPENDED and run.message:
                self.fail("non-deterministic", run.message)
            for row in rows.tasks.values():
                if row.phase.is_terminal or row.ordinal == 0:
                    continue
                if row.kind == "wait" and row.task_name in self.signals:
                    self._signal(run.run_id, row)
                elif row.kind == "wait" and row.deadline_at is None:
                    asked.append(row.task_name)
                elif row.kind not in ("signal", "child"):
                    moving = True
        if asked and not moving and self._is_parked():
            name = asked[0]
            self.fail("waits", f"it waits for the signal '{name}': give --signal {name}=VALUE")

    def _is_parked(self) -> bool:
        rows = at_once(self.store.load([RUN_ID]))[0]
        return rows is not None and rows.tasks[0].phase is Phase.SUSPENDED

    def _signal(self, run_id: str, row: TaskRow) -> None:
        engine, node = self.engine, self._node
        if engine is not None and node is not None:
            value = encode(self.signals[row.task_name])
            key = f"{run_id}.{row.ordinal}"
            self.spawn(engine.signal(run_id, row.task_name, value, key), node)

    def ended(self) -> bool:
        run = at_once(self.store.run(RUN_ID))
        return run is not None and run.phase.is_terminal

    def judge(self) -> Trial:
        trial = self.trial
        trial.commits, trial.executions = self._counts["commit"], self._counts["execution"]
        trial.lives = self._counts["life"]
        run = at_once(self.store.run(RUN_ID))
        if run is not None and run.phase.is_terminal:
            trial.phase = str(run.phase)
            trial.outcome = run.message
            if run.phase is Phase.SUCCEEDED:
                trial.outcome = repr([v.value for v in decode_values(run.outputs or b"[]")])
        elif not trial.fault:
            self.fail(
                "never-ends", f"it was not over after {self.loop.now / 1e6:.0f} virtual seconds"
            )
        return trial


def trial(
    load: Callable[[], Code],
    inputs: Mapping[str, Any],
    schedule: Sequence[Strike] = (),
    signals: Mapping[str, Any] | None = None,
) -> Trial:
    """Run the workflow once under this schedule: the same each time, if the code is. To be called inside
    `cemetery()`, as `search` does."""
    world = _World(load, schedule, signals or {})
    loop = world.loop
    with running(loop):
        definition = load().workflow.definition
        encoded = definition.signature.encode((), dict(inputs))
        world.begin_life()
        world._outside.context.run(world.begin, definition, encoded)
        while not (world.trial.fault or loop.ran >= _MOST_EVENTS or loop.now > _LONGEST):
            if not loop.step() or (not loop.ran % 8 and world.ended()):
                break
        return world.judge()


async def _inline(work: Callable[[], T]) -> T:
    """Blocking work has the loop for itself: time stands still meanwhile."""
    return work()
