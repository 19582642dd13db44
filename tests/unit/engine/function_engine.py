"""An engine, a worker and the runtime of functions over one store, on a fake clock: a process that can die."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aether.adapters.broker import LocalBroker
from aether.adapters.errors import CollectingSink
from aether.adapters.executor import Executors
from aether.adapters.ids import CounterIds
from aether.adapters.store.memory import MemoryStore
from aether.adapters.threads import ThreadPool
from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.engine import Engine, audit
from aether.expr import CelEvaluator
from aether.flow import Runtime, WorkflowDefinition, decode, encode, rebuild
from aether.ports import FunctionStart
from aether.record import Phase
from aether.testing import FakeClock
from aether.worker import Worker


class Process:
    """One engine with its worker. `die` leaves everything as it is, and tells nobody."""

    def __init__(self, world: FunctionEngine) -> None:
        self.broker = LocalBroker()
        self.engine = Engine(
            store=world.store,
            broker=self.broker,
            id_generator=world.ids,
            clock=world.clock,
            evaluator=CelEvaluator(),
            timeout_watcher=HeapTimeoutWatcher(world.clock, world.errors),
            error_sink=world.errors,
            volatile=MemoryStore() if world.tiered else None,
        )
        self.executors = Executors()
        self.pools = [ThreadPool(4, "steps"), ThreadPool(20, "flows")]
        self.runtime = Runtime(
            journal=self.engine.journal,
            clock=world.clock,
            offload=self.pools[0],
            threads=self.pools[1],
            errors=world.errors,
        )
        for name, (function, version) in world.functions.items():
            definition = WorkflowDefinition(function, name, version)
            self.executors.register(self.runtime.register(definition))
        for executor in world.extra:
            self.executors.register(executor)
        self.worker = Worker(
            self.broker,
            self.executors,
            worker_id=f"w-{len(world.processes)}",
            clock=world.clock,
            errors=world.errors,
        )

    async def start(self) -> None:
        await self.engine.start()
        await self.worker.start()

    async def stop(self) -> None:
        await self.worker.stop(timedelta(0))
        await self.engine.stop()
        for pool in self.pools:
            pool.close()


class FunctionEngine:
    def __init__(self, **functions) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.errors = CollectingSink()
        self.ids = CounterIds()
        self.functions = {name: (function, "1") for name, function in functions.items()}
        self.extra: list = []
        self.tiered = False  # set it before the first process
        self.processes: list[Process] = []

    async def __aenter__(self):
        await self.process()
        return self

    async def __aexit__(self, *exc) -> None:
        for process in reversed(self.processes):
            await process.stop()
        await self.store.close()

    async def process(self) -> Process:
        """A new process; the one before has died."""
        if self.processes:
            await self.processes.pop().stop()
        process = Process(self)
        self.processes.append(process)
        await process.start()
        await self.settle()
        return process

    @property
    def engine(self) -> Engine:
        return self.processes[-1].engine

    async def settle(self) -> None:
        """Until nothing moves, threads and disk included; what waits for the clock stands still."""
        quiet = 0
        for _ in range(4_000):
            await self.clock.settle()
            quiet = 0 if self._moves() else quiet + 1
            if quiet == 4:
                break
            await asyncio.sleep(0.0005)

    def _moves(self) -> bool:
        for process in self.processes:
            if any(live.busy or live.queued for live in process.engine._runs._live.values()):
                return True
            if process.engine._runs.children._tasks:
                return True
            running = process.worker._running.values()
            if any(not each.assignment.executor_type.startswith("workflow:") for each in running):
                return True
            for run in process.runtime._live.values():
                calls = run.local._running
                plain = any(not asyncio.iscoroutinefunction(call.function) for call in calls)
                if plain or (run.is_plain and run.threads.busy):
                    return True
        return False

    async def advance(self, **span) -> None:
        await self.clock.advance(timedelta(**span))
        await self.settle()

    async def start(self, name: str, *args, run_id: str = "r", **options) -> str:
        definition = WorkflowDefinition(self.functions[name][0], name)
        inputs = definition.signature.encode(args, {})
        start = FunctionStart(
            name=name, version=self.functions[name][1], inputs=inputs, run_id=run_id, **options
        )
        run_id = await self.engine.start_function(start)
        await self.settle()
        return run_id

    async def result(self, run_id: str = "r"):
        """What the function returned; what it raised is raised."""
        ended = await self.engine.end(run_id, timeout=0)
        if ended.phase is Phase.FAILED:
            raise rebuild(ended.outputs, ended.message)
        assert ended.phase is Phase.SUCCEEDED, (ended.phase, ended.message)
        return decode(ended.outputs)

    async def rows(self, run_id: str = "r"):
        rows = (await self.store.load([run_id]))[0]
        assert rows is not None
        return rows

    async def faults(self, run_id: str = "r") -> list[str]:
        return audit(await self.rows(run_id), self.clock.now())

    async def signal(self, name: str, value=None, run_id: str = "r", **options) -> None:
        await self.engine.signal(run_id, name, encode(value), **options)
        await self.settle()
