"""Runs of functions in the simulated world: what their steps do, who starts and signals them, what must hold.

In: programs made by chance. Out: runs, and breaches where one is not what its program says. Never: a look
into the plan or the runtime of functions; only rows, and what steps saw happen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from ...engine import Engine
from ...errors import NotFound, ProblemError, StoreError, WaitTimeout
from ...flow import FunctionHost, Runtime, WorkflowDefinition, decode, encode
from ...ports import Fence, FunctionStart
from ...record import Phase, RunRow, TaskRow, decode_values
from .loop import Node, node_context
from .model import Shadow
from .programs import NAME, PROGRAMS, Doomed, Program, program_of
from .store import at_once
from .world import EngineLife, World

T = TypeVar("T")
_FIRST = Fence(1, 1)
_DURABLE = ("step", "timer", "wait", "activity", "child", "note")


class Deeds:
    """What steps do in one process: they take time, fail, and are counted."""

    def __init__(self, watch: FunctionWatch) -> None:
        self._watch = watch
        self._world = watch.world
        self._chance = watch.chance

    async def offload(self, work: Callable[[], T]) -> T:
        """Blocking work: it has the loop for itself, as it would have a thread."""
        if self._world.faults.strike("step.slow"):
            await self._pause(5_000_000)
        return work()

    async def _pause(self, longest: int) -> None:
        await asyncio.sleep(self._chance.span(1, longest) / 1_000_000)

    async def work(self, run_id: str, name: str) -> str:
        self._watch.done(run_id, name)
        slow = self._world.faults.strike("step.slow")
        await self._pause(20_000_000 if slow else self._watch.longest)
        return name

    def plain_work(self, run_id: str, name: str) -> str:
        self._watch.done(run_id, name)
        return name

    async def flaky_work(self, run_id: str, name: str) -> str:
        await self._pause(self._watch.longest)
        if self._world.faults.strike("step.fails"):
            raise OSError(f"{name} does not feel well")
        return name

    def feature(self, name: str) -> None:
        self._world.saw(f"function {name}")


class FunctionWatch:
    """All processes' functions, and what they did."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance.child("functions")
        self.longest = self.chance.one_of((1, 1_000, 1_000_000))
        self.memory = self.chance.one_of((1 << 26, 1 << 26, 1))  # of parked functions, in bytes
        self._begun: Counter[str] = (
            Counter()
        )  # how often a run's function began, from the top or not
        self._deeds: Counter[tuple[str, str]] = Counter()
        self._recorded: dict[str, frozenset[str]] = {}  # steps on record when it began last
        self.faults: list[str] = []

    def host(self, life: EngineLife) -> FunctionHost:
        """The executor of programs in this process."""
        deeds = Deeds(self)
        runtime = life.runtime = Runtime(
            journal=life.engine.journal,
            clock=life.clock,
            offload=deeds.offload,
            threads=deeds.offload,
            errors=self,
            memory=self.memory,
        )
        program = program_of(deeds)

        async def watched(ctx: Any, number: int, generation: int = 0) -> Any:
            self.began(ctx.run_id, is_first=ctx._run.fence == _FIRST)
            return await program(ctx, number, generation)

        return runtime.register(WorkflowDefinition(watched, NAME, "1"))

    def on_error(self, fault: Any, error: BaseException | None = None) -> None:
        self.world.saw(f"fault {fault.operation}")

    def began(self, run_id: str, *, is_first: bool) -> None:
        self._begun[run_id] += 1
        shadow = None if is_first else self.world.model.runs.get(run_id)
        rows = shadow.rows.tasks.values() if shadow is not None else ()
        over = {row.task_name for row in rows if row.kind == "step" and row.phase.is_terminal}
        self._recorded[run_id] = frozenset(over)

    def done(self, run_id: str, name: str) -> None:
        """A step was carried out. It is on record at most once, and carried out again only by a function
        that began without that record."""
        self.world.saw("step executed")
        self._deeds[run_id, name] += 1
        if name.startswith("added"):
            return
        if self._deeds[run_id, name] > self._begun[run_id]:
            self.world.breach(f"{run_id}: '{name}' was executed twice by one life of the function")
        # Of several engines the one that lost the run may read on while another one records; and for a
        # run's first delivery no record is read, which a broker may repeat.
        if self.world.width == 1 and name in self._recorded.get(run_id, ()):
            self.world.breach(f"{run_id}: '{name}' was executed again although it was on record")

    def forget(self, run_id: str) -> None:
        """Another run may have the id of one that was deleted."""
        self._begun.pop(run_id, None)
        self._recorded.pop(run_id, None)
        for key in [key for key in self._deeds if key[0] == run_id]:
            del self._deeds[key]

    # What rows must say

    def paths_are_unique(self, run_id: str, shadow: Shadow, row: TaskRow) -> None:
        if row.parent == 0 and row.kind in _DURABLE:
            path = (row.scope, row.task_name)
            if shadow.paths.setdefault(path, row.ordinal) != row.ordinal:
                self.world.breach(f"{run_id}: the call {path} was recorded twice")

    def ended(self, run_id: str, run: RunRow) -> None:
        """The run is over: is it what its program says?"""
        arguments = {v.name: v.value for v in _values(run.arguments)}
        program = Program(arguments["number"], arguments.get("generation", 0))
        self.world.saw(f"function ended {run.phase}")
        if run.phase is Phase.CANCELLED:
            return
        expected = Phase.FAILED if program.ending == "fails" else Phase.SUCCEEDED
        if run.phase is not expected:
            self.world.breach(f"{run_id} is {run.phase} ({run.message}), and was to be {expected}")
        elif expected is Phase.FAILED and Doomed.__name__ not in run.message:
            self.world.breach(f"{run_id} failed of something else: {run.message}")
        elif expected is Phase.SUCCEEDED and program.ending != "continues":
            result = decode(run.outputs)
            if result != program.result:
                self.world.breach(f"{run_id} returned {result}, and was to return {program.result}")


def _values(encoded: bytes | None) -> Any:
    return decode_values(encoded) if encoded else ()


class FunctionClients:
    """They start programs, signal them, and ask them to add one."""

    def __init__(self, world: World, watch: FunctionWatch) -> None:
        self.world = world
        self.watch = watch
        self.chance = world.chance.child("function clients")
        self.count = 0
        self._signals: dict[str, tuple[str, bool]] = {}  # by payload: the run, whether acknowledged
        self._updates: dict[str, str] = {}  # by key: the run; they were answered

    def a_run(self) -> str | None:
        runs = self.world.model.runs.items()
        found = [r for r, s in runs if s.is_function and not s.rows.run.phase.is_terminal]
        return self.chance.one_of(found) if found else None

    def start(self, tier: str = "") -> str:
        self.count += 1
        run_id = f"f{self.count}"
        number = self.chance.randrange(PROGRAMS)
        self.world.saw("function")
        inputs = WorkflowDefinition(_shape, NAME).signature.encode((number,), {})
        start = FunctionStart(name=NAME, version="1", inputs=inputs, run_id=run_id, tier=tier)
        if self.chance.happens(0.1):
            start.delay = self.chance.span(1_000, 60_000_000)
        self._start(start)
        return run_id

    def _start(self, start: FunctionStart) -> None:
        run_id, world = start.run_id, self.world

        def answered(result: Any, error: Exception | None) -> None:
            if error is None:
                world.must_exist(run_id, start.tier)
            elif isinstance(error, StoreError):
                if not world.healing:
                    self._start(start)
            elif isinstance(error, ProblemError) and error.code != "engine-stopped":
                world.breach(f"{run_id} was refused: {error}")

        world.call(lambda engine: engine.start_function(start), answered)

    def signal(self) -> None:
        run_id = self.a_run()
        if run_id is not None:
            self.signal_one(run_id, f"go-{self.chance.randrange(4)}")

    def signal_one(self, run_id: str, name: str) -> None:
        self.count += 1
        payload = f"signal {self.count}"
        key = f"k{self.count}" if self.chance.happens(0.5) else ""
        self._signals[payload] = (run_id, False)
        self._signal(run_id, name, payload, key)

    def _signal(self, run_id: str, name: str, payload: str, key: str) -> None:
        def answered(result: Any, error: Exception | None) -> None:
            self.world.saw("call signal" if error is None else "call signal refused")
            if error is None:
                self._signals[payload] = (run_id, True)
            elif isinstance(error, StoreError) and key and not self.world.healing:
                self._signal(run_id, name, payload, key)

        self.world.call(lambda engine: engine.signal(run_id, name, encode(payload), key), answered)

    def update(self) -> None:
        run_id = self.a_run()
        if run_id is None:
            return
        self.count += 1
        n, key = self.count, f"u{self.count}"

        def answered(result: Any, error: Exception | None) -> None:
            self.world.saw("call update" if error is None else "call update refused")
            if error is None:
                self._updates[key] = run_id
                if decode(result) != n + 1:
                    self.world.breach(f"{run_id}: an update was answered {decode(result)}")

        async def ask(engine: Engine) -> bytes | None:
            inputs = WorkflowDefinition(_update, "add").signature.encode((n,), {})
            try:
                return await engine.update(run_id, "add", inputs, key, 30)
            except WaitTimeout as late:
                raise NotFound(late.problems[0]) from None

        self.world.call(ask, answered)

    # After the faults

    def help_on(self) -> None:
        for run_id, shadow in self.world.model.runs.items():
            if shadow.is_function and not shadow.rows.run.phase.is_terminal:
                self.help_one(run_id, shadow.rows.tasks.values())

    def help_one(self, run_id: str, rows: Any) -> None:
        waits = {row.task_name for row in rows if row.kind == "wait" and not row.phase.is_terminal}
        for name in sorted(waits):
            self.signal_one(run_id, name)

    def check(self) -> list[str]:
        """Each signal is in its run once: at most, and if it was acknowledged at least."""
        found: list[str] = []
        told: Counter[str] = Counter()
        keys: Counter[str] = Counter()
        runs = self.world.model.runs
        for shadow in runs.values():
            for row in shadow.rows.tasks.values():
                if row.kind == "signal":
                    told[decode(row.outputs)] += 1
                elif row.kind == "update":
                    keys[row.template_name] += 1
        for payload, (run_id, acknowledged) in self._signals.items():
            if run_id in runs and not acknowledged <= told[payload] <= 1:
                found.append(f"{run_id} heard '{payload}' {told[payload]} times")
        for key, run_id in self._updates.items():
            if run_id in runs and keys[key] != 1:
                found.append(f"{run_id} has update {key} {keys[key]} times")
        return found


def replayed(world: World, watch: FunctionWatch, node: Node) -> None:
    """Every function that returned or failed is led through its record once more, and must fit."""
    life = world.up()[0]
    runtime = life.runtime
    definition = runtime.workflow_of(NAME)

    async def lead() -> None:
        for run_id, shadow in list(world.model.runs.items()):
            run = shadow.rows.run
            if not shadow.is_function or run.phase not in (Phase.SUCCEEDED, Phase.FAILED):
                continue
            rows = at_once(world.server.inner.load([run_id]))[0]
            if rows is None or definition is None:
                continue
            ordered = [rows.tasks[ordinal] for ordinal in sorted(rows.tasks)]
            if misfit := await runtime.fits(definition, run_id, ordered):
                world.breach(f"{run_id} does not fit its own record: {misfit}")
            world.saw("function replayed")

    done = _spawn(world, node, lead)
    while not done.done() and world.loop.step():
        pass
    if done.done() and (error := done.exception()) is not None:
        world.breach(f"a replay failed: {type(error).__name__}: {error}")


def _spawn(
    world: World, node: Node, work: Callable[[], Coroutine[Any, Any, None]]
) -> asyncio.Task[None]:
    make = partial(world.loop.create_task, work(), context=node_context(node))
    task: asyncio.Task[None] = node.context.copy().run(make)
    return task


async def _shape(ctx: Any, number: int, generation: int = 0) -> Any:
    """The parameters of a program, as whoever starts it writes them."""


async def _update(ctx: Any, n: int) -> int:
    return n
