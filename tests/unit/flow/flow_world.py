"""A process for functions without an engine: a clock that stands still, a journal in memory, a runtime."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aether.adapters.threads import ThreadPool
from aether.flow import Runtime, WorkflowDefinition, decode, encode, rebuild
from aether.ports import Request
from aether.record import Phase, StepDone
from aether.testing import FakeClock
from aether.testing.flow_fakes import MemoryJournal


class World:
    def __init__(self, memory: int = 64 << 20) -> None:
        self.clock = FakeClock()
        self.faults: list[object] = []
        self.journal = MemoryJournal(self.clock, self.deliver)
        self.pools = [ThreadPool(8, "steps"), ThreadPool(100_000, "flows")]
        self.memory = memory
        self.hosts = {}
        self.tasks: set[asyncio.Task] = set()
        self.deliveries: list[tuple[str, object]] = []
        self.auto: dict[str, object] = {}  # what waits, activities and children are answered with
        self.endless: set[object] = set()  # steps that a test keeps from ending
        self.runtime: Runtime | None = None
        self.graveyard: list[object] = []  # a function that is collected would run its `finally`
        self.new_process()

    def new_process(self) -> None:
        """What was parked here is forgotten, as by a process that died: nothing of it runs any more."""
        self.graveyard.append(self.runtime)
        self.runtime = Runtime(
            journal=self.journal,
            clock=self.clock,
            offload=self.pools[0],
            threads=self.pools[1],
            errors=self,
            memory=self.memory,
        )
        for host in self.hosts.values():
            self.serve(host.definition.function, host.definition.name)

    def on_error(self, fault, error=None) -> None:
        self.faults.append((fault, error))

    def serve(self, function, name: str = "flow"):
        host = self.hosts[name] = self.runtime.register(WorkflowDefinition(function, name))
        return host

    def deliver(self, run_id, fence) -> None:
        self.deliveries.append((run_id, fence))
        book = self.journal.book(run_id)
        host = self.hosts.get(book.root.task_name)
        if host is None:
            return
        request = Request(
            run_id=run_id,
            task_run_id=f"{run_id}.0",
            task_name=book.root.task_name,
            executor_type=book.root.executor,
            epoch=fence.epoch,
            delivery=fence.delivery,
            encoded=book.root.inputs,
        )
        task = asyncio.get_running_loop().create_task(host.execute(request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def begin(self, function, *args, run_id: str = "r", **kwargs):
        host = self.serve(function)
        inputs = host.definition.signature.encode(args, kwargs)
        return self.journal.begin(run_id, "flow", inputs)

    async def settled(self) -> None:
        """Until nothing moves, threads included; what waits for the clock stands still."""
        await self.clock.settle()
        while any(self.moving(run) for run in self.live):
            await asyncio.sleep(0.0005)
            await self.clock.settle()

    def moving(self, run) -> bool:
        if run.is_plain and (run.threads.busy or (run.detached and run.threads._live)):
            return True
        return any(call.function not in self.endless for call in run.local._running)

    @property
    def live(self):
        return list(self.runtime._live.values())

    async def passes(self, **span) -> None:
        await self.settled()
        await self.clock.advance(timedelta(**span))
        await self.settled()

    async def result(self, run_id: str = "r", patience: int = 200):
        """What the run came to; time passes until it is over."""
        book = self.journal.book(run_id)
        for _ in range(patience):
            await self.settled()
            if book.root.phase.is_terminal or book.stuck:
                break
            if not self.answer(book):
                await self.clock.advance(to=self.clock.next_at)
        assert not self.faults, self.faults
        return outcome(book)

    def answer(self, book) -> bool:
        """Answers one thing that the run waits for, out of `auto`."""
        for row in book.rows:
            if row.task_name in self.auto and not row.phase.is_terminal:
                payload = encode(self.auto[row.task_name])
                if row.kind == "wait":
                    self.journal.signal(book.run_id, row.task_name, payload)
                    return True
                if row.kind in ("activity", "child"):
                    self.journal.end(book.run_id, row.task_name, payload)
                    return True
        return False

    async def run(self, function, *args, **kwargs):
        self.begin(function, *args, **kwargs)
        return await self.result()

    def close(self) -> None:
        for pool in self.pools:
            pool.close()


def outcome(book):
    if book.stuck:
        raise AssertionError(f"stuck: {book.stuck}")
    if book.root.phase is Phase.FAILED:
        raise rebuild(book.root.outputs, book.root.message)
    if book.root.phase is Phase.CANCELLED:
        return "cancelled"
    assert book.root.phase is Phase.SUCCEEDED, book.root
    return decode(book.root.outputs)


def steps_of(book) -> list[str]:
    return [fact.path.name for facts in book.commits for fact in facts if type(fact) is StepDone]


async def crash_everywhere(function, *args, auto=None, done=None, expected=None):
    """Runs `function`, then cuts its record after every change and lets another process go on from there:
    the result is the same, and no recorded step is executed again. `done` is where steps leave their names."""
    world = World()
    world.auto = dict(auto or {})
    try:
        whole = await whole_outcome(world, function, args)
        if expected is not None:
            assert whole == expected
        snapshots = world.journal.book("r").snapshots
    finally:
        world.close()
    for number, rows in enumerate(snapshots):
        if rows[0].phase.is_terminal:
            continue
        await go_on_from(rows, function, whole, dict(auto or {}), done, number)
    return whole


async def go_on_from(rows, function, whole, auto, done, number) -> None:
    world = World()
    world.auto = auto
    world.clock.jump(max(row.finished_at or row.created_at for row in rows))
    recorded = {row.task_name for row in rows if row.kind == "step" and row.phase.is_terminal}
    if done is not None:
        done.clear()
    try:
        world.serve(function)
        world.journal.adopt("r", rows)
        try:
            again = await world.result()
        except Exception as error:  # noqa: BLE001 - it is compared
            again = repr(error)
        assert again == whole, f"cut after change {number}: {again} instead of {whole}"
        if done is not None:
            repeated = recorded & set(done)
            assert not repeated, f"cut after change {number}: {repeated} executed again"
    finally:
        world.close()


async def whole_outcome(world, function, args):
    try:
        return await world.run(function, *args)
    except Exception as error:  # noqa: BLE001 - it is compared
        return repr(error)
