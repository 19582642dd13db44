"""How a worker shows in the registry."""

import asyncio
from datetime import timedelta

from aether.adapters.broker import LocalBroker
from aether.adapters.executor import EchoExecutor, Executors
from aether.errors import NotFound, Problem, StoreUnavailable
from aether.testing.clock import FakeClock
from aether.worker import Worker

BEAT = timedelta(seconds=5)


class Registry:
    """Writes down what it is asked; `fail` is raised, once each, before anything else."""

    def __init__(self):
        self.calls = []
        self.info = None
        self.fail = []
        self.gate = None

    async def _called(self, call):
        self.calls.append(call)
        if self.gate is not None:
            await self.gate.wait()
        if self.fail:
            raise self.fail.pop(0)

    async def register(self, info):
        await self._called("register")
        self.info = info

    async def heartbeat(self, worker_id):
        await self._called("heartbeat")

    async def unregister(self, worker_id):
        await self._called("unregister")
        self.info = None


class Sink:
    def __init__(self):
        self.faults = []

    def on_error(self, fault, error=None):
        self.faults.append(fault.operation)


def made(**options):
    clock, registry, sink = FakeClock(), Registry(), Sink()
    executors = Executors([EchoExecutor()])
    worker = Worker(
        LocalBroker(),
        executors,
        worker_id="w1",
        clock=clock,
        registry=registry,
        heartbeat=BEAT,
        errors=sink,
        **options,
    )
    return worker, registry, clock, sink, executors


async def test_a_worker_is_announced_while_it_is_up():
    worker, registry, _, _, _ = made(slots=3, tags={"zone": "a"})
    await worker.start()
    info = registry.info
    assert (info.worker_id, info.executor_types, info.slots) == ("w1", ("echo",), 3)
    assert [schema.type for schema in info.schemas] == ["echo"]
    assert info.tags == {"zone": "a"}
    await worker.stop(timedelta(0))
    assert registry.calls == ["register", "unregister"]


async def test_it_is_renewed_by_the_clock_and_not_after_stop():
    worker, registry, clock, _, _ = made()
    await worker.start()
    await clock.advance(BEAT * 3)
    assert registry.calls == ["register"] + ["heartbeat"] * 3
    await worker.stop(timedelta(0))
    await clock.advance(BEAT * 3)
    assert registry.calls[-1] == "unregister"
    assert clock.waiting == 0


async def test_a_worker_that_the_registry_has_forgotten_registers_again():
    worker, registry, clock, sink, _ = made()
    await worker.start()
    registry.fail = [NotFound(Problem("worker-not-found", "gone"))]
    await clock.advance(BEAT)
    assert registry.calls == ["register", "heartbeat", "register"]
    assert sink.faults == []
    await worker.stop(timedelta(0))


async def test_a_registry_in_trouble_is_reported_and_stops_nothing():
    worker, registry, clock, sink, _ = made()
    registry.fail = [StoreUnavailable("down"), StoreUnavailable("still down")]
    await worker.start()
    await clock.advance(BEAT)
    assert sink.faults == ["register the worker", "renew the worker"]
    registry.fail = [StoreUnavailable("down again")]
    await worker.stop(timedelta(0))
    assert sink.faults[-1] == "unregister the worker"


async def test_a_registry_that_hangs_gets_one_call_at_a_time():
    worker, registry, clock, _, _ = made()
    await worker.start()
    registry.gate = asyncio.Event()
    await clock.advance(BEAT * 5)
    assert registry.calls == ["register", "heartbeat"]
    registry.gate.set()
    await clock.advance(BEAT)
    assert registry.calls == ["register", "heartbeat", "heartbeat"]
    await worker.stop(timedelta(0))


async def test_refresh_announces_new_types():
    worker, registry, clock, _, executors = made()
    await worker.start()
    executors.register(EchoExecutor("echo-2"))
    worker.refresh()
    await clock.settle()
    assert registry.info.executor_types == ("echo", "echo-2")
    await worker.stop(timedelta(0))
