"""A process for functions without an engine: a clock that stands still, a journal in memory, a runtime."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aether.adapters.threads import ThreadPool
from aether.flow import Runtime, WorkflowDefinition, decode, rebuild
from aether.ports import Request
from aether.record import Phase, StepDone
from aether.testing import FakeClock
from aether.testing.flow_fakes import MemoryJournal


class World:
    def __init__(self, memory: int = 64 << 20) -> None:
        self.clock = FakeClock()
        self.faults: list[object] = []
        self.journal = MemoryJournal(self.clock, self.deliver)
        self.pools = [ThreadPool(8, "steps"), ThreadPool(100, "flows")]
        self.memory = memory
        self.hosts = {}
        self.tasks: set[asyncio.Task] = set()
        self.deliveries: list[tuple[str, object]] = []
        self.new_process()

    def new_process(self) -> None:
        """What was parked here is forgotten, as by a process that died."""
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
        """Until nothing moves: threads included."""
        for _ in range(3):
            await self.clock.settle()
        busy = [task for pool in (self.tasks,) for task in pool]
        if busy and any(run.local.busy or run.threads.busy for run in self.live):
            await asyncio.sleep(0.001)
            await self.settled()

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
            await self.clock.advance(to=self.clock.next_at)
        assert not self.faults, self.faults
        return outcome(book)

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
